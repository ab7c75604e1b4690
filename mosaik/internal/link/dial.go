package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Dial connects to the peer at addr, host:port, for the protocol. If want is not zero, only
// that peer may answer; another one is [ErrOtherPeer]. This peer itself is [ErrSelf]. A peer
// that refuses the connection is a [*consensus.RefusedError]. An error after the TCP connection was
// opened is [ErrHandshake] as well. The caller owns the connection.
//
// Dial takes at most the configured handshake timeout, whose end is reported as
// [context.DeadlineExceeded]. The end of ctx is reported as its error.
func (l *Link) Dial(ctx context.Context, addr string, want sm.PeerID, p Protocol) (*Conn, error) {
	return l.DialChecked(ctx, addr, want, p, nil)
}

// DialChecked is Dial to an address that came from the network. After a name is resolved,
// check decides about each IP address and port before a socket connects to it. An error of
// check is wrapped in [ErrForbidden]. It may be called from several goroutines at once. At
// most 8 addresses of a name are tried. If [Config.Dial] is set, check receives the
// addresses that its comment lists.
func (l *Link) DialChecked(ctx context.Context, addr string, want sm.PeerID, p Protocol, check Check) (*Conn, error) {
	c := &Conn{dialled: true}
	err := l.dial(ctx, c, addr, want, p, check)
	l.counters.Dialled(outcomeOf(err))
	if err != nil {
		l.untrack(c)
		return nil, fmt.Errorf("dial %s for %s: %w", addr, p, err)
	}
	return c, nil
}

func (l *Link) dial(ctx context.Context, c *Conn, addr string, want sm.PeerID, p Protocol, check Check) error {
	if want == l.config.Identity.Peer() {
		return ErrSelf
	}
	attempt, cancel := context.WithTimeout(ctx, l.config.HandshakeTimeout)
	defer cancel()
	if err := l.track(c, cancel); err != nil {
		return err
	}
	raw, err := l.open(attempt, addr, check)
	if err != nil {
		return l.ended(ctx, attempt, err)
	}
	if err := l.handshake(attempt, c, raw, want, []string{string(p)}, l.greet); err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, l.ended(ctx, attempt, err))
	}
	if err := l.track(c, func() { c.Close() }); err != nil {
		c.Close()
		return err
	}
	return nil
}

// ended returns why a dial failed. The end of the caller's context, or of the attempt, is
// the cause of any error that came with it.
func (l *Link) ended(ctx, attempt context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(attempt.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v: %w", l.config.HandshakeTimeout, attempt.Err())
	case attempt.Err() != nil:
		return ErrClosed
	}
	return err
}

// greet is the dialer's side of the preface.
func (l *Link) greet(c *Conn) error {
	if _, err := c.tls.Write(appendPreface(nil, l.config.Network)); err != nil {
		return fmt.Errorf("send the preface: %w", err)
	}
	code, err := readAnswer(c.reader)
	switch {
	case err != nil:
		return fmt.Errorf("read the answer to the preface: %w", err)
	case code != consensus.CodeAccepted:
		l.counters.Refused(code, Received)
		return &consensus.RefusedError{Peer: c.peer, Code: code}
	}
	return nil
}
