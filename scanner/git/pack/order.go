package pack

import (
	"cmp"
	"slices"
)

// Order returns in which order objects are best read, as indexes of their places: each
// behind the one that it is a difference to, and as near behind it as can be. families
// are the positions in the order at which objects begin that have nothing to do with
// those before them. git packs the versions of a file as differences to each other, git
// fast-import whatever came one after another.
func (r *Reader) Order(places []Place) (order, families []int32) {
	nodes, byPlace := r.forest(places)
	size := make([]int32, len(nodes)) // of what hangs on a node
	first, next := make([]int32, len(nodes)), make([]int32, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- { // all that hangs on a node stands behind it
		size[i]++
		if up := nodes[i].up; up >= 0 {
			size[up] += size[i]
		}
		first[i], next[i] = -1, -1
	}
	// Of the branches at a node the largest is read last: until then the node is known.
	branches := make([]int32, len(nodes))
	for i := range branches {
		branches[i] = int32(i)
	}
	slices.SortStableFunc(branches, func(a, b int32) int { return cmp.Compare(size[b], size[a]) })
	for _, i := range branches {
		if up := nodes[i].up; up >= 0 {
			next[i], first[up] = first[up], i
		}
	}
	order = make([]int32, 0, len(places))
	var open []int32
	for i := range nodes {
		if nodes[i].up >= 0 {
			continue
		}
		begin := len(order)
		for open = append(open[:0], int32(i)); len(open) > 0; {
			n := open[len(open)-1]
			open = open[:len(open)-1]
			order = append(order, byPlace[nodes[n].from:nodes[n].to]...)
			if next[n] >= 0 {
				open = append(open, next[n])
			}
			if first[n] >= 0 {
				open = append(open, first[n])
			}
		}
		if len(order) > begin {
			families = append(families, int32(begin))
		}
	}
	return order, families
}

// A node is an object that is wanted, or one that such a one is a difference to.
type node struct {
	at, base Place // base is 0 of what stands in full
	up       int32 // the node that is its base, or -1
	from, to int32 // which of the indexes by place are of this object
}

// forest returns the objects at the places, and those that are needed for them, in the
// order in which they stand, and the indexes of the places in that order.
func (r *Reader) forest(places []Place) (nodes []node, byPlace []int32) {
	byPlace = make([]int32, len(places))
	for i := range byPlace {
		byPlace[i] = int32(i)
	}
	slices.SortStableFunc(byPlace, func(a, b int32) int { return cmp.Compare(places[a], places[b]) })
	for i, n := range byPlace {
		if last := len(nodes) - 1; last >= 0 && nodes[last].at == places[n] {
			nodes[last].to++
			continue
		}
		nodes = append(nodes, node{at: places[n], base: r.baseOf(places[n]), from: int32(i), to: int32(i) + 1})
	}
	find := func(at Place) (int, bool) {
		return slices.BinarySearchFunc(nodes, at, func(n node, at Place) int { return cmp.Compare(n.at, at) })
	}
	more := map[Place]Place{}       // what is needed without being wanted, and the bases of that
	most := 4*len(nodes) + maxChain // what a pack claims has to end somewhere
	for i := range nodes {
		for b := nodes[i].base; b != 0 && len(more) < most; b = more[b] {
			_, wanted := find(b)
			if _, known := more[b]; wanted || known {
				break
			}
			more[b] = r.baseOf(b)
		}
	}
	for at, base := range more {
		nodes = append(nodes, node{at: at, base: base})
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.at, b.at) })
	for i := range nodes {
		nodes[i].up = -1
		if n, ok := find(nodes[i].base); ok {
			nodes[i].up = int32(n)
		}
	}
	return nodes, byPlace
}

// baseOf returns what an object is a difference to, 0 if it stands in full or can not be
// read.
func (r *Reader) baseOf(at Place) Place {
	e, err := r.entry(at)
	if err != nil {
		return 0
	}
	return e.base
}
