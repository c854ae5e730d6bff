package store

// OlderRelease is olderRelease, for the tests.
var OlderRelease = olderRelease
