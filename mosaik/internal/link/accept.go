package link

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// maxHandshakes bounds the accepted connections whose handshake is not
// complete; more wait in the kernel.
const maxHandshakes = 64

// The pause after a failure to accept: the first, doubled up to the longest.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Serve starts to accept connections. On a link that is closed or serves
// already it does nothing.
func (l *Link) Serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.running.Go(func() { l.acceptAll(ctx) })
}

// acceptAll accepts until the context ends.
func (l *Link) acceptAll(ctx context.Context) {
	var protocols []string
	for p := range maps.Keys(l.handlers) { // read only, now that the link serves
		protocols = append(protocols, string(p))
	}
	slices.Sort(protocols)

	slots := make(chan struct{}, maxHandshakes)
	for pause := time.Duration(0); ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		raw, err := l.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			l.running.Go(func() { l.serve(ctx, raw, protocols, func() { <-slots }) })
			continue
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		}
		<-slots
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		l.config.Logger.Warn("link: cannot accept connections; trying again", "addr", l.Addr(), "pause", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// serve runs one accepted connection from handshake to end. It calls shaken
// when the handshake is over, well or not.
func (l *Link) serve(ctx context.Context, raw net.Conn, protocols []string, shaken func()) {
	c := &Conn{}
	attempt, cancel := context.WithTimeout(ctx, l.config.HandshakeTimeout)
	err := l.handshake(attempt, c, raw, sm.PeerID{}, protocols, l.welcome)
	cancel()
	shaken()
	if err != nil {
		l.config.Logger.Debug("link: handshake failed", "from", raw.RemoteAddr(), "err", err)
		return
	}
	defer c.Close()
	if l.track(c, func() { c.Close() }) == nil {
		l.handlers[Protocol(c.tls.ConnectionState().NegotiatedProtocol)](ctx, c)
	}
}

// welcome is the acceptor's side of the preface.
func (l *Link) welcome(c *Conn) error {
	network, err := readPreface(c.reader)
	code := CodeAccepted
	switch {
	case errors.Is(err, errPreface):
		code = CodeUndecodable
	case err != nil:
		return fmt.Errorf("read the preface: %w", err)
	case network != l.config.Network:
		code = CodeOtherNetwork
		err = fmt.Errorf("peer %s is on network %s, not %s", c.peer.Short(), network.Short(), l.config.Network.Short())
	}
	if _, werr := c.tls.Write(appendAnswer(nil, code)); werr != nil {
		return fmt.Errorf("answer the preface: %w", werr)
	}
	return err
}
