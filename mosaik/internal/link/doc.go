// Package link is the wire between peers: TLS 1.3 on one TCP port, with mutual
// proof of the peers' ed25519 identities and a protocol chosen by ALPN.
//
// # What a connection goes through
//
//  1. TCP.
//  2. TLS 1.3. Both ends present one certificate, signed by the very ed25519
//     key that it carries; the key is the peer's id. Nothing else of a
//     certificate is believed: no name, no date, no authority. There are no
//     session tickets, so every connection proves both identities anew.
//     The dialer offers one [Protocol]; whoever does not serve it ends the
//     handshake.
//  3. The preface (preface.go), in which the dialer names its network and the
//     acceptor welcomes or refuses it with a [Code].
//  4. Frames (frame.go), or whatever bytes the protocol wants: a [Conn] is a
//     [net.Conn].
//
// # Who owns what
//
// A [Link] owns its listener, the goroutine that accepts, one goroutine for
// each accepted connection, and the right to close every connection. A handler
// owns its connection until it returns; whoever dialled owns what Dial returned.
package link
