package linear

import "slices"

// QueueInput is an operation on a queue. [Enqueue] and [Dequeue] make one.
type QueueInput[V comparable] struct {
	Add   bool // Value is added at the end; otherwise the first value is removed
	Value V
}

// QueueOutput is the output of an operation on a queue. Outputs of enqueue are not checked.
type QueueOutput[V comparable] struct {
	Value V    // of dequeue
	OK    bool // of dequeue: the queue had a value
}

// Enqueue adds a value at the end.
func Enqueue[V comparable](value V) QueueInput[V] { return QueueInput[V]{Add: true, Value: value} }

// Dequeue removes the first value and returns it.
func Dequeue[V comparable]() QueueInput[V] { return QueueInput[V]{} }

// Queue returns the model of a queue, first in, first out, that is empty at first. An operation
// that was declined changes nothing.
func Queue[V comparable]() Model[[]V, QueueInput[V], QueueOutput[V]] {
	return Model[[]V, QueueInput[V], QueueOutput[V]]{
		Init:  func() []V { return nil },
		Equal: slices.Equal[[]V],
		Step: func(all []V, in QueueInput[V], out Output[QueueOutput[V]]) ([]V, bool) {
			switch {
			case !out.Unknown && out.Err != nil:
				return all, true
			case in.Add:
				return append(slices.Clip(all), in.Value), true
			case len(all) == 0:
				return all, out.Unknown || !out.Value.OK
			}
			return all[1:], out.Unknown || out.Value == QueueOutput[V]{all[0], true}
		},
	}
}
