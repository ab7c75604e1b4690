// Package session turns calls into log entries and their outcomes back into
// results: in order, and each command once, whatever becomes of the leaders
// that the entries are sent to.
//
// # How a call travels
//
// Calls queue up in the order of Submit. While an entry is on its way, later
// calls gather and go together in the next. An idle proposer sends at once:
// batching costs no waiting. Where the group is so far that waiting for an entry
// takes longer than a pace, further ones follow it at that pace.
//
// Entries belong to a session, which is opened by an entry of its own before
// the first commands, and are numbered in it. The replicated session table
// applies each number once and in order. So an entry whose fate is unknown is
// simply sent again, the same bytes under the same number, until its outcome is
// delivered by the local replica. Nothing new is sent until then, and what was
// sent behind it is sent again after it: a number is never left behind, also when
// all of its callers gave up, and so there are no holes to be filled.
//
// An entry that surely was not accepted, and behind which there is none that may
// have been, has no fate. Its calls go back to the head of the queue and its
// number to the next entry, so that a caller who gives up while there is no
// leader knows that nothing was applied.
package session
