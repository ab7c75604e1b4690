// Package format encodes and decodes log entries and snapshots. It has no other state or
// effects.
//
// Both formats carry a version in their first bytes. The input may come from another member or
// from a damaged disk: parsing never panics, and allocates at most a small multiple of the
// input.
//
// # The layers of a snapshot
//
// A snapshot on disk has four layers. Each is checked by the package that needs it, because each
// also occurs without the ones around it:
//
//   - the snapshot file, "MSKSNP\r\n", of package snapstore: on disk only;
//   - dragonboat's framing: in memory and between members as well;
//   - the snapshot container, "MSKSNAP" and a version, of this package: also in the restore
//     entries of an epoch that takes over another one;
//   - the state of a machine with a generated codec, "MSKMACH" and a version, of package codec:
//     also where a program writes and reads a machine by itself.
package format
