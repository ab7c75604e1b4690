package state

import (
	"reflect"
	"runtime"
)

// takeEntry is where the code of turn.take begins: a goroutine has it on its stack while a
// machine applies on it, and never else.
var takeEntry = reflect.ValueOf((*turn).take).Pointer()

// IsCaller reports whether the caller was called by the machine's Apply, on the goroutine
// that applies. It costs an atomic read while nothing is applied, and a walk over the
// caller's stack while something is.
func (s *State) IsCaller() bool { return s.turn.applying.Load() != 0 && insideTake() }

// insideTake reports whether a machine applies on this goroutine.
func insideTake() bool {
	var pcs [64]uintptr
	for skip := 1; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == takeEntry {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
