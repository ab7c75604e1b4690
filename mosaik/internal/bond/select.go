package bond

import (
	"bytes"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Which connection stays
//
// Both ends of a pair dial when they have no connection, so two can exist, and
// an end can hold one that the other has long lost. The end with the lower peer
// id decides, alone, when a connection's HELLO arrives:
//
//   - Without a current connection it selects the new one; but of two that are
//     live it takes the one that it dialled itself.
//   - HELLO of another instance: the peer was restarted. The new one replaces
//     the current one.
//   - A dialled HELLO of the same instance that says "only" and is younger than
//     the one of the current connection: the peer has lost the current one, or
//     it would not say so. The new one replaces it.
//   - Anything else is refused as already bonded.
//
// The other end follows the SELECT, the latest if there are several. When the
// deciding end itself has lost its connection it simply selects another.

// flagOnly in a HELLO: the sender has no other connection to the receiver.
const flagOnly = 1

// decides reports whether this peer, not the other, selects connections.
func (m *Manager) decides(other sm.PeerID) bool { return m.self.Compare(other) < 0 }

// wantsDialled reports whether one more dialled connection could be of use.
func (p *peer) wantsDialled() bool { return p.current == nil && !p.hasDialled() }

// hasDialled reports whether there is a live connection that this end dialled.
func (p *peer) hasDialled() bool {
	for c := range p.conns {
		if c.lc.Dialled() {
			return true
		}
	}
	return false
}

// sendHello sends our HELLO.
func (c *conn) sendHello() {
	c.m.hellos++
	f := helloFrame{instance: c.m.instance, version: protocolVersion, seq: c.m.hellos}
	if len(c.p.conns) == 0 {
		f.flags |= flagOnly
	}
	c.send(kindHello, f.append(nil))
}

func (c *conn) handleHello(f helloFrame) link.Code {
	c.hello = f
	if !c.m.decides(c.p.id) {
		return link.CodeAccepted // SELECT or GOODBYE will come
	}
	if !c.isPreferred() {
		return link.CodeAlreadyBonded
	}
	c.m.selects++
	c.selection = c.m.selects
	c.send(kindSelect, appendNumber(nil, c.selection))
	c.makeCurrent()
	return link.CodeAccepted
}

// isPreferred is the decision of the lower peer id; see the top of the file.
func (c *conn) isPreferred() bool {
	current := c.p.current
	switch {
	case current == nil:
		return c.lc.Dialled() || !c.p.hasDialled()
	case c.hello.instance != current.hello.instance:
		return true
	default:
		return !c.lc.Dialled() && c.hello.flags&flagOnly != 0 && c.hello.seq > current.hello.seq
	}
}

func (c *conn) handleSelect(selection uint64) link.Code {
	current := c.p.current
	switch {
	case c.selected: // the deciding end has decided at HELLO
		return link.CodeProtocolViolation
	case current != nil && bytes.Equal(current.hello.instance[:], c.hello.instance[:]) && current.selection > selection:
		return link.CodeAlreadyBonded // this one was replaced before we heard of it
	}
	c.selection = selection
	c.makeCurrent()
	return link.CodeAccepted
}

// makeCurrent makes the connection the current one and begins to use it.
func (c *conn) makeCurrent() {
	old := c.p.current
	c.p.current = c
	if old != nil {
		old.end(link.CodeUnexpectedClose, true)
	}
	if c.ended {
		return
	}
	now := time.Now()
	c.selected, c.since, c.p.alive = true, now, now
	c.m.scheduler.Connected(now)
	c.m.cancelDials(c.p.id)
	c.m.cfg.Logger.Info("connected", "peer", c.p.id.Short(), "addr", c.lc.RemoteAddr())
	c.tell(c.m.cfg.Catalog.Self()) // first, as strangers are given little time
	if entry, ok := c.m.entry(c.p.id); ok {
		c.offerAll(entry)
		c.m.knownPeers.record(c.p, entry)
	}
	c.m.mismatches.signal()
	c.wakeHeartbeat()
	c.p.touch()
}
