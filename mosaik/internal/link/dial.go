package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// Dial connects to the peer at addr, host:port, for the protocol. A non-zero
// want is the only peer that may answer there; the zero one lets anybody but
// this peer itself, which is [ErrSelf]. A peer that does not want us is a
// [*RefusedError]. The caller owns the connection. What goes wrong once the
// connection is open is [ErrHandshake] as well.
//
// The whole takes at most the configured handshake timeout. Its end is reported
// as [context.DeadlineExceeded], the context's as the context's error.
func (l *Link) Dial(ctx context.Context, addr string, want sm.PeerID, p Protocol) (*Conn, error) {
	return l.DialChecked(ctx, addr, want, p, nil)
}

// DialChecked is Dial to an address that came from the network: check decides
// about each IP address and port before it is connected to, after names are
// resolved. Its error is wrapped in [ErrForbidden]; it may be called from several
// goroutines at once. A name is connected to at 8 of its addresses at most. See
// [Config.Dial] for what is checked when that is set.
func (l *Link) DialChecked(ctx context.Context, addr string, want sm.PeerID, p Protocol, check Check) (*Conn, error) {
	c := &Conn{dialled: true}
	err := l.dial(ctx, c, addr, want, p, check)
	l.counters.Dialled(outcomeOf(err))
	if err != nil {
		l.untrack(c)
		return nil, fmt.Errorf("link: dial %s for %s: %w", addr, p, err)
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

// ended returns why a dial failed: the end of the caller's context or of the
// attempt comes before what it led to.
func (l *Link) ended(ctx, attempt context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(attempt.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no welcome within %v: %w", l.config.HandshakeTimeout, attempt.Err())
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
	case code != CodeAccepted:
		l.counters.Refused(code, Received)
		return &RefusedError{Peer: c.peer, Code: code}
	}
	return nil
}
