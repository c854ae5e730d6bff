// Package scanner finds hardcoded keys in text. It is an engine: rules say what
// to look for, sources (package git, package files) say where the bytes come
// from, reports say how findings look; the engine knows nothing of the three.
//
// # One pass, then windows
//
// A table of all rules' keywords is matched against a blob in one pass, in
// place and ignoring case. RE2 runs only in a window around a keyword, which
// ends at line breaks unless the rule states how far it reaches. A rule is
// compiled when its first keyword appears. A clean blob allocates nothing.
//
// Generic keys have no format: for names that speak of a key, token, secret,
// password or credential a hand-made matcher finds the value assigned to them,
// and a score judges it by its entropy for its length and alphabet, by how its
// letters follow each other, and by how it stands. RE2 would be slower here.
//
// # What one key is
//
// The same value is one key wherever it stands and whichever rule saw it. Its
// fingerprint is HMAC-SHA256 of the canonical value under a pepper: quotes and
// white space trimmed, the lines of PEM joined, escapes and encodings undone.
// It depends on neither rule, path nor commit. Under a secret pepper a
// guessable value can not be found from it; under a pepper that others can
// derive it can, by trying. When a pepper is replaced, the former one stays known for
// reading: a finding then also has the fingerprint that it had before.
//
// A Finding holds no secret: only a redacted form, the fingerprint, and facts
// that the key says of itself.
package scanner
