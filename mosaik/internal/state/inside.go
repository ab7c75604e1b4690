package state

import (
	"reflect"
	"runtime"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// Applying returns the index of the command that is being applied, of the first one while
// a batch is, and 0 for none. It takes no lock.
func (s *State) Applying() sm.Index { return sm.Index(s.turn.applying.Load()) }

// IsCaller reports whether the caller was called by the machine's Apply, on the goroutine
// that applies. It asks for the command that Applying returned to the caller earlier: if
// that is over by now, Apply is not what called. So most callers are spared the walk over
// their stack, which takes about a microsecond.
func (s *State) IsCaller(applying sm.Index) bool {
	return applying != 0 && s.Applying() == applying && insideTake()
}

// insideTake reports whether a machine applies on this goroutine: whether turn.take has a
// frame on its stack.
func insideTake() bool {
	lo, hi := takeCode()
	var pcs [64]uintptr
	for skip := 1; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if lo < pc && pc <= hi { // pc is where the frame continues
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// takeCode returns where the code of turn.take lies.
var takeCode = sync.OnceValues(func() (lo, hi uintptr) {
	lo = reflect.ValueOf((*turn).take).Pointer()
	for hi = lo; ; hi++ {
		if f := runtime.FuncForPC(hi); f == nil || f.Entry() != lo {
			return lo, hi
		}
	}
})
