package state

import (
	"reflect"
	"runtime"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// Applying returns the index of the command that is being applied, of the first one while
// a batch is, and 0 for none. It takes no lock.
func (s *State) Applying() sm.Index { return sm.Index(s.execution.applying.Load()) }

// InApply reports whether the calling goroutine is inside the machine's Apply. applying is what
// Applying returned to the caller earlier. If that command has completed since, the caller is not
// inside Apply, and InApply skips the walk over the stack, which takes about a microsecond.
func (s *State) InApply(applying sm.Index) bool {
	return applying != 0 && s.Applying() == applying && onApplyStack()
}

// onApplyStack reports whether the stack of this goroutine has a frame of
// execution.applyCommands, which calls the machine.
func onApplyStack() bool {
	lo, hi := applyCommandsCode()
	var pcs [64]uintptr
	for skip := 1; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if lo < pc && pc <= hi { // pc is a return address, after the call
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// applyCommandsCode returns the range of addresses of the code of execution.applyCommands.
var applyCommandsCode = sync.OnceValues(func() (lo, hi uintptr) {
	lo = reflect.ValueOf((*execution).applyCommands).Pointer()
	for hi = lo; ; hi++ {
		if f := runtime.FuncForPC(hi); f == nil || f.Entry() != lo {
			return lo, hi
		}
	}
})
