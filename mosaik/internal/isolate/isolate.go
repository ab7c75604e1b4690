// Package isolate calls code of the user that must not end the calling goroutine, by a panic or
// otherwise.
//
// Recovering from panics is not enough: [runtime.Goexit] cannot be recovered from, and it would
// end a goroutine that calls the code of several groups.
package isolate

import (
	"errors"
	"runtime/debug"
	"testing"
)

// ErrExited is what [Call] returns for code that ended its goroutine, as t.Fatal does in a test.
var ErrExited = errors.New("runtime.Goexit was called, as t.FailNow and t.Fatal do")

// Call calls f on another goroutine and waits for it. It returns the value that f panicked with,
// or [ErrExited], and the stack of that moment; nil if f returned.
func Call(f func()) (broken any, stack []byte) {
	c := New(f)
	c.inline = false
	return c.Call()
}

// Caller calls one function repeatedly without allocating. One call at a time may be in flight.
//
// It uses another goroutine in tests only, where t.FailNow may be called: the goroutine costs a
// single caller of commands 5 % of its time.
type Caller struct {
	inline bool          // body runs on the caller's goroutine
	body   func()        // calls the function, sets broken and stack, and sends on ended
	ended  chan struct{} // has room for one token, so that body never blocks
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

// Call calls the function. Its results are those of the function [Call].
func (c *Caller) Call() (broken any, stack []byte) {
	if c.inline {
		c.body()
	} else {
		go c.body()
	}
	<-c.ended
	return c.broken, c.stack
}
