// Package discovery holds what peers know about each other. In a signed entry a peer states
// its addresses and its groups. The catalog holds the newest entry of each peer.
//
// An [Entry] counts only with its owner's signature, as a [Signed]: every peer may relay it
// and none can change it. Of two entries of a peer the one with the higher version is valid.
//
// Package bond spreads entries. It puts those that it receives into the [Catalog] and sends
// what the catalog reports as changed.
package discovery
