package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/keyward/keyward/scanner/score"
)

// How the trees are grown. Found by cross-validation, on whole folds only.
type growth struct {
	trees  int
	depth  int
	rate   float64 // share of what a tree says that is taken
	least  float64 // curvature that each side of a question must have
	ridge  float64 // pulls the ends towards nothing
	rows   float64 // share of the rows that a tree is fitted to
	marks  float64 // share of the features that it may ask for
	bounds int     // thresholds that are tried for a feature
	leave  map[int]bool
}

var usual = growth{trees: 240, depth: 6, rate: 0.045, least: 3, ridge: 4, rows: 0.7, marks: 0.5, bounds: 64}

// grow makes a model by gradient boosting: each tree is fitted to what the ones before
// leave open, with Newton steps on the logistic loss. It is deterministic.
func grow(rows []*row, g growth) *score.Model {
	nf := len(score.Features)
	bins, at := quantize(rows, nf, g.bounds)
	sum, total := 0.0, 0.0
	for _, r := range rows {
		total += r.weight
		if r.key {
			sum += r.weight
		}
	}
	m := &score.Model{Start: float32(math.Log(sum / (total - sum)))}
	z := make([]float64, len(rows)) // log odds so far
	for i := range z {
		z[i] = float64(m.Start)
	}
	grad, curve := make([]float64, len(rows)), make([]float64, len(rows))
	rng := rand.New(rand.NewPCG(1, 2)) // always the same
	for range g.trees {
		for i, r := range rows {
			p := 1 / (1 + math.Exp(-z[i]))
			y := 0.0
			if r.key {
				y = 1
			}
			grad[i], curve[i] = r.weight*(y-p), r.weight*p*(1-p)
		}
		b := &builder{rows: rows, bins: bins, at: at, grad: grad, curve: curve, g: g}
		m.Trees = append(m.Trees, b.tree(rng))
		last := score.Model{Trees: m.Trees[len(m.Trees)-1:]}
		for i, r := range rows {
			z[i] += last.Odds(&r.x)
		}
	}
	return m
}

// quantize sorts the values of each feature into bins, and returns the bins of each
// row, feature by feature, and the largest value of each bin.
func quantize(rows []*row, nf, most int) (bins [][]uint8, at [][]float32) {
	bins, at = make([][]uint8, nf), make([][]float32, nf)
	var wg sync.WaitGroup
	for f := range nf {
		wg.Go(func() {
			values := make([]float32, len(rows))
			for i, r := range rows {
				values[i] = r.x[f]
			}
			slices.Sort(values)
			distinct := slices.Compact(slices.Clone(values))
			cuts := distinct
			if len(distinct) > most {
				cuts = nil
				for i := 1; i <= most; i++ {
					cuts = append(cuts, values[i*len(values)/most-1])
				}
				cuts = slices.Compact(cuts)
			}
			at[f] = cuts
			bins[f] = make([]uint8, len(rows))
			for i, r := range rows {
				n, _ := slices.BinarySearch(cuts, r.x[f])
				bins[f][i] = uint8(n)
			}
		})
	}
	wg.Wait()
	return bins, at
}

// a builder grows one tree.
type builder struct {
	rows        []*row
	bins        [][]uint8
	at          [][]float32
	grad, curve []float64
	g           growth
	skip        []bool // features that this tree may not ask for
	nodes       []score.Node
}

// tree grows the tree, from rows and features that rng chooses.
func (b *builder) tree(rng *rand.Rand) []score.Node {
	var some []int32
	for i, r := range b.rows {
		if rng.Float64() < b.g.rows && r.weight > 0 {
			some = append(some, int32(i))
		}
	}
	b.skip = make([]bool, len(b.bins))
	for f := range b.skip {
		b.skip[f] = rng.Float64() >= b.g.marks || b.g.leave[f]
	}
	b.node(some, 0)
	return b.nodes
}

// node adds the node for a part of the rows, and those below it.
func (b *builder) node(part []int32, depth int) uint16 {
	var grad, curve float64
	for _, i := range part {
		grad += b.grad[i]
		curve += b.curve[i]
	}
	value := b.g.rate * grad / (curve + b.g.ridge)
	n := len(b.nodes)
	b.nodes = append(b.nodes, score.Node{Feature: -1, Value: float32(value)})
	f, bin := -1, 0
	if depth < b.g.depth {
		f, bin = b.best(part, grad, curve)
	}
	if f < 0 {
		return uint16(n)
	}
	var left, right []int32
	for _, i := range part {
		if int(b.bins[f][i]) <= bin {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	l := b.node(left, depth+1)
	r := b.node(right, depth+1)
	b.nodes[n] = score.Node{Feature: int16(f), At: b.at[f][bin], Left: l, Right: r, Value: float32(value)}
	return uint16(n)
}

// best returns the question that tells most, -1 if none tells enough.
func (b *builder) best(part []int32, grad, curve float64) (feature, bin int) {
	type question struct {
		gain float64
		bin  int
	}
	answers := make([]question, len(b.bins))
	var wg sync.WaitGroup
	const strands = 2
	for s := range strands {
		wg.Go(func() {
			var hg, hc [256]float64
			for f := s; f < len(b.bins); f += strands {
				answers[f].bin = -1
				if b.skip[f] || len(b.at[f]) < 2 {
					continue
				}
				clear(hg[:])
				clear(hc[:])
				bins := b.bins[f]
				for _, i := range part {
					hg[bins[i]] += b.grad[i]
					hc[bins[i]] += b.curve[i]
				}
				var lg, lc float64
				for k := range len(b.at[f]) - 1 {
					lg += hg[k]
					lc += hc[k]
					rg, rc := grad-lg, curve-lc
					if lc < b.g.least || rc < b.g.least {
						continue
					}
					gain := lg*lg/(lc+b.g.ridge) + rg*rg/(rc+b.g.ridge) - grad*grad/(curve+b.g.ridge)
					if gain > answers[f].gain+1e-9 {
						answers[f] = question{gain, k}
					}
				}
			}
		})
	}
	wg.Wait()
	feature = -1
	top := 0.5 // what a question has to tell at least
	for f, a := range answers {
		if a.bin >= 0 && a.gain > top+1e-9 {
			feature, bin, top = f, a.bin, a.gain
		}
	}
	return feature, bin
}
