package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateInterval is how often the files of the certificate are looked at, at most.
const certificateInterval = 3 * time.Second

// a certificate is the server's, loaded again when its files change. A renewal needs no
// restart: Let's Encrypt and cert-manager replace the files. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
	loaded  [2]stamp // of the files that current is from
	failed  string   // what was logged last, so that it is logged once
}

// a stamp tells one version of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// newCertificate loads the certificate, and fails if it is unusable.
func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	c.checked = c.now()
	if err := c.load(); err != nil {
		return nil, hint(err, "KEYWARD_TLS_CERT_FILE and KEYWARD_TLS_KEY_FILE name the certificate chain and its private key, both PEM")
	}
	return c, nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if since := now.Sub(c.checked); 0 <= since && since < certificateInterval {
		return c.current, nil
	}
	c.checked = now
	switch err := c.load(); {
	case err == nil:
		c.failed = ""
	case err.Error() != c.failed:
		c.failed = err.Error()
		c.log.Error("the new TLS certificate is unusable, the old one stays in use", "error", c.failed, "expires", c.current.Leaf.NotAfter)
	}
	return c.current, nil
}

// load loads the files if they have changed. While they are replaced one after the other
// they do not match: the next look finds both.
func (c *certificate) load() error {
	var stamps [2]stamp
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("read TLS certificate: %w", err)
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	if c.current != nil && stamps == c.loaded {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil && pair.Leaf == nil {
		err = errors.New("no certificate")
	}
	if err != nil {
		return fmt.Errorf("read TLS certificate %s and key %s: %w", c.certFile, c.keyFile, err)
	}
	if c.current != nil {
		c.log.Info("TLS certificate reloaded", "expires", pair.Leaf.NotAfter)
	}
	c.current, c.loaded = &pair, stamps
	return nil
}
