package sm

// BatchApplier is implemented by a [StateMachine] that applies the commands of a
// log entry together, say in one transaction of a database. Commands that are
// issued at the same time, and those of one batch, share an entry. Apply is not
// called then, except by ApplyBatch itself:
//
//	func (l *Ledger) ApplyBatch(batch []sm.Applying[Command]) {
//		tx := l.db.Begin()
//		defer tx.Commit()
//		for i := range batch {
//			c := &batch[i]
//			c.Result, c.Err = l.applyIn(tx, c.At, c.Command)
//		}
//	}
//
// Hold a machine to it by a line like
//
//	var _ sm.BatchApplier[Command] = (*Ledger)(nil)
type BatchApplier[C any] interface {
	// ApplyBatch does, in order, for each command what Apply would, and sets its
	// outcome: the same state and outcomes must come of it as of so many calls of
	// Apply. The batch has at least one command and is not to be kept. Commands
	// that the codec refuses are not in it.
	ApplyBatch(batch []Applying[C])
}

// Applying is a command of a batch, and what became of it.
type Applying[C any] struct {
	At      ApplyContext
	Command C
	// Result and Err are to be set: what Apply returns.
	Result any
	Err    error
}
