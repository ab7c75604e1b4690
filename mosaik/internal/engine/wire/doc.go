// Package wire encodes, decodes and checks what members exchange on raft and snapshot
// connections: frames with batches of Raft messages, and chunks of snapshots.
//
// Bytes from the network are hostile. Decoding returns [ErrBad] for bytes on which
// dragonboat would panic and for messages that no replica of mosaik sends. It allocates
// a small multiple of what it reads. The package knows neither replicas nor peers:
// package transport decides which messages a sender may send.
package wire
