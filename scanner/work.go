package scanner

import (
	"bytes"
	"cmp"
	"hash"
	"path"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// A span is a part of a text, its end excluded.
type span struct{ start, end int }

func (s span) overlaps(o span) bool { return s.start < o.end && o.start < s.end }

// A hit is a match that passed its checks: a finding to be.
type hit struct {
	rule *compiled
	span
	near       []Fact // the nearest companions
	candidates []Fact // all of them
	score      float64
	rank       int
	reasons    []score.Addend
	layer      *layer // where the secret was seen
	value      []byte // the secret, while Scan runs
	facts      details
}

// A layer is a text that came out of an encoding.
type layer struct {
	name  string // of the encodings, outermost first
	text  []byte
	outer span // what was decoded, in the blob's text
	depth int
}

// A Decision says what became of a match of one rule, for explanations.
type Decision struct {
	Rule       *Rule
	Line       int
	Redacted   string
	Kept       bool
	Why        string // why it was dropped, or which rule was preferred
	Confidence float64
	Reasons    []score.Addend
}

// work is the state of one Scan, reused from blob to blob.
type work struct {
	s         *Scanner
	hit       func(word, pos int) bool // onWord, bound once
	blob      Blob
	whole     []byte // the blob's text
	text      []byte // what is looked at now: the blob's text or a layer's
	layer     *layer
	until     []int // for each rule where its last window ended
	touched   []int32
	nameEnd   int
	codeFile  bool
	generated bool
	kind      score.FileKind // of the blob, if kindKnown
	kindKnown bool
	inTest    bool                         // the path of the blob, if kindKnown
	name      score.Name                   // of the candidate that is judged
	vector    score.Vector                 // of it
	visit     func(span, *score.Candidate) // instead of a score
	binary    bool
	hits      []hit
	budget    int // bytes of decoded text that may still be looked at
	spent     bool
	crowded   bool // more headers of tables than are followed
	scratch   [maxDepth]scratch
	macs      []hash.Hash // of fingerprints, under the pepper and the former ones; nil before the first
	judgedAt  span        // where its value stands
	judging   score.Candidate
	searches  int // how often expressions were tried, and on how many bytes
	searched  int
	explain   *[]Decision
	memo      *memo             // nil if nothing is remembered
	salts     map[string]uint64 // by path, for the memo
	pieces    []piece           // of the text, with a memo
	current   int               // the piece that is looked at
	verdict   uint64            // of the value that is judged, as the memo knows it; 0 for none
	placed    bool              // it stands where a command or a call takes a credential
	called    bool              // the value read last is an argument of a call
	values    []extract.Value   // of the name that is looked at
	args      []extract.Arg     // of the command or call that is looked at
	table     span              // the line of its header and where its rows end
	columns   int               // that were followed in this text
	document  int               // where the document of Kubernetes ends that was read
	documents int               // that were read in this text
	settings  []extract.Setting // of the document that is looked at
	raw       []byte            // a key written as numbers
}

// Explain scans b and returns what became of every match, kept or dropped.
func (s *Scanner) Explain(b Blob) []Decision {
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	out := []Decision{}
	_, _ = w.scan(nil, b, &out)
	return out
}

// decodeBudget is how many bytes of decoded text are looked at per byte of the
// blob, and at least.
const (
	decodeRatio = 4
	decodeLeast = 1 << 20
)

func newWork(s *Scanner) *work {
	w := &work{s: s, until: make([]int, len(s.rules))}
	w.hit = w.onWord
	return w
}

func (w *work) scan(dst []Finding, b Blob, explain *[]Decision) ([]Finding, error) {
	w.blob, w.hits, w.explain = b, w.hits[:0], explain
	w.budget, w.spent, w.crowded = max(decodeRatio*len(b.Data), decodeLeast), false, false
	w.codeFile = isCode(b.Path)
	w.generated, w.kindKnown = isGenerated(b.Path, b.Data), false
	wide, sure := EncodingOf(b.Data)
	if b.Encoding != 0 {
		wide, sure = b.Encoding, false
	}
	if wide != 0 {
		dst = w.scanText(dst, decodeWide(b.Data, wide), wide.String())
	}
	if wide == 0 || !sure { // a mark at the beginning must not hide the rest
		dst = w.scanText(dst, b.Data, "")
	}
	w.blob, w.whole, w.text, w.layer, w.explain = Blob{}, nil, nil, nil, nil
	if w.crowded {
		return dst, &Gap{Path: b.Path, Commit: b.Commit, Reason: "too many tables or documents in it: not all were followed"}
	}
	if w.spent {
		return dst, &Gap{Path: b.Path, Commit: b.Commit, Reason: "too much encoded text inside: the rest of it was not decoded"}
	}
	return dst, nil
}

// scanText looks for keys in the text of the blob and in what is encoded in it.
func (w *work) scanText(dst []Finding, text []byte, encoding string) []Finding {
	w.whole = text
	w.binary = looksBinary(text)
	w.remember(text, encoding)
	w.pass(text, nil)
	w.listing()
	if !w.s.opt.NoDecode && !w.binary {
		w.eachNew(text, func(from, to int) { w.decode(text, from, to, nil) })
	}
	w.learn()
	if len(w.hits) > 0 {
		dst = w.findings(dst, text, encoding)
	}
	clear(w.hits) // forget the secrets
	w.hits = w.hits[:0]
	return dst
}

// pass looks for all rules in one text.
func (w *work) pass(text []byte, l *layer) {
	w.text, w.layer, w.nameEnd = text, l, 0
	w.table, w.columns, w.document, w.documents = span{}, 0, 0, 0
	for _, n := range w.touched {
		w.until[n] = 0
	}
	w.touched = w.touched[:0]
	index := w.s.index
	if w.codeFile {
		index = w.s.code
	}
	if l == nil {
		w.eachNew(text, func(from, to int) { index.scan(text, from, to, w.hit) })
	} else {
		index.scan(text, 0, len(text), w.hit)
	}
	for _, n := range w.s.always {
		w.everywhere(n)
	}
}

func (w *work) onWord(word, pos int) bool {
	w.at(pos)
	for _, n := range w.s.byWord[word] {
		w.candidate(n, pos)
	}
	if !w.binary {
		n := len(w.s.index.words[word])
		switch w.s.trigger[word] {
		case nameTrigger:
			w.named(pos)
		case endTrigger:
			w.endsName(pos, n)
		case commandTrigger:
			w.command(pos, n)
		case callTrigger:
			w.call(pos, n)
		case charArrayTrigger:
			w.charArray(pos)
		case directiveTrigger:
			w.directive(pos, pos+n)
		case tagTrigger:
			w.tag(pos, n)
		case gluedTrigger:
			w.glued(pos, n)
		case otpTrigger:
			w.otp(pos)
		case jwkTrigger:
			w.jwk(pos, pos+n)
		case sensitiveTrigger:
			w.sensitive(pos, n)
		case urlTrigger:
			if w.s.finders[score.URL] != nil {
				w.url(pos)
			}
		case clauseTrigger:
			if w.s.finders[score.Password] != nil {
				w.clause(pos)
			}
		case headerTrigger:
			if w.s.finders[score.Header] != nil {
				w.header(pos)
			}
		}
	}
	return true
}

// everywhere searches the whole text for a rule without keywords, piece by piece.
func (w *work) everywhere(n int32) {
	c := w.s.rules[n]
	if c.compile() != nil || !c.inPath(w.blob.Path) {
		return
	}
	const piece = 64 << 10
	for from := 0; from < len(w.text); {
		to := min(len(w.text), from+piece)
		if i := bytes.LastIndexByte(w.text[from:to], '\n'); i > 0 && to < len(w.text) {
			to = from + i + 1
		}
		w.search(c, from, to)
		from = to
	}
}

// keep adds a hit, unless the same rule has this place already.
func (w *work) keep(h hit) {
	h.layer = w.layer
	for i := len(w.hits) - 1; i >= 0 && i >= len(w.hits)-8; i-- {
		if p := &w.hits[i]; p.rule == h.rule && p.layer == h.layer && p.span == h.span {
			return
		}
	}
	h.value = w.text[h.start:h.end]
	around := w.text[max(0, h.start-4096):min(len(w.text), h.end+4096)]
	if bytes.Contains(h.value, []byte("-----BEGIN ")) && !hasBody(h.value) {
		w.drop(h.rule, h.span, "no key between its lines")
		return
	}
	for _, f := range h.rule.Facts {
		factReaders[f](&h.facts, bytes.Trim(h.value, " \t\r\n\"'`"), around)
	}
	if h.facts.invalid {
		w.drop(h.rule, h.span, "it does not parse as a key of this kind")
		return
	}
	w.hits = append(w.hits, h)
}

func (w *work) drop(c *compiled, at span, why string) {
	if w.explain != nil {
		w.decide(c, at, Decision{Why: why})
	}
}

func (w *work) dropScored(c *compiled, at span, score float64, reasons []score.Addend) {
	if w.explain != nil {
		w.decide(c, at, Decision{Why: "its score is too low", Confidence: score, Reasons: reasons})
	}
}

func (w *work) decide(c *compiled, at span, d Decision) {
	d.Rule = c.Rule
	d.Redacted = redact(c.Rule, canonical(w.text[at.start:at.end]))
	line := bytes.Count(w.text[:at.start], []byte("\n"))
	if w.layer != nil {
		line = bytes.Count(w.whole[:w.layer.outer.start], []byte("\n"))
	}
	d.Line = line + max(w.blob.Line, 1)
	*w.explain = append(*w.explain, d)
}

// place returns where a hit stands in the blob's own text.
func (h *hit) place() span {
	if h.layer != nil {
		return h.layer.outer
	}
	return h.span
}

// findings turns the hits into findings: of those that overlap the most
// specific rule wins, so that one key is told once at each place.
func (w *work) findings(dst []Finding, text []byte, encoding string) []Finding {
	slices.SortStableFunc(w.hits, func(a, b hit) int {
		return cmp.Or(-cmp.Compare(a.rank, b.rank), -cmp.Compare(len(a.value), len(b.value)), cmp.Compare(a.place().start, b.place().start))
	})
	var kept []*hit
	for i := range w.hits {
		h := &w.hits[i]
		better := slices.IndexFunc(kept, func(k *hit) bool { return k.covers(h) })
		switch {
		case better >= 0 && h.renames(kept[better]):
			w.note(kept[better], "rule "+h.rule.ID+" names it better")
			h.score = max(h.score, kept[better].score)
			kept[better] = h
		case better >= 0:
			w.note(h, "rule "+kept[better].rule.ID+" names it better")
		case h.score < w.s.opt.MinConfidence:
			w.note(h, "below the least confidence asked for")
		default:
			kept = append(kept, h)
		}
	}
	kept = w.withoutCompanions(kept)
	slices.SortFunc(kept, func(a, b *hit) int {
		return cmp.Or(cmp.Compare(a.place().start, b.place().start), cmp.Compare(a.start, b.start))
	})
	line, at := max(w.blob.Line, 1), 0
	for _, h := range kept {
		p := h.place()
		line += bytes.Count(text[at:p.start], []byte("\n"))
		at = p.start
		dst = append(dst, w.finding(h, text, line, encoding))
		w.note(h, "")
	}
	return dst
}

// withoutCompanions drops what is the companion of another hit: an access key
// id and its secret are one key, identified by the secret.
func (w *work) withoutCompanions(kept []*hit) []*hit {
	isCompanion := func(h *hit) bool {
		return slices.ContainsFunc(kept, func(k *hit) bool {
			return k != h && slices.ContainsFunc(k.candidates, func(f Fact) bool { return f.Value == string(h.value) })
		})
	}
	var out []*hit
	for _, h := range kept {
		if isCompanion(h) {
			w.note(h, "it is the companion of another key here")
			continue
		}
		out = append(out, h)
	}
	return out
}

// covers reports whether h adds nothing to k: both speak of the same text. Two
// keys side by side in one decoded layer are two.
func (k *hit) covers(h *hit) bool {
	if k.layer == h.layer {
		return k.overlaps(h.span)
	}
	return k.place().overlaps(h.place()) && (k.layer == nil || h.layer == nil || bytes.Contains(k.value, h.value) || bytes.Contains(h.value, k.value))
}

// renames reports whether the hit of a repository's own rule may give a generic hit its
// name: both are the same value, and the finding does not become less severe.
func (h *hit) renames(k *hit) bool {
	return h.rule.Untrusted && k.rule.Finder != "" && h.layer == k.layer && h.span == k.span && h.rule.Tier != "" && h.rule.Tier <= k.rule.Tier
}

func (w *work) finding(h *hit, text []byte, line int, encoding string) Finding {
	p := h.place()
	v := canonical(h.value)
	col := p.start - bytes.LastIndexByte(text[:p.start], '\n')
	if col == p.start+1 { // on the first line
		col += w.blob.Indent
	}
	f := Finding{
		Rule: h.rule.Rule, Path: w.blob.Path, Commit: w.blob.Commit, Blob: w.blob.ID,
		Line: line, EndLine: line + bytes.Count(text[p.start:p.end], []byte("\n")),
		Col:   col,
		Start: w.blob.Offset + int64(p.start), End: w.blob.Offset + int64(p.end),
		Redacted:   redact(h.rule.Rule, v),
		Confidence: h.score, Decoded: encoding, InTest: inTest(w.blob.Path),
		Facts: h.facts.facts, Expires: h.facts.expires, Companions: h.candidates,
		Allow: w.s.opt.allowFor(text, p, h.rule.ID),
	}
	f.Fingerprint, f.Former = w.fingerprints(v)
	for _, n := range h.near {
		if !slices.Contains(f.Facts, n) {
			f.Facts = append(f.Facts, n)
		}
	}
	slices.SortFunc(f.Facts, func(a, b Fact) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	if h.layer != nil {
		f.Decoded = strings.TrimPrefix(encoding+" > "+h.layer.name, " > ")
	}
	return f
}

// note records the decision on a hit for an explanation.
func (w *work) note(h *hit, why string) {
	if w.explain == nil {
		return
	}
	w.layer, w.text = h.layer, w.whole
	if h.layer != nil {
		w.text = h.layer.text
	}
	w.decide(h.rule, h.span, Decision{Kept: why == "", Why: why, Confidence: h.score, Reasons: h.reasons})
}

// lockFiles and their like hold hashes by the thousand.
var lockFiles = score.Set("package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml composer.lock gemfile.lock cargo.lock poetry.lock pipfile.lock uv.lock go.sum go.work.sum flake.lock packages.lock.json podfile.lock pubspec.lock mix.lock deno.lock bun.lock .terraform.lock.hcl gradle.lockfile conan.lock")

func isGenerated(p string, text []byte) bool {
	name := strings.ToLower(path.Base(p))
	return lockFiles[name] || strings.HasSuffix(name, ".min.js") || strings.HasSuffix(name, ".map") || strings.HasSuffix(name, ".svg") ||
		bytes.Contains(text[:min(len(text), 512)], []byte("DO NOT EDIT"))
}
