// Package githubtest is a stand-in for GitHub: the part of its REST API that an App
// uses, the App's authentication, signed webhooks, and Git over HTTP on real bare
// repositories. It keeps state, so what one request writes the next one reads, and a
// push, a pull request or a comment sends the webhooks that GitHub would send.
//
// Three doors lead in. The App under test talks to it over HTTP, as on GitHub
// Enterprise Server: the API lies under URL+"/api/v3/", repositories under
// URL+"/owner/name.git". The methods named after acts of people (OpenPull, Comment,
// Suspend) change the state from the other side and send webhooks. And Fail, OnRequest,
// RateLimit and ExpireTokens make it behave badly.
//
// Every request is kept in a journal (Requests), and, where GitHub's own description of
// its API is at hand (Options.OpenAPI), held against it (Invalid).
//
// All methods are safe for concurrent use.
package githubtest
