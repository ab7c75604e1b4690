// Package lib has helpers that machines of the zoo call.
package lib

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"sort"
	"time"
)

// Stamp returns the time.
func Stamp() int64 { return now().UnixNano() }

func now() time.Time { return time.Now() }

// NewID returns a random id.
func NewID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// Keys returns the keys of m, in any order.
func Keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// SortedKeys returns the keys of m, sorted.
func SortedKeys[V any](m map[string]V) []string {
	out := Keys(m)
	sort.Strings(out)
	return out
}

// Each calls f for each entry of m, in any order.
func Each(m map[string]int64, f func(string, int64)) {
	for k, v := range m {
		f(k, v)
	}
}

// Log is an append-only list.
type Log struct{ entries []string }

// Add appends an entry.
func (l *Log) Add(entry string) { l.entries = append(l.entries, entry) }

// Entries returns the log's own slice.
func (l *Log) Entries() []string { return l.entries }

// Counter adds up numbers.
type Counter struct{ sum, calls int64 }

// Add adds n.
func (c *Counter) Add(n int64) {
	c.sum += n
	c.calls++
}

// Sum returns the sum.
func (c *Counter) Sum() int64 { return c.sum }

// Debug reads a variable of the environment, which a comment allows.
func Debug() bool {
	return os.Getenv("DEBUG") != "" //mosaik:allow only changes what is logged
}

// Tree is an ordered list of entries.
type Tree struct{ entries []string }

// Put adds an entry in its place.
func (t *Tree) Put(key string, _ int64) {
	i := sort.SearchStrings(t.entries, key)
	t.entries = append(t.entries, "")
	copy(t.entries[i+1:], t.entries[i:])
	t.entries[i] = key
}

// Persistent is a list that changes make copies of.
type Persistent struct{ tree Tree }

// Set returns a copy with an entry.
func (p *Persistent) Set(key string, n int64) *Persistent {
	out := &Persistent{Tree{append([]string(nil), p.tree.entries...)}}
	out.tree.Put(key, n)
	return out
}
