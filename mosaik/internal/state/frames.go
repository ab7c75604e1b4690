package state

import "strings"

// maxFrames limits the frames of one log line.
const maxFrames = 32

// Frames returns the frames of a stack between a panic and this package, innermost first: the
// function with its file and line. stack is formatted as by [runtime/debug.Stack], which is not
// readable in the single line of a log. It returns 32 frames at most.
func Frames(stack []byte) []string {
	var frames []string
	lines := strings.Split(string(stack), "\n")
	panicked := false // the frames of the panic itself were seen
	for i := 1; i+1 < len(lines); i += 2 {
		name, _, _ := cutLast(lines[i], "(")
		switch {
		case strings.HasPrefix(name, packageName+"(*execution).applyCommands"), strings.HasPrefix(lines[i], "created by "):
			return frames
		case name == "panic", name == "runtime.Goexit":
			panicked, frames = true, nil
		case panicked && !strings.HasPrefix(name, "runtime.") && len(frames) < maxFrames:
			position, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
			frames = append(frames, name+" "+position)
		}
	}
	return frames
}

// packageName is the prefix of the names of functions of this package.
const packageName = "github.com/mosaik-go/mosaik/mosaik/internal/state."

// cutLast cuts s around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
