// Package discovery is what peers know of each other: signed entries, in which
// every peer says where it can be reached and which groups it is in, and the
// catalog that holds the newest entry of each.
//
// An [Entry] is believed only from its owner: it travels as [Signed], whose
// bytes carry the owner's signature, so that anyone may relay it and nobody may
// change it. Of two entries of a peer the one with the higher version is valid.
//
// How entries spread is not decided here: whoever receives one puts it into the
// [Catalog], whoever sends them watches it.
package discovery
