package pack

import (
	"sync"
	"sync/atomic"
)

// An Object is one that was read. Data is not to be changed: others have it too. It may
// be read until it is released.
type Object struct {
	Kind  Kind
	Data  []byte
	block *block
}

// Release says that who asked for the object does not need it any more.
func (o Object) Release() { o.block.release() }

// A block is memory that objects are read into, one behind the other. All are of one
// size, so that one that nobody needs serves for any others.
type block struct {
	data  []byte
	at    []Place      // of the objects in it
	users atomic.Int32 // objects that were asked for, and the cache
	free  *freeList
}

const blockSize = MaxObject

func (b *block) release() {
	if b.users.Add(-1) == 0 {
		b.free.give(b)
	}
}

// A freeList keeps blocks that nobody needs.
type freeList struct {
	mu     sync.Mutex
	blocks []*block
}

func (f *freeList) give(b *block) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks = append(f.blocks, b)
}

func (f *freeList) take() *block {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &block{free: f}
	if last := len(f.blocks) - 1; last >= 0 {
		b = f.blocks[last]
		f.blocks = f.blocks[:last]
	} else {
		b.data = make([]byte, 0, blockSize)
	}
	b.data, b.at = b.data[:0], b.at[:0]
	b.users.Store(1)
	return b
}

// A cache keeps the objects that a reader read last: those of cacheBlocks blocks.
type cache struct {
	free   *freeList
	at     map[Place]Object
	blocks []*block // the newest last: new objects come into it
}

const cacheBlocks = 8

// get returns the object of a place, for the caller to release.
func (c *cache) get(at Place) (Object, bool) {
	o, ok := c.at[at]
	if ok {
		o.block.users.Add(1)
	}
	return o, ok
}

// room returns an object of n bytes, at most MaxObject, to be filled and released.
func (c *cache) room(kind Kind, n int) Object {
	if len(c.blocks) == 0 || blockSize-len(c.blocks[len(c.blocks)-1].data) < n {
		if len(c.blocks) == cacheBlocks {
			c.drop()
		}
		c.blocks = append(c.blocks, c.free.take())
	}
	b := c.blocks[len(c.blocks)-1]
	start := len(b.data)
	b.data = b.data[:start+n]
	b.users.Add(1)
	return Object{Kind: kind, Data: b.data[start : start+n : start+n], block: b}
}

// put keeps an object that room returned.
func (c *cache) put(at Place, o Object) {
	if c.at == nil {
		c.at = map[Place]Object{}
	}
	c.at[at] = o
	o.block.at = append(o.block.at, at)
}

// drop forgets the objects of the oldest block.
func (c *cache) drop() {
	b := c.blocks[0]
	c.blocks = append(c.blocks[:0], c.blocks[1:]...)
	for _, at := range b.at {
		if c.at[at].block == b {
			delete(c.at, at)
		}
	}
	b.release()
}

func (c *cache) clear() {
	for len(c.blocks) > 0 {
		c.drop()
	}
}
