package score

import (
	"math"
	"testing"
)

// candidate is one as a finder makes it.
func candidate(kind Kind, before, name, value, after string) *Candidate {
	n := &Name{}
	n.Read([]byte(name))
	return &Candidate{Kind: kind, Quoted: true, Name: n, Value: []byte(value), Before: []byte(before), After: []byte(after)}
}

// TestVector holds the features to their names.
func TestVector(t *testing.T) {
	var x Vector
	if len(Features) > len(x) {
		t.Fatalf("%d features, a vector holds %d", len(Features), len(x))
	}
	m := measure{x: &x}
	c := candidate(Key, `apiKey := "`, "apiKey", "q7Rz2Kx9Vb4Nm8Wp3Ls6", `"`)
	m.value(c)
	m.name(c)
	m.line(c)
	if m.n != len(Features) {
		t.Errorf("%d features are taken, %d have names", m.n, len(Features))
	}
	for i, f := range x[:m.n] {
		if v := float64(f); math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%s is %v", Features[i].Name, f)
		}
	}
}

// TestExplain holds the addends to the score that they explain.
func TestExplain(t *testing.T) {
	m := Default()
	for _, c := range []*Candidate{
		candidate(Key, `apiKey := "`, "apiKey", "q7Rz2Kx9Vb4Nm8Wp3Ls6", `"`),
		candidate(Password, `password := "`, "password", "swordfish", `"`),
		candidate(Key, `tokenName: "`, "tokenName", "customer_token", `",`),
	} {
		var x Vector
		c.Measure(&x)
		sum := 0.0
		for _, a := range m.Explain(&x) {
			sum += a.Adds
		}
		// Addends too small to be told are left out.
		if odds := m.Odds(&x); math.Abs(sum-odds) > 0.05*float64(len(Features)) {
			t.Errorf("%s: the addends sum up to %.3f, the log odds are %.3f", c.Value, sum, odds)
		}
		if p := m.Score(&x); p < 0 || p > 1 {
			t.Errorf("%s: score %v", c.Value, p)
		}
	}
}

// TestAllocs holds a score to allocate nothing.
func TestAllocs(t *testing.T) {
	m := Default()
	c := candidate(Key, `apiKey := "`, "apiKey", "q7Rz2Kx9Vb4Nm8Wp3Ls6", `"`)
	var x Vector
	if n := testing.AllocsPerRun(100, func() { c.Measure(&x); m.Score(&x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRead tells words from random letters.
func TestRead(t *testing.T) {
	for _, tt := range []struct {
		v     string
		words bool
	}{
		{"password", true}, {"customerAddressField", true}, {"my_secret_value", true}, {"connection-timeout", true},
		{"xkqzvwjt", false}, {"q7Rz2Kx9Vb4Nm8Wp3Ls6", false}, {"9f86d081884c7d65", false}, {"jqcvbgzpxw", false},
	} {
		if r := Read([]byte(tt.v)); r.Readable > 0.6 != tt.words {
			t.Errorf("%s: %+v", tt.v, r)
		}
	}
}

// TestParse refuses what is no model, and reads what Append wrote.
func TestParse(t *testing.T) {
	m, err := Parse(weights)
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Append(nil)) != string(weights) {
		t.Error("the model is not what was read")
	}
	if len(weights) > 1<<20 {
		t.Errorf("the model has %d bytes", len(weights))
	}
	loop := &Model{Trees: [][]Node{{{Feature: 0, Left: 0, Right: 0}}}}
	for name, data := range map[string][]byte{
		"empty": nil, "another file": []byte("PK\x03\x04"), "cut off": weights[:len(weights)-1], "goes on": append(m.Append(nil), 0), "loop": loop.Append(nil), "no nodes": (&Model{Trees: [][]Node{{}}}).Append(nil),
		"feature": (&Model{Trees: [][]Node{{{Feature: 1000}}}}).Append(nil),
	} {
		if _, err := Parse(data); err == nil {
			t.Errorf("%s: read without complaint", name)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add("apiKey", "q7Rz2Kx9", `x = "`, `"`, byte(0))
	f.Add("", "\x00\xff", "", "", byte(4))
	f.Add("sse_customer_key", "====fakefakefakefakefake", `"`, `"`, byte(0))
	f.Fuzz(func(t *testing.T, name, value, before, after string, kind byte) {
		if value == "" || len(name) > 200 {
			return
		}
		c := candidate(Kind(kind%5), before, name, value, after)
		var x Vector
		c.Measure(&x)
		if p := Default().Score(&x); math.IsNaN(p) {
			t.Error("no score")
		}
	})
}

func BenchmarkScore(b *testing.B) {
	m := Default()
	c := candidate(Key, `	apiKey := "`, "apiKey", "q7Rz2Kx9Vb4Nm8Wp3Ls6", `"`)
	var x Vector
	b.ReportAllocs()
	for b.Loop() {
		c.Measure(&x)
		m.Score(&x)
	}
}
