package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificate replaces the files of a certificate, with good ones and with bad ones.
func TestCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	clock := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	write := func(name string, data []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(name, data, 0o600), os.Chtimes(name, clock, clock)); err != nil {
			t.Fatal(err)
		}
	}
	pair := func(serial int64) (cert, key []byte) {
		t.Helper()
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: clock.Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	}
	var log bytes.Buffer
	if _, err := newCertificate(certFile, keyFile, slog.Default()); err == nil {
		t.Fatal("no files: want an error")
	}
	cert, key := pair(1)
	write(certFile, cert)
	write(keyFile, key)
	c, err := newCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c.now, c.checked = func() time.Time { return clock }, clock
	expect := func(what string, serial int64, errorsLogged int) {
		t.Helper()
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := got.Leaf.SerialNumber.Int64(); n != serial {
			t.Errorf("%s: certificate %d, want %d", what, n, serial)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != errorsLogged {
			t.Errorf("%s: %d errors logged, want %d:\n%s", what, n, errorsLogged, &log)
		}
	}
	cert2, key2 := pair(2)
	clock = clock.Add(time.Second)
	write(certFile, cert2)
	write(keyFile, key2)
	expect("within the interval", 1, 0)
	clock = clock.Add(certificateInterval)
	expect("after the interval", 2, 0)

	cert3, key3 := pair(3)
	write(certFile, cert3)
	clock = clock.Add(certificateInterval)
	expect("half of the new pair", 2, 1)
	clock = clock.Add(certificateInterval)
	expect("still half", 2, 1)
	write(keyFile, key3)
	clock = clock.Add(certificateInterval)
	expect("both halves", 3, 1)

	write(certFile, []byte("no certificate"))
	clock = clock.Add(certificateInterval)
	expect("broken", 3, 2)
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		clock = clock.Add(certificateInterval)
		expect("removed", 3, 3)
	}
	cert4, key4 := pair(4)
	write(certFile, cert4)
	write(keyFile, key4)
	clock = clock.Add(certificateInterval)
	expect("there again", 4, 3)
	clock = clock.Add(-time.Hour)
	write(certFile, cert)
	write(keyFile, key)
	expect("with a clock set back", 1, 3)
}
