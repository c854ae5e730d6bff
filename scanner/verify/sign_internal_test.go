package verify

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSignRequest holds the signatures against the suite that AWS publishes for Signature
// Version 4 (get-vanilla, post-vanilla, post-x-www-form-urlencoded).
// https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-test-suite.html
func TestSignRequest(t *testing.T) {
	const id, secret = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG" + "+bPxRfiCYEXAMPLEKEY"
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for name, c := range map[string]struct{ method, contentType, body, want string }{
		"get-vanilla":  {"GET", "", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"post-vanilla": {"POST", "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-form":    {"POST", "application/x-www-form-urlencoded", "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		req, err := http.NewRequest(c.method, "https://example.amazonaws.com/", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.contentType != "" {
			req.Header.Set("Content-Type", c.contentType)
		}
		signRequest(req, c.body, id, []byte(secret), "us-east-1", "service", at)
		if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+c.want) {
			t.Errorf("%s: got %s, want the signature %s", name, got, c.want)
		}
	}
}
