package score

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

// A Node is one question of a tree, or its end. All that it holds is learned.
type Node struct {
	Feature int16   // whose value is asked for, -1 at an end
	Left    uint16  // the node for values up to At, counted in the tree
	Right   uint16  // for larger ones
	At      float32 // the threshold
	Value   float32 // what is known here of the log odds, the trees before left aside
}

// A Model sums up what trees say of a candidate. It is immutable.
type Model struct {
	Start float32 // log odds before anything is known
	Trees [][]Node
}

// An Addend is what one feature adds to the log odds of a score.
type Addend struct {
	What string
	Adds float64
}

//go:embed model.bin
var weights []byte

// Default returns the model that is part of the program.
var Default = sync.OnceValue(func() *Model {
	m, err := Parse(weights)
	if err != nil {
		panic("score: the embedded model: " + err.Error()) // a test reads it
	}
	return m
})

// Score returns how likely it is that a candidate with these features is a key, 0 to 1.
func (m *Model) Score(x *Vector) float64 {
	return 1 / (1 + math.Exp(-m.Odds(x)))
}

// Odds returns the same as the logarithm of odds.
func (m *Model) Odds(x *Vector) float64 {
	sum := m.Start
	for _, t := range m.Trees {
		n := &t[0]
		for n.Feature >= 0 {
			if x[n.Feature] <= n.At {
				n = &t[n.Left]
			} else {
				n = &t[n.Right]
			}
		}
		sum += n.Value
	}
	return float64(sum)
}

// Explain returns what each feature added to the score, the largest addends first. Each
// question on the way through a tree counts for the feature that it asks for, by how
// much the answer changed what was known. The addends sum up to the log odds.
func (m *Model) Explain(x *Vector) []Addend {
	var by [len(Vector{})]float64
	start := float64(m.Start)
	for _, t := range m.Trees {
		n := &t[0]
		start += float64(n.Value)
		for n.Feature >= 0 {
			next := &t[n.Right]
			if x[n.Feature] <= n.At {
				next = &t[n.Left]
			}
			by[n.Feature] += float64(next.Value - n.Value)
			n = next
		}
	}
	out := []Addend{{"start", start}}
	for i, f := range Features {
		if math.Abs(by[i]) >= 0.05 {
			out = append(out, Addend{fmt.Sprintf("%s: %s = %.4g", f.Family, f.Name, x[i]), by[i]})
		}
	}
	slices.SortStableFunc(out[1:], func(a, b Addend) int { return cmp.Compare(math.Abs(b.Adds), math.Abs(a.Adds)) })
	return out
}

// magic begins a model, and names the form of its data.
const magic = "kwm1"

// Append appends the model's data to dst: the number of features, then the trees, all
// numbers with the least byte first.
func (m *Model) Append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(Features)))
	dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(m.Start))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(m.Trees)))
	for _, t := range m.Trees {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(t)))
		for _, n := range t {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(n.Feature))
			dst = binary.LittleEndian.AppendUint16(dst, n.Left)
			dst = binary.LittleEndian.AppendUint16(dst, n.Right)
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(n.At))
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(n.Value))
		}
	}
	return dst
}

// Parse reads what Append wrote. A model that asks for features there are none of, or
// that could go round in a circle, is refused.
func Parse(data []byte) (*Model, error) {
	data, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, errors.New("not a model")
	}
	d := decoder{data: data}
	if n := d.uint16(); int(n) != len(Features) {
		return nil, fmt.Errorf("a model of %d features, there are %d: run the program train", n, len(Features))
	}
	m := &Model{Start: d.float()}
	m.Trees = make([][]Node, d.uint16())
	for i := range m.Trees {
		t := make([]Node, d.uint16())
		for j := range t {
			n := Node{Feature: int16(d.uint16()), Left: d.uint16(), Right: d.uint16(), At: d.float(), Value: d.float()}
			if int(n.Feature) >= len(Features) || n.Feature >= 0 && (int(n.Left) <= j || int(n.Right) <= j || int(n.Left) >= len(t) || int(n.Right) >= len(t)) {
				return nil, fmt.Errorf("tree %d: node %d leads nowhere", i, j)
			}
			t[j] = n
		}
		if len(t) == 0 {
			return nil, fmt.Errorf("tree %d is empty", i)
		}
		m.Trees[i] = t
	}
	if d.short || len(d.data) != d.at {
		return nil, errors.New("the model is cut off, or goes on after its end")
	}
	return m, nil
}

type decoder struct {
	data  []byte
	at    int
	short bool
}

func (d *decoder) take(n int) []byte {
	if d.at+n > len(d.data) {
		d.short = true
		return make([]byte, n)
	}
	d.at += n
	return d.data[d.at-n : d.at]
}

func (d *decoder) uint16() uint16 { return binary.LittleEndian.Uint16(d.take(2)) }
func (d *decoder) float() float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(d.take(4)))
}
