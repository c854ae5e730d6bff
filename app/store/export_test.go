package store

// OlderRelease is olderRelease, for the tests.
var OlderRelease = olderRelease

// Unmention and EraseJSON are what replaces logins, for the tests.
var Unmention, EraseJSON = unmention, eraseJSON
