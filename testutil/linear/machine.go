package linear

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/internal/dump"
)

// Machine returns a model that applies the operations to a machine of the service, one after the
// other. Their inputs are commands of type C, and queries; their outputs are what the commands
// and queries return. The machine must have snapshots that are the same bytes for the same
// state, as generated ones are, and must not look at its [sm.ApplyContext].
//
// It needs no second description of the service, and finds what replication does wrong. It does
// not find mistakes of the machine itself.
func Machine[C any, M interface {
	sm.StateMachine[C]
	sm.Snapshotter
}](newMachine func() M) Model[[]byte, any, any] {
	return Model[[]byte, any, any]{
		Init:  func() []byte { return saved(newMachine()) },
		Equal: bytes.Equal,
		Step: func(s []byte, in any, out Output[any]) ([]byte, bool) {
			m := newMachine()
			if err := m.Restore(bytes.NewReader(s)); err != nil {
				panic(fmt.Sprintf("linear: the machine cannot restore what it wrote: %v", err))
			}
			var value any
			var err error
			if cmd, ok := in.(C); ok {
				value, err = m.Apply(sm.NewApplyContext(sm.ApplyInfo{}), cmd)
				s = saved(m)
			} else {
				value, err = query(m, in)
			}
			return s, out.Unknown || same(out, value, err)
		},
	}
}

func saved(m sm.Snapshotter) []byte {
	var b bytes.Buffer
	if err := m.Snapshot(&b); err != nil {
		panic(fmt.Sprintf("linear: the machine cannot write a snapshot: %v", err))
	}
	return b.Bytes()
}

// query calls the method Query of a query, whose result type is not known here.
func query(machine, in any) (any, error) {
	method := reflect.ValueOf(in).MethodByName("Query")
	m := reflect.ValueOf(machine)
	if !method.IsValid() || method.Type().NumIn() != 1 || method.Type().In(0) != m.Type() || method.Type().NumOut() != 2 {
		panic(fmt.Sprintf("linear: the input %T is neither a command nor a query of %T", in, machine))
	}
	out := method.Call([]reflect.Value{m})
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

// same reports whether the client learned what the machine returned.
func same(out Output[any], value any, err error) bool {
	if out.Err != nil || err != nil {
		return out.Err != nil && err != nil && out.Err.Error() == err.Error()
	}
	return dump.Value("", out.Value) == dump.Value("", value)
}
