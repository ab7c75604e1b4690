// Package format encodes and decodes log entries and snapshots. It has no other state or
// effects.
//
// Both formats carry a version in their first bytes. The input may come from another member or
// from a damaged disk: parsing never panics, and allocates at most a small multiple of the
// input.
package format
