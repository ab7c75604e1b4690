// Package bond keeps one connection to every known peer and, on it, one bond
// for each group that both are in and whose key both hold.
//
// # Connections
//
// A [Manager] dials the peers of its catalog, within bounds (package dialler), and its
// seeds, which are addresses whose peer is not known yet. Both ends of a pair dial; which of two
// connections stays is decided at one end only, that of the lower peer id, which
// says so in a SELECT frame (select.go). Nothing but HELLO travels before it, so
// the connection that loses has carried nothing. On the connection that stays
// both send every entry that they know and from then on every change: one seed
// is enough to learn the whole network.
//
// # Bonds
//
// Each end opens a bond for each group that it has joined and the other's entry
// lists (bond.go). An OPEN proves knowledge of the group's secret on this
// very connection and carries nothing else; what an end says about itself it
// sends when the other has proved the same. A bond is up when both have accepted.
//
// # Strangers
//
// A peer without a bond may be anybody, and there may be thousands of them. What
// they cost is bounded for all of them together: what this peer does for them by
// budgets that they share (budget.go), what their connections hold by a count
// (held.go), their place in the catalog by a room that is not that of members.
//
// # Who owns what
//
// One mutex, [Manager].mu, guards the state of all peers, connections and
// bonds. It is never held while a frame is read or written, while the catalog is
// changed or while foreign code runs. A connection has three goroutines: the one
// that serves it and reads, a writer with a bounded queue, and a probe that
// keeps time. One goroutine decides who is dialled; each dial in flight, and each
// seed, has one of its own. A [Membership] has one goroutine, on which all calls of its
// [Handler] run, in the order of what they report. Whoever starts a goroutine
// waits for it.
package bond
