package extract

import (
	"bytes"
	"path"
	"strings"

	"github.com/keyward/keyward/scanner/score"
)

// A listing is a file that has one credential a line, by its name.
type listing int

const (
	notListing   listing = iota
	quotedPair           // "user" "VALUE"
	lastColon            // host:port:database:user:VALUE
	thirdWord            // client server VALUE addresses
	secondWord           // address VALUE
	userAndValue         // host user:VALUE
)

func listingOf(name string) listing {
	switch name {
	case "userlist.txt":
		return quotedPair
	case ".pgpass", "pgpass", "pgpass.conf", ".passwd-s3fs", "passwd-s3fs", ".s3fs", "rsyncd.secrets", "rsync.secrets":
		return lastColon
	case "chap-secrets", "pap-secrets", "davfs2.secrets", "l2tp-secrets":
		return thirdWord
	case "psk.txt", "ipsec.psk":
		return secondWord
	case "sasl_passwd", "smtp_passwd", "relay_password", "passwd.client":
		return userAndValue
	}
	return notListing
}

// maxListed is how many lines of a listing are read.
const maxListed = 1000

// Listing appends the credentials of a file whose lines are known by its name: .pgpass,
// chap-secrets, the user list of PgBouncer and the like.
func Listing(dst []Value, t []byte, file string) []Value {
	kind := listingOf(strings.ToLower(path.Base(file)))
	if kind == notListing {
		return dst
	}
	for i, n := 0, 0; i < len(t) && n < maxListed; n++ {
		end := lineEnd(t, i, maxValue)
		start := skip(t, i, blanks+"\r")
		if start < end && t[start] != '#' && t[start] != ';' {
			if v, ok := kind.read(t[:back(t, end, spaces)], start); ok {
				dst = append(dst, v)
			}
		}
		i = end + 1
	}
	return dst
}

// read returns the credential on the line that begins at i and ends with t.
func (kind listing) read(t []byte, i int) (Value, bool) {
	switch kind {
	case quotedPair:
		_, next, ok := literal(t, i)
		if !ok {
			return Value{}, false
		}
		v, _, ok := literal(t, skip(t, next, blanks))
		return Value{v, score.Pair, true}, ok && v.End > v.Start
	case lastColon:
		n := bytes.LastIndexByte(t[i:], ':')
		return Value{Span{i + n + 1, len(t)}, score.Pair, false}, n > 0 && i+n+1 < len(t)
	case userAndValue:
		word := lastWord(t, i)
		n := bytes.IndexByte(t[word.Start:], ':')
		return Value{Span{word.Start + n + 1, len(t)}, score.Pair, false}, n > 0 && word.Start+n+1 < len(t)
	}
	count := 2
	if kind == thirdWord {
		count = 3
	}
	for n := 1; ; n++ {
		v, ok := value(t, i, score.Pair)
		if !ok || n == count {
			return v, ok
		}
		i = skip(t, v.End, "\""+blanks)
	}
}

// lastWord returns the last word of a line.
func lastWord(t []byte, i int) Span {
	n := bytes.LastIndexAny(t[i:], blanks)
	return Span{i + n + 1, len(t)}
}

// Users appends the passwords of lines of the form user:VALUE below a name such as chpasswd,
// as cloud-init has them.
func Users(dst []Value, t []byte, name Span) []Value {
	start := LineStart(t, name.Start)
	outer := indent(t, start)
	i := lineEnd(t, name.End, maxStatement)
	for n := 0; n < maxRows && i < len(t) && t[i] == '\n'; n++ {
		i++
		from := skip(t, i, blanks)
		if from-i <= outer || from >= len(t) {
			break
		}
		from = skip(t, from, "-\"' ")
		end := lineEnd(t, from, maxStatement)
		user := wordAt(t, from)
		after := from + len(user)
		if len(user) > 0 && at(t, after) == ':' && after+1 < end && t[after+1] > ' ' && !contains("|>", t[after+1]) {
			v := Span{after + 1, back(t, end, " \t\r\"'")}
			if v.End > v.Start && bytes.IndexByte(t[v.Start:v.End], ' ') < 0 {
				dst = append(dst, Value{v, score.Pair, false})
			}
		}
		i = end
	}
	return dst
}
