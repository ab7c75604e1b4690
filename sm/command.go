package sm

// Command is a command of machine M whose result is of type R. The user writes
// ApplyTo; mosaik-gen writes AsCommand, which ties the command to its machine,
// so that executing it on another machine's group does not compile.
//
// A command for which nothing was generated yet does not compile either: the
// compiler says that its type does not match Command[C, M, R], or that the method
// AsCommand is missing. Run go generate in the package of the command.
type Command[C, M, R any] interface {
	// AsCommand returns the command as the machine's command type.
	AsCommand() C
	// ApplyTo changes m and returns the result or the domain error. See
	// [StateMachine.Apply] for what both may hold.
	ApplyTo(m M, at ApplyContext) (R, error)
}

// Query is a question to machine M whose answer is of type R.
type Query[M, R any] interface {
	// Query reads m and must not change it. It runs on the caller's
	// goroutine, possibly beside other queries, never beside an Apply. What it
	// returns must not alias the machine's state. It must not call its own group:
	// a command is applied when the query has returned, and another query may
	// wait for an Apply that waits for this one.
	Query(m M) (R, error)
}
