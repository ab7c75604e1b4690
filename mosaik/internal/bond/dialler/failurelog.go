package dialler

import (
	"slices"
	"strings"
)

// FailureLog remembers the last failure, so that one that repeats is logged once. The zero
// value is ready for use.
type FailureLog struct{ last string }

// Changed reports whether err is a failure other than the one before; nil is success. Errors
// count as the same if their innermost causes read the same, apart from digits and order.
func (f *FailureLog) Changed(err error) bool {
	text := ""
	if err != nil {
		causes := strings.Split(withoutDigits(rootCause(err)), "\n")
		slices.Sort(causes) // dials end in any order
		text = strings.Join(slices.Compact(causes), "\n")
	}
	changed := text != "" && text != f.last
	f.last = text
	return changed
}

// rootCause returns the text of the innermost errors that err wraps. What wraps them names
// port numbers, which differ from attempt to attempt.
func rootCause(err error) string {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return rootCause(inner)
		}
	case interface{ Unwrap() []error }:
		text := ""
		for _, inner := range e.Unwrap() {
			text += rootCause(inner) + "\n"
		}
		return text
	}
	return err.Error()
}

// withoutDigits removes the digits of a text: a resolver's error names the port that it was
// asked from.
func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}
