package bond

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// A connection that a CALLBACK frame requests has the protocol mosaik/back/1. The peer that
// opens it sends one frame of kind 1 with the token of the CALLBACK. After that the connection
// is used as if the other end had dialled it for the protocol that it requested.
const frameToken = 1

const (
	// maxCallbacks bounds the requests of this peer that wait for a connection.
	// maxCallbacksOfPeer bounds the connections that this peer opens for one other peer and
	// keeps.
	maxCallbacks       = 256
	maxCallbacksOfPeer = 16
	// maxProtocol bounds the name of a protocol, in bytes.
	maxProtocol = 64
)

var (
	// errNoBond reports a peer that cannot be asked to connect.
	errNoBond = errors.New("there is no bond over which the peer could be asked to connect")
	// errUnanswered reports a peer that was asked to connect and did not in time.
	errUnanswered = errors.New("the peer was asked to connect and did not in time")
)

// callbackToken identifies a request. It is random, so other peers cannot guess it.
type callbackToken [16]byte

// callback is a connection that a peer was asked to open.
type callback struct {
	peer    sm.PeerID
	arrived chan *link.Conn
	over    <-chan struct{} // closed when the caller no longer waits
}

type callbackFrame struct {
	token    callbackToken
	failed   bool
	protocol link.Protocol
}

func (f callbackFrame) append(b []byte) []byte {
	b = append(b, f.token[:]...)
	failed := byte(0)
	if f.failed {
		failed = 1
	}
	return append(append(b, failed), f.protocol...)
}

func parseCallback(b []byte) (f callbackFrame, err error) {
	n := len(f.token) + 1
	if len(b) <= n || len(b) > n+maxProtocol {
		return f, fmt.Errorf("%w: CALLBACK has %d bytes, want %d to %d", errFrame, len(b), n+1, n+maxProtocol)
	}
	if b[n-1] > 1 {
		return f, fmt.Errorf("%w: CALLBACK has flag %d, want 0 or 1", errFrame, b[n-1])
	}
	copy(f.token[:], b)
	f.failed, f.protocol = b[n-1] == 1, link.Protocol(b[n:])
	return f, nil
}

// callBack asks the peer to open a connection for the protocol and waits for it, at most for
// the handshake timeout. failed reports that this end could not open one.
func (m *Manager) callBack(ctx context.Context, peer sm.PeerID, p link.Protocol, failed bool) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.HandshakeTimeout)
	defer cancel()
	c := &callback{peer: peer, arrived: make(chan *link.Conn), over: ctx.Done()}
	token, err := m.requestCallback(c, callbackFrame{failed: failed, protocol: p})
	if err != nil {
		return nil, err
	}
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.callbacks, token)
	}()
	select {
	case lc := <-c.arrived:
		return lc, nil
	case <-m.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, errUnanswered
	}
}

// requestCallback registers the request and sends the CALLBACK frame.
func (m *Manager) requestCallback(c *callback, f callbackFrame) (callbackToken, error) {
	rand.Read(f.token[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.peers[c.peer]
	switch {
	case m.closing:
		return f.token, ErrClosed
	case known == nil || known.current == nil || known.current.up == 0:
		return f.token, errNoBond
	case len(m.callbacks) >= maxCallbacks:
		return f.token, fmt.Errorf("%d requests to connect are in flight, which is the limit; try again later", maxCallbacks)
	}
	m.callbacks[f.token] = c
	known.current.send(kindCallback, f.append(nil))
	return f.token, nil
}

// serveCallback accepts a connection that this end has requested. It is the handler of
// [link.Callback].
func (m *Manager) serveCallback(ctx context.Context, lc *link.Conn) {
	var token callbackToken
	if lc.SetReadDeadline(time.Now().Add(m.cfg.HandshakeTimeout)) != nil {
		return // the connection is closed
	}
	kind, payload, err := lc.ReadFrame(len(token), nil)
	if err != nil || kind != frameToken || copy(token[:], payload) < len(token) {
		return
	}
	if lc.SetReadDeadline(time.Time{}) != nil {
		return
	}
	m.mu.Lock()
	c := m.callbacks[token]
	m.mu.Unlock()
	if c == nil || c.peer != lc.Peer() {
		return // the request is over, or was for another peer
	}
	select {
	case c.arrived <- lc:
	case <-c.over:
		return
	case <-ctx.Done():
		return
	}
	select { // the caller owns the connection; it ends with the link
	case <-lc.Done():
	case <-ctx.Done():
	}
}

// handleCallback opens a connection that a peer with a bond requests, and serves it.
func (c *conn) handleCallback(f callbackFrame) consensus.CloseCode {
	m := c.m
	isFor := f.protocol == link.Raft || f.protocol == link.Snapshot
	if c.up == 0 || c.ended || c.callbacks >= maxCallbacksOfPeer || !isFor {
		return consensus.CodeAccepted // the request is not answered
	}
	if f.failed {
		c.p.dialStatus.reported(m, c.p.id)
	}
	c.callbacks++
	m.running.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		m.running.Go(func() {
			select {
			case <-m.done:
				cancel()
			case <-ctx.Done():
			}
		})
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			c.callbacks--
		}()
		lc, err := m.openFor(ctx, c.p.id, f)
		if err != nil {
			m.cfg.Logger.Debug("cannot open a requested connection", "peer", c.p.id.Short(), "error", err)
			return
		}
		m.cfg.Link.ServeDialled(ctx, lc, f.protocol)
	})
	return consensus.CodeAccepted
}

// openFor dials a peer that has requested a connection and sends the token.
func (m *Manager) openFor(ctx context.Context, peer sm.PeerID, f callbackFrame) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.HandshakeTimeout)
	defer cancel()
	lc, err := m.Dial(ctx, peer, link.Callback)
	if err != nil {
		return nil, err
	}
	if err := lc.WriteFrame(frameToken, f.token[:]); err != nil {
		lc.Close()
		return nil, err
	}
	return lc, nil
}
