package sm

// Command is a command of machine M with a result of type R. ApplyTo is written by
// hand. mosaik-gen generates AsCommand, which ties the command to its machine: to
// execute it in the group of another machine does not compile.
//
// A command without generated code does not compile either. The compiler reports that
// its type does not match Command[C, M, R], or that the method AsCommand is missing.
// Run go generate in the package of the command.
type Command[C, M, R any] interface {
	// AsCommand returns the command as the machine's command type.
	AsCommand() C
	// ApplyTo changes m and returns the result or a domain error. The rules of
	// [StateMachine.Apply] hold.
	ApplyTo(m M, at ApplyContext) (R, error)
}

// Query is a query of machine M with a result of type R.
type Query[M, R any] interface {
	// Query reads m and must not change it. It runs on the caller's goroutine,
	// possibly concurrently with other queries, never with an Apply. The result
	// must not alias the machine's state. A query must not call its own group. A
	// command would block until its context ends; a nested query can deadlock.
	Query(m M) (R, error)
}
