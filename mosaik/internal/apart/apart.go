// Package apart calls code that must not end its caller's goroutine.
//
// Recovering from panics alone would not do: [runtime.Goexit] cannot be recovered
// from, and a goroutine that calls the code of several groups would end for all
// of them.
package apart

import (
	"errors"
	"runtime/debug"
	"testing"
)

// ErrExited is what code is broken by that ended its goroutine, as a test does
// that fails at once.
var ErrExited = errors.New("runtime.Goexit was called, as t.FailNow and t.Fatal do")

// Call calls f on a goroutine of its own, waits for it, and returns what f
// panicked with and where, nil if it returned.
func Call(f func()) (broken any, stack []byte) {
	c := New(f)
	c.inline = false
	return c.Call()
}

// Caller calls one function, any number of times but once at a time, without
// taking memory for it.
//
// It uses another goroutine in tests only, where t.FailNow is called. It costs a
// lone caller of a command a twentieth of its time.
type Caller struct {
	inline bool
	body   func()
	ended  chan struct{}
	broken any
	stack  []byte
}

// New returns a caller of f.
func New(f func()) *Caller {
	c := &Caller{inline: !testing.Testing(), ended: make(chan struct{}, 1)}
	c.body = func() {
		returned := false
		defer func() {
			c.broken, c.stack = recover(), nil
			if c.broken == nil && !returned {
				c.broken = ErrExited
			}
			if c.broken != nil {
				c.stack = debug.Stack()
			}
			c.ended <- struct{}{}
		}()
		f()
		returned = true
	}
	return c
}

// Call is the function [Call] of what the caller was made of.
func (c *Caller) Call() (broken any, stack []byte) {
	if c.inline {
		c.body()
	} else {
		go c.body()
	}
	<-c.ended
	return c.broken, c.stack
}
