// Package link is the wire between peers: TLS 1.3 on one TCP port, with mutual
// proof of the peers' ed25519 identities and a protocol chosen by ALPN.
// # Stages of a connection
//
//  1. TCP.
//  2. TLS 1.3. Both ends present one certificate, signed by the very ed25519
//     key that it carries; the key is the peer's id. Names, dates and
//     authorities in a certificate are ignored. There are no session tickets:
//     every connection proves both identities.
//     The dialer offers one [Protocol]. A peer that does not serve it ends the
//     handshake.
//  3. The preface (preface.go), in which the dialer names its network and the
//     acceptor welcomes or refuses it with a [consensus.CloseCode].
//  4. Frames (frame.go), or any other bytes that the protocol defines: a [Conn]
//     is a [net.Conn].
//
// # Limits
//
// The number, the rate and the handshakes of accepted connections are bounded
// (limits.go), as is the processor time of connections whose peer is a stranger
// (cpulimit.go).
//
// # Ownership
//
// A [Link] owns its listener, the goroutine that accepts, and one goroutine for
// each accepted connection. Its Close closes every connection. A handler owns its
// connection until it returns. The caller of Dial owns the connection that Dial
// returns.
package link
