package scanner

import (
	"maps"
	"sync"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// A trigger is what a keyword means to the finders.
type trigger uint8

const (
	noTrigger        trigger = iota
	nameTrigger              // part of a name that may speak of a key
	endTrigger               // the last word of such a name, which other words have in them too
	urlTrigger               // ://
	headerTrigger            // Bearer, Basic or NTLM
	clauseTrigger            // IDENTIFIED BY
	commandTrigger           // a command that takes credentials
	callTrigger              // a function that takes credentials
	charArrayTrigger         // .toCharArray(
	directiveTrigger         // a word of configuration files
	sensitiveTrigger         // "sensitive" of a Terraform state
	jwkTrigger               // kty of a JSON Web Key
	tagTrigger               // the default in a tag of a Go struct
	gluedTrigger             // {PLAIN}: the password follows at once
	otpTrigger               // otpauth://
)

var triggers = map[string]trigger{
	"key": nameTrigger, "token": nameTrigger, "secret": nameTrigger, "passw": nameTrigger, "pass": nameTrigger,
	"pwd": nameTrigger, "passphrase": nameTrigger, "cred": nameTrigger, "auth": nameTrigger, "salt": nameTrigger,
	"nonce": nameTrigger, "seed": nameTrigger, "ticket": nameTrigger, "identified": clauseTrigger, "://": urlTrigger, "bearer": headerTrigger, "basic ": headerTrigger, "ntlm ": headerTrigger,
	"_pat": endTrigger, "-pat": endTrigger, "jwt": endTrigger, "psk": endTrigger, "join": endTrigger, "enrol": endTrigger, "licen": endTrigger, "_pin": endTrigger,
	"signing": endTrigger, "bootstrap": endTrigger, "hmac": endTrigger, "registration": endTrigger, "activation": endTrigger, "_login": endTrigger, "_user": endTrigger,
	"envdefault:": tagTrigger, "{plain}": gluedTrigger, "{cleartext}": gluedTrigger, "otpauth://": otpTrigger,
	".tochararray(": charArrayTrigger, "sensitive": sensitiveTrigger, "kty": jwkTrigger,
}

// allTriggers are the triggers, with the words of the tables of package extract.
var allTriggers = sync.OnceValue(func() map[string]trigger {
	out := maps.Clone(triggers)
	add := func(words []string, t trigger) {
		for _, w := range words {
			if len(w) < leastKeyword {
				w += " "
			}
			if out[w] == noTrigger {
				out[w] = t
			}
		}
	}
	for _, w := range extract.Commands() {
		if w == "http" || w == "https" {
			w += " " // not those of URLs
		}
		add([]string{w}, commandTrigger)
	}
	add(extract.Calls(), callTrigger)
	for _, w := range extract.Directives() {
		if !speaksOfKeys([]byte("_" + w)) { // else its name is found
			add([]string{w}, directiveTrigger)
		}
	}
	return out
})

// inCode are the commands that are looked for in source code, which runs them in strings: to
// look for all there would take a fifth of the time of a scan.
var inCode = score.Set("curl wget mysql mysqldump mysqladmin psql sshpass redis-cli mongo mongodump docker podman openssl ldapsearch sqlcmd smbclient " +
	"htpasswd sqlplus vault kubectl helm keytool rabbitmqctl sonar-scanner twine nuget cargo ansible-playbook snmpwalk ipmitool gpg unzip lftp chpasswd convertto-securestring")

// endsName handles a word such as "join" at pos, which speaks of a key only where it
// is the last of a name that a value is assigned to.
func (w *work) endsName(pos, n int) {
	t := w.text
	end := pos + n
	for end < len(t) && end-pos < 12 && score.IsAlnum(t[end]) {
		end++
	}
	next := skipAny(t, skipAny(t, end, "\"'`"), " \t")
	if next >= len(t) || t[next] != '=' && t[next] != ':' || pos > 0 && score.IsAlnum(t[pos-1]) && score.IsAlnum(t[pos]) && t[pos]|0x20 == t[pos] {
		return
	}
	var name score.Name
	name.Read(t[pos:end])
	switch {
	case name.SpeaksOfKey():
		w.named(pos)
	case name.OfUser():
		w.userAndPassword(pos, next)
	}
}
