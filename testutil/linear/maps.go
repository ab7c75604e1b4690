package linear

import "fmt"

// MapInput is an operation on a map. [Get], [Put], [Delete] and [Replace] make one.
type MapInput[K, V comparable] struct {
	Op       string // "get", "put", "delete" or "replace"
	Key      K
	Old, New V // New of put and replace, Old of replace
}

// MapOutput is the output of an operation on a map. Outputs of put and delete are not checked.
type MapOutput[V comparable] struct {
	Value V    // of get: the value, the zero value without one
	OK    bool // of get: the key has a value; of replace: the value was replaced
}

// Get returns the value of a key.
func Get[K, V comparable](key K) MapInput[K, V] { return MapInput[K, V]{Op: "get", Key: key} }

// Put sets the value of a key.
func Put[K, V comparable](key K, value V) MapInput[K, V] {
	return MapInput[K, V]{Op: "put", Key: key, New: value}
}

// Delete removes the value of a key.
func Delete[K, V comparable](key K) MapInput[K, V] { return MapInput[K, V]{Op: "delete", Key: key} }

// Replace sets the value of a key if it has the value old.
func Replace[K, V comparable](key K, old, new V) MapInput[K, V] {
	return MapInput[K, V]{Op: "replace", Key: key, Old: old, New: new}
}

// Map returns the model of a map that is empty at first.
func Map[K, V comparable]() Model[MapOutput[V], MapInput[K, V], MapOutput[V]] {
	return Model[MapOutput[V], MapInput[K, V], MapOutput[V]]{
		Key:   func(in MapInput[K, V]) string { return fmt.Sprintf("%#v", in.Key) },
		Init:  func() MapOutput[V] { return MapOutput[V]{} },
		Equal: func(a, b MapOutput[V]) bool { return a == b },
		Step: func(held MapOutput[V], in MapInput[K, V], out Output[MapOutput[V]]) (MapOutput[V], bool) {
			declined := !out.Unknown && out.Err != nil
			switch in.Op {
			case "get":
				return held, out.Unknown || declined || out.Value == held
			case "put":
				if declined {
					return held, true
				}
				return MapOutput[V]{in.New, true}, true
			case "delete":
				if declined {
					return held, true
				}
				return MapOutput[V]{}, true
			case "replace":
				if held != (MapOutput[V]{in.Old, true}) {
					return held, out.Unknown || declined || !out.Value.OK
				}
				return MapOutput[V]{in.New, true}, out.Unknown || !declined && out.Value.OK
			}
			panic(fmt.Sprintf("linear: MapInput.Op is %q; use Get, Put, Delete or Replace", in.Op))
		},
	}
}
