package sm

// BatchApplier is implemented by a [StateMachine] that applies the commands of a log
// entry together, for example in one transaction of a database. Commands that are
// executed at the same time share an entry, and so do those of one batch. The group
// then calls ApplyBatch and not Apply:
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
// A declaration lets the compiler check that a machine implements it:
//
//	var _ sm.BatchApplier[Command] = (*Ledger)(nil)
type BatchApplier[C any] interface {
	// ApplyBatch applies the commands in their order, and sets the outcome of each.
	// State and outcomes must be the same as after one call of Apply for each
	// command. The batch has at least one command, and must not be retained.
	// Commands that the codec refuses are not in it.
	ApplyBatch(batch []Applying[C])
}

// Applying is a command of a batch and its outcome.
type Applying[C any] struct {
	At      ApplyContext
	Command C
	// ApplyBatch sets Result and Err to what Apply would return.
	Result any
	Err    error
}
