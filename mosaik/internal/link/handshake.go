package link

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// handshake runs TLS and then greet on raw, and sets the fields of c. If either fails, or
// the context ends before both are complete, it closes raw. If want is not zero, only that
// peer may be at the other end.
func (l *Link) handshake(ctx context.Context, c *Conn, raw net.Conn, want sm.PeerID, protocols []string, greet func(*Conn) error) error {
	c.gate, c.limited = l.gate, newLimitedConn(raw, l.cpu)
	raw = c.limited
	c.LimitCPU(!c.dialled)
	defer c.ReleaseCPU()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	config := l.tlsConfig(protocols, func(state tls.ConnectionState) (err error) {
		c.peer, err = l.verify(state, want)
		return err
	})
	c.meter = &countingConn{Conn: raw}
	if c.dialled {
		c.tls = tls.Client(c.meter, config)
	} else {
		c.tls = tls.Server(c.meter, config)
	}
	c.reader = bufio.NewReader(countingReader{c.tls, &c.content})
	c.done = make(chan struct{})
	// The Close of tls.Conn sends an alert, and would wait for a peer that does not read.
	c.close = sync.OnceValue(func() error {
		l.untrack(c)
		close(c.done)
		return raw.Close()
	})
	err := c.tls.Handshake()
	if err == nil {
		err = greet(c)
	}
	c.preface = c.content.Load() - uint64(c.reader.Buffered())
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return err
	}
	c.LimitCPU(false)
	return nil
}

// tlsConfig returns the configuration of one connection, at either end. Only verify decides
// which peer to trust.
func (l *Link) tlsConfig(protocols []string, verify func(tls.ConnectionState) error) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{l.config.Identity.keys.cert},
		NextProtos:   protocols,

		InsecureSkipVerify: true, // names, dates and authorities do not count: verify checks the key
		ClientAuth:         tls.RequireAnyClientCert,
		VerifyConnection:   verify,

		// A resumed session would carry the identity of an earlier connection.
		SessionTicketsDisabled: true,
		// Frames are read whole, so small first records only cost time.
		DynamicRecordSizingDisabled: true,
	}
}

// verify returns the peer that the certificate of a connection presents. It runs before TLS
// has checked that the peer holds the private key, so the result counts only once the
// handshake is complete.
func (l *Link) verify(state tls.ConnectionState, want sm.PeerID) (sm.PeerID, error) {
	peer, err := identify(state.PeerCertificates)
	switch {
	case err != nil:
		return sm.PeerID{}, err
	case peer == l.config.Identity.Peer():
		return sm.PeerID{}, ErrSelf
	case !want.IsZero() && peer != want:
		return sm.PeerID{}, fmt.Errorf("%w: %s, want %s", ErrOtherPeer, peer.Short(), want.Short())
	case state.NegotiatedProtocol == "":
		return sm.PeerID{}, fmt.Errorf("peer %s and this one have no protocol in common", peer.Short())
	}
	return peer, nil
}

// identify returns the peer whose certificate this is. The peer's id is the ed25519 key that
// the certificate carries and is signed by.
func identify(certs []*x509.Certificate) (sm.PeerID, error) {
	if len(certs) != 1 {
		return sm.PeerID{}, fmt.Errorf("the peer presents %d certificates, want 1", len(certs))
	}
	cert := certs[0]
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok {
		return sm.PeerID{}, fmt.Errorf("the peer's certificate carries a key of type %s, want Ed25519", cert.PublicKeyAlgorithm)
	}
	if peer := sm.PeerID(key); Verify(peer, cert.RawTBSCertificate, cert.Signature) {
		return peer, nil
	}
	return sm.PeerID{}, errors.New("the peer's certificate is not signed by the key it carries")
}
