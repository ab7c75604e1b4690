// Package bond keeps one connection to every known peer and, on it, one bond for each group
// that both peers are in and whose key both hold.
//
// # Connections
//
// A [Manager] dials the peers of its catalog, at the pace of package dialler, and its seeds,
// which are addresses of peers that are not known yet. Both ends of a pair dial. The end with
// the lower peer id selects the connection that remains, with a SELECT frame on it
// (select.go). Only HELLO is sent before SELECT, so a connection that is not selected has
// carried nothing else. On the selected connection both ends send every entry that they know,
// and then every change: one seed is enough to discover the whole network.
//
// # Bonds
//
// Each end opens a bond for each group that it has joined and that the other's entry lists
// (bond.go; the states are in handshake.go). An OPEN proves knowledge of the group's secret
// on this connection and carries nothing else. An end describes itself only when the other
// has proved the same. A bond is up when both ends have accepted.
//
// # Strangers
//
// A peer without a bond is a stranger. Any process can be one, and there may be thousands.
// What they cost is bounded for all of them together: work by budgets that they share
// (budget.go), memory of their connections by a count (held.go), and entries by a room of the
// catalog that is separate from that of members.
//
// # Locks and ownership
//
// One mutex, Manager.mu, guards the state of all peers, connections, bonds and dials. It is
// never held while a frame is read or written, while the catalog is changed, or while foreign
// code runs, such as a [Handler] or a dial filter. Under it, the locks of package link, of the
// catalog's reads and of token buckets may be taken, never the other way round.
//
// A connection has three goroutines: one that serves it and reads, a writer with a bounded queue,
// and one that keeps its heartbeat. One goroutine starts all dials. Each dial in flight, and each
// seed, has its own. [Manager.Close] waits for all of them. The calls of a [Handler] run on the
// goroutine of its group, in the order of the events; [GroupConfig.Post] queues them there, under
// the mutex.
package bond
