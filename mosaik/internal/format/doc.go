// Package format is the bytes of log entries and snapshots: pure functions from
// values to bytes and back, nothing else.
//
// Both formats carry a version in their first bytes. What comes in may have
// been written by another member or read from a damaged disk: parsing never
// panics, and never allocates more than a small multiple of the bytes it has
// been given.
package format
