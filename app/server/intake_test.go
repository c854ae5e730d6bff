package server_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// signature signs a body as GitHub does.
func signature(body string) string {
	m := hmac.New(sha256.New, []byte(webhookSecret))
	m.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// postHeader is the header of a request for a delivery. It declares a body of n bytes.
func postHeader(event, guid, signature string, n int) string {
	h := fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: %s\r\nX-GitHub-Delivery: %s\r\nContent-Length: %d\r\n", event, guid, n)
	if signature != "" {
		h += "X-Hub-Signature-256: " + signature + "\r\n"
	}
	return h + "\r\n"
}

// post sends a request on a new connection, and returns the status of the answer.
func post(address, request string) (int, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // the answer is there, or the error says more
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	_ = res.Body.Close()
	return res.StatusCode, nil
}

// gauges reads the metrics without labels, and those with the label reason.
func gauges(t *testing.T, address string) map[string]float64 {
	t.Helper()
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it was read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^(keyward_[a-z_]+)(?:\{reason="([a-z]+)"\})? (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if out[strings.TrimSuffix(m[1]+" "+m[2], " ")], err = strconv.ParseFloat(m[3], 64); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestIntakeMetrics shows what a monitor can see: whether deliveries arrive, why requests
// are refused, and what unfinished ones hold.
func TestIntakeMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	metrics := fmt.Sprintf("127.0.0.1:%d", port)
	w.env["KEYWARD_METRICS_LISTEN"] = metrics
	a := w.start()
	before := gauges(t, metrics)
	const last = "keyward_last_delivery_timestamp_seconds"
	if at, ok := before[last]; ok {
		t.Errorf("there is a last delivery at %f before the first one", at)
	}
	for request, want := range map[string]int{
		postHeader("ping", "11111111-1", "", 1_000_000):                         401,
		postHeader("ping", "", signature("{}"), 1_000_000):                      400,
		postHeader("push", "11111111-1", signature("{}"), 100<<20):              413,
		postHeader("ping", "11111111-1", signature("other"), 2) + "{}":          401,
		postHeader("push", "11111111-1", signature("{"), 1) + "{":               400,
		postHeader("projects_v2_item", "11111111-1", signature("{}"), 2) + "{}": 202,
	} {
		if got, err := post(a.address, request); got != want {
			t.Errorf("%v, got %d, want %d for\n%s", err, got, want, request)
		}
	}
	slow, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }() // the App closes it if this does not
	if _, err := io.WriteString(slow, postHeader("push", "11111111-1", signature("x"), 1000)+"{"); err != nil {
		t.Fatal(err)
	}
	w.eventually(3*time.Second, "the unfinished body is counted", func() string {
		if m := gauges(t, metrics); m["keyward_bodies_reading"] != 1 || m["keyward_body_bytes"] != 1000 || m["keyward_connections"] < 1 {
			return fmt.Sprint(m)
		}
		return ""
	})
	after := gauges(t, metrics)
	for _, reason := range []string{"unsigned", "headers", "size", "signature", "payload"} {
		if name := "keyward_deliveries_refused_total " + reason; before[name] != 0 || after[name] != 1 {
			t.Errorf("%s: from %f to %f, want from 0 to 1", reason, before[name], after[name])
		}
	}
	if at := time.Unix(int64(after[last]), 0); at.IsZero() || time.Since(at).Abs() > time.Hour {
		t.Errorf("the last delivery was at %s", at)
	}
}

// unfinished are ways not to finish a request.
var unfinished = []struct{ name, request string }{
	{"half a header", "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: pu"},
	{"no signature, a body of 1 MB that does not come", postHeader("push", "11111111-1", "", 1_000_000)},
	{"a false signature, a body of 1 MB that does not come", postHeader("push", "11111111-1", signature("x"), 1_000_000)},
	{"a false signature, 100 KB of 1 MB", postHeader("push", "11111111-1", signature("x"), 1_000_000) + strings.Repeat("x", 100_000)},
	{"a false signature, 100 KB of 25 MB", postHeader("push", "11111111-1", signature("x"), 25_000_000) + strings.Repeat("x", 100_000)},
}

// TestLoadUnfinishedPosts has 3,000 senders that never finish their requests, and start the
// next one 5 s after the App closed the last. They may cost 150 MB, and signed deliveries
// are all accepted. The figures are in docs/operations.md.
func TestLoadUnfinishedPosts(t *testing.T) {
	const senders, most = 3000, 150
	for _, tt := range unfinished {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "")
			a := w.spawn()
			w.deliverSigned(t, a, 20) // rules and caches are loaded
			before := resident(a)
			stop := flood(a.address, tt.request, senders)
			took, peak := w.deliverSigned(t, a, 200)
			stop()
			slices.Sort(took)
			cost := (peak - before) / 1024
			t.Logf("%d senders: memory from %d to %d MB; signed deliveries acknowledged in %s (median), %s (99th percentile), %s (slowest)", senders, before/1024, peak/1024,
				took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
			if cost > most {
				t.Errorf("they cost %d MB, want at most %d", cost, most)
			}
		})
	}
}

// flood starts senders that do not finish a request. The returned function stops them.
func flood(address, request string, n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				linger(ctx, address, request)
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Second):
				}
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// linger sends the beginning of a request and waits until the App closes the connection.
func linger(ctx context.Context, address, request string) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return // it tries again
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // which ends the reading
	_, _ = io.WriteString(c, request)                        // the App may refuse it halfway
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close() // all was said
}

// deliverSigned sends signed deliveries one after another, each on a connection of its own.
// It returns how long each took, and the highest memory of the App meanwhile in kB.
func (w *world) deliverSigned(t *testing.T, a *app, n int) (took []time.Duration, peak int) {
	t.Helper()
	body := fmt.Sprintf(`{"action":"completed","check_suite":{"head_sha":%q},"installation":{"id":%d}}`, strings.Repeat("1", 40), w.install)
	for i := range n {
		start := time.Now()
		status, err := post(a.address, postHeader("check_suite", fmt.Sprintf("signed-%d-%d", n, i), signature(body), len(body))+body)
		took = append(took, time.Since(start))
		if status != http.StatusAccepted {
			t.Errorf("delivery %d of %d: %d %v", i, n, status, err)
		}
		peak = max(peak, resident(a))
		time.Sleep(100 * time.Millisecond)
	}
	return took, peak
}
