// Package session turns the calls of one member into log entries, and the outcomes of entries
// into the results of calls. Calls are applied in order and each command once, across retries
// and changes of the leader.
//
// # Parts
//
// A [Proposer] owns one goroutine, which sends entries (loop.go, window.go). A [Call] is a batch of
// commands, a [Single] a reusable call of one command (single.go). Calls wait in a bounded queue
// (queue.go) until they are packed into an entry (inflight.go). The window is the list of entries
// in flight. A [Transport] proposes entries; the replicated state reports outcomes to
// [Proposer.Deliver].
//
// # From call to result
//
// Calls are queued in the order of Submit. While an entry is in flight, later calls gather for the
// next entry. An idle proposer sends at once, so batching adds no latency. If the round-trip time
// exceeds Config.Pace, further entries follow at that pace without waiting for the first.
//
// Entries belong to a session and are numbered in it. An entry of its own opens the session before
// the first commands. The replicated session table applies each number once and in order. So an
// entry with an unknown outcome is sent again, the same bytes under the same number, until the
// local replica delivers its outcome. Until then no new entry is sent, and the entries after it are
// sent again one by one. A number is never skipped, even if all of its callers stopped waiting.
//
// If an entry was certainly not accepted, and no later entry may have been, nothing of it is in the
// log. Its calls return to the head of the queue, and its number goes to the next entry. So a
// caller that stops waiting while there is no leader learns that its commands were not applied.
//
// # Locks and ownership
//
// Proposer.mu guards the queue, the window and the state of calls. [Proposer.Deliver] may be called
// under the locks of the state, so no other lock of this module is taken under mu, and neither the
// transport nor a callback of Config is called. The other fields belong to the proposer's
// goroutine.
//
// The queue is bounded by commands and bytes: at the bound Submit blocks. The window is bounded by
// entries and bytes: at the bound no entry is sent.
package session
