package bond

import (
	"errors"
	"slices"
	"strings"
)

// failureLog remembers what went wrong last, so that what goes wrong repeatedly
// is logged once per change.
type failureLog struct{ last string }

// changed reports whether err, nil for success, is an error other than the one
// before.
func (f *failureLog) changed(err error) bool {
	text := ""
	if err != nil && !errors.Is(err, ErrClosed) {
		causes := strings.Split(withoutDigits(rootCause(err)), "\n")
		slices.Sort(causes) // dials end in any order
		text = strings.Join(slices.Compact(causes), "\n")
	}
	changed := text != "" && text != f.last
	f.last = text
	return changed
}

// rootCause returns the text of the errors that err wraps, without what they
// are wrapped in: port numbers there differ from attempt to attempt.
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

// withoutDigits removes the digits of a text: the error of a resolver names the
// port that it was asked from.
func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}
