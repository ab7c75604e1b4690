package sm

import "io"

// Freezer is a [Snapshotter] that can freeze its state in a step that takes equally long
// for small and large states. A member then writes its snapshots while it applies further
// commands. Without it, the member applies nothing while a snapshot is written.
//
// mosaik-gen generates Freeze for machines with snapshots whose state has a [Map], [Set]
// or [List]. A hand-written machine with such fields copies them into the view.
type Freezer interface {
	Snapshotter
	// Freeze returns a view of the whole state as it is now. It never runs during an
	// Apply or a query, and this member applies nothing until it returns. A panic is an
	// error.
	Freeze() (View, error)
}

// View is the state of a machine at the moment at which it was frozen. Commands that
// are applied later do not change it.
type View interface {
	// Snapshot writes what [Snapshotter].Snapshot would have written at that moment. It
	// is called at most once, and runs at the same time as Apply and queries. A panic is
	// an error.
	Snapshot(w io.Writer) error
	// Close releases the view. It is called once: after Snapshot has returned, or when
	// the view is not needed.
	Close() error
}
