package state

import "strings"

// maxFrames bounds the frames that a log line holds.
const maxFrames = 32

// Frames returns the part of a stack, as [runtime/debug.Stack] words it, that lies between
// a panic and this package: a function with its file and line each, the innermost first.
// That is what a log can hold: in one line the stack itself is not readable.
func Frames(stack []byte) []string {
	var frames []string
	lines := strings.Split(string(stack), "\n")
	broke := false // the panic was passed
	for i := 1; i+1 < len(lines); i += 2 {
		name, _, _ := cutLast(lines[i], "(")
		switch {
		case strings.HasPrefix(name, packageName+"(*turn).take"), strings.HasPrefix(lines[i], "created by "):
			return frames
		case name == "panic", name == "runtime.Goexit":
			broke, frames = true, nil
		case broke && !strings.HasPrefix(name, "runtime.") && len(frames) < maxFrames:
			place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
			frames = append(frames, name+" "+place)
		}
	}
	return frames
}

// packageName begins the names of this package's functions.
const packageName = "github.com/mosaik-go/mosaik/mosaik/internal/state."

// cutLast cuts s around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
