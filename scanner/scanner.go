package scanner

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/keyward/keyward/scanner/score"
)

// Options change what a Scanner looks for. The zero value is the default.
type Options struct {
	Pepper        []byte   // the secret key of fingerprints; see package documentation
	FormerPeppers [][]byte // those that were replaced, the oldest first: what is known under them stays known
	MinConfidence float64  // findings below it are dropped; 0 means DefaultConfidence
	NoDecode      bool     // do not look inside base64, hex, percent and \u encodings
	Loose         bool     // a key counts even if letters or digits stand around it
	Allow         []Allowlist
	Now           time.Time // for the expiry of allow comments; zero means they never expire

	// ForeignComments says that the allow comments of other scanners hold, such as gitleaks:allow.
	ForeignComments bool
}

// DefaultConfidence is the least confidence of a finding that is reported.
const DefaultConfidence = 0.5

// BlockConfidence is the least confidence of a finding that stops somebody: a hook
// names what is below it and lets it pass.
const BlockConfidence = 0.65

// A Scanner finds keys in blobs. It is immutable and safe for concurrent use.
type Scanner struct {
	rules   []*compiled
	index   *keywordIndex
	code    *keywordIndex // of source code: without the words of configuration, and with few commands
	byWord  [][]int32     // for each keyword the rules it belongs to
	trigger []trigger     // for each keyword what it means to the finder of generic keys
	always  []int32       // rules without keywords
	finders [finderCount]*compiled
	loose   bool // some rule looks further than its line: pieces of text are not remembered
	opt     Options
	pool    sync.Pool
}

// New returns a Scanner for the given rules. Their expressions are compiled
// when the first candidate of each appears; [Scanner.Compile] does it at once.
func New(rules []Rule, opt Options) (*Scanner, error) {
	if opt.MinConfidence == 0 {
		opt.MinConfidence = DefaultConfidence
	}
	s := &Scanner{opt: opt}
	seen := make(map[string]bool, len(rules))
	at := map[string]int{} // keyword to its place in byWord
	var words []string
	word := func(k string) int {
		n, ok := at[k]
		if !ok {
			n = len(words)
			at[k] = n
			words = append(words, k)
			s.byWord = append(s.byWord, nil)
			s.trigger = append(s.trigger, noTrigger)
		}
		return n
	}
	for i := range rules {
		c := &compiled{Rule: &rules[i], given: &rules[i]}
		if err := c.Validate(); err != nil {
			return nil, err
		}
		if seen[c.ID] {
			return nil, fmt.Errorf("rule %s: defined twice", c.ID)
		}
		seen[c.ID] = true
		n := int32(len(s.rules))
		c.number = len(s.rules)
		s.rules = append(s.rules, c)
		s.loose = s.loose || c.Loose
		if f, ok := finderOf(c.Finder); ok {
			s.finders[f] = c
			continue
		}
		if !c.Indexed() {
			s.always = append(s.always, n) // one or two letters are everywhere: they save nothing
			continue
		}
		for _, k := range c.Keywords {
			w := word(strings.ToLower(k))
			s.byWord[w] = append(s.byWord[w], n)
		}
	}
	for k, t := range allTriggers() {
		if s.wants(t) {
			s.trigger[word(k)] = t
		}
	}
	s.index = newKeywordIndex(words, nil)
	s.code = newKeywordIndex(words, func(i int) bool {
		return len(s.byWord[i]) > 0 || s.trigger[i] != directiveTrigger && (s.trigger[i] != commandTrigger || inCode[words[i]])
	})
	s.pool.New = func() any { return newWork(s) }
	return s, nil
}

// wants reports whether any rule uses the finder behind a trigger.
func (s *Scanner) wants(t trigger) bool {
	switch t {
	case urlTrigger:
		return s.finders[score.URL] != nil
	case clauseTrigger:
		return s.finders[score.Password] != nil
	case headerTrigger:
		return s.finders[score.Header] != nil
	case jwkTrigger:
		return s.finders[score.Material] != nil
	}
	return s.finders[score.Key] != nil || s.finders[score.Password] != nil || s.finders[score.Provisioning] != nil
}

