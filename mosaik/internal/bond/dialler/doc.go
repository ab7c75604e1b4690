// Package dialler decides which peer is dialled when, and at which of its addresses.
//
// # Why dials are bounded
//
// An entry costs its author nothing. The catalog can be full of made-up peers whose
// addresses are a victim's. So one [Scheduler] decides about all dials of a network. A peer
// without a connection waits for its time. Then it is ready in one of two queues: one for
// members and for addresses at which a peer was reached before, one for all others. Peers
// that were never reached also pause for much longer. Each queue bounds the dials in flight,
// their rate, and the rate for each destination. Dials that succeed give their share of the
// rates back, so that a large network forms as fast as handshakes complete, while a flood of
// dead addresses gets no more than failed dials may use.
//
// # Rounds
//
// A round dials the addresses of a peer, the one that worked last first. The next one is
// dialled when the one before it has failed or has taken [Stagger], so that several can be
// in flight (RFC 8305). When all have failed the peer pauses. Most rounds to a peer that was
// reached, and is no member, dial only the address at which it was reached: the others
// belong to the queue for untrusted addresses.
//
// # Ownership
//
// The package starts no goroutine, does no I/O and has no lock: its owner serialises all
// calls on a Scheduler, its targets and its attempts, and runs the dials that [Scheduler.Step]
// returns.
package dialler
