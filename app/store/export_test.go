package store

// OlderRelease is olderRelease, for the tests.
var OlderRelease = olderRelease

// Unmention and EraseJSON are what replaces logins, for the tests.
var Unmention, EraseJSON = unmention, eraseJSON

// SealWith seals a state with the newest key of a seal, as somebody would who has that key.
func SealWith(seal *Seal, c *Course) { seal.seal(c) }

// SignWith signs a record that follows one with a MAC.
func SignWith(seal *Seal, r *Record, before string) { r.Mac = r.mac(seal.key(r.KeyID), before) }