// Compile compiles every rule and returns the first error. Rules that people
// wrote are compiled before they are used, so that a mistake is told at once.
func (s *Scanner) Compile() error {
	for _, c := range s.rules {
		if err := c.compile(); err != nil {
			return err
		}
	}
	return nil
}

// Rules returns the scanner's rules in their order.
func (s *Scanner) Rules() []*Rule {
	out := make([]*Rule, len(s.rules))
	for i, c := range s.rules {
		out[i] = c.Rule
	}
	return out
}

// Scan appends the findings in b to dst. A [*Gap] error says that a part of b
// was not looked into; the findings are valid all the same. Scan does no I/O
// and keeps nothing of b.
func (s *Scanner) Scan(dst []Finding, b Blob) ([]Finding, error) {
	return s.scan(dst, b, nil)
}

func (s *Scanner) scan(dst []Finding, b Blob, m *memo) ([]Finding, error) {
	if b.Commit == "" {
		m = nil // not one of many versions
	}
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	if w.memo != m {
		w.memo, w.salts = m, nil
	}
	return w.scan(dst, b, nil)
}

// Run scans all blobs of a source on all processors and yields findings in no
// fixed order, and errors: a [*Gap] for what was not scanned, after which it
// goes on, any other error last. It waits for its goroutines even if the
// caller stops early or ctx ends.
func (s *Scanner) Run(ctx context.Context, src Source) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		blobs := make(chan Blob, mostWaiting)
		waiting := semaphore.NewWeighted(waitingBytes)
		results := make(chan result, 4*runtime.GOMAXPROCS(0))
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(blobs)
			feed(ctx, src, waiting, blobs, results)
		})
		var workers sync.WaitGroup
		var m *memo
		if !s.loose {
			m = newMemo()
		}
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() { s.drain(ctx, m, waiting, blobs, results) })
		}
		wg.Go(func() { workers.Wait() })
		go func() { wg.Wait(); close(results) }()
		defer func() {
			cancel()
			for range results { // let the goroutines end
			}
		}()
		for r := range results {
			for _, f := range r.findings {
				if !yield(f, nil) {
					return
				}
			}
			if r.err != nil && !yield(Finding{}, r.err) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(Finding{}, err)
		}
	}
}

// What is read is ahead of what is scanned by so many blobs, that no processor waits for
// the next of many small ones, and by so many bytes of large ones.
const (
	mostWaiting  = 32
	waitingBytes = 12 << 20
)

// weight is what a blob counts of waitingBytes.
func (b *Blob) weight() int64 { return min(int64(len(b.Data)), waitingBytes) }

type result struct {
	findings []Finding
	err      error
}

// feed hands the blobs of src to the workers, and its errors to the caller.
func feed(ctx context.Context, src Source, waiting *semaphore.Weighted, blobs chan<- Blob, results chan<- result) {
	defer func() {
		if recover() != nil {
			select {
			case results <- result{err: fmt.Errorf("read what is to be scanned: panic at %s", debug.Stack())}:
			case <-ctx.Done():
			}
		}
	}()
	for b, err := range src {
		if err != nil {
			select {
			case results <- result{err: err}:
				continue
			case <-ctx.Done():
				return
			}
		}
		if waiting.Acquire(ctx, b.weight()) != nil {
			return
		}
		select {
		case blobs <- b:
		case <-ctx.Done():
			return
		}
	}
}

// careful scans a blob. A panic is a gap: what one blob holds must not keep the others
// from being scanned. Its value may quote the blob, and is not told.
func (s *Scanner) careful(b Blob, m *memo) (found []Finding, err error) {
	defer func() {
		if recover() != nil {
			found, err = nil, &Gap{Path: b.Path, Commit: b.Commit, Reason: "the scanner broke on it, which is a bug: please report it"}
		}
	}()
	return s.scan(nil, b, m)
}

func (s *Scanner) drain(ctx context.Context, m *memo, waiting *semaphore.Weighted, blobs <-chan Blob, results chan<- result) {
	for b := range blobs {
		found, err := s.careful(b, m)
		if b.Done != nil {
			b.Done(found == nil && err == nil)
		}
		waiting.Release(b.weight())
		if found == nil && err == nil {
			continue
		}
		select {
		case results <- result{found, err}:
		case <-ctx.Done():
			return
		}
	}
}
