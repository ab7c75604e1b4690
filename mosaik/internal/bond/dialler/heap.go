package dialler

import "container/heap"

// targetHeap holds targets in an order. A target is in one heap at most.
type targetHeap struct {
	targets []*Target
	before  func(a, b *Target) bool
}

// first returns the target before all others, nil when there is none.
func (h *targetHeap) first() *Target {
	if len(h.targets) == 0 {
		return nil
	}
	return h.targets[0]
}

// add puts a target that is in no heap in its place.
func (h *targetHeap) add(t *Target) {
	t.heap = h
	heap.Push(h, t)
}

// dequeue takes the target out of the heap that it is in, if any.
func (t *Target) dequeue() {
	if t.heap != nil {
		heap.Remove(t.heap, t.index)
		t.heap = nil
	}
}

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (h *targetHeap) Len() int           { return len(h.targets) }
func (h *targetHeap) Less(i, j int) bool { return h.before(h.targets[i], h.targets[j]) }
func (h *targetHeap) Swap(i, j int) {
	h.targets[i], h.targets[j] = h.targets[j], h.targets[i]
	h.targets[i].index, h.targets[j].index = i, j
}
func (h *targetHeap) Push(x any) {
	t := x.(*Target)
	t.index = len(h.targets)
	h.targets = append(h.targets, t)
}
func (h *targetHeap) Pop() any {
	last := len(h.targets) - 1
	t := h.targets[last]
	h.targets[last] = nil
	h.targets = h.targets[:last]
	return t
}
