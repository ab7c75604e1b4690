package main

import (
	"fmt"
	"io"
	"time"
)

// timeline prints what happens, when, and on which node.
type timeline struct {
	out   io.Writer
	start time.Time
}

func newTimeline(out io.Writer) *timeline { return &timeline{out: out, start: time.Now()} }

// chapter prints a heading.
func (t *timeline) chapter(title string) { fmt.Fprintf(t.out, "\n%s\n", title) }

// say prints an event on the node with a name.
func (t *timeline) say(who, format string, args ...any) {
	fmt.Fprintf(t.out, "%8.3fs  %-5s %s\n", time.Since(t.start).Seconds(), who, fmt.Sprintf(format, args...))
}
