package bond

import (
	"bytes"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Selection of a connection
//
// Both ends of a pair dial when they have no connection. So two connections can exist, and an
// end can hold one that the other has lost. Only the end with the lower peer id decides, when
// the HELLO of a connection arrives:
//
//   - Without a current connection it selects the new one. If it has dialled another one that
//     is live, it prefers that one.
//   - If the HELLO is of another instance, the peer was restarted: the new connection replaces
//     the current one.
//   - If the peer dialled the connection, and its HELLO is of the same instance, has flagOnly
//     and a higher sequence than that of the current connection, then the peer has lost the
//     current one: the new connection replaces it.
//   - Any other connection is refused as already bonded.
//
// The other end follows the SELECT, the one with the highest sequence if there are several. If
// the deciding end has lost its connection, it selects another one.

// flagOnly in a HELLO: the sender has no other connection to the receiver.
const flagOnly = 1

// decides reports whether this peer, not the other one, selects connections between both.
func (m *Manager) decides(other sm.PeerID) bool { return m.self.Compare(other) < 0 }

// wantsDialled reports whether a connection that this end dials could be selected.
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
	c.m.last.hello++
	f := helloFrame{instance: c.m.instance, version: protocolVersion, seq: c.m.last.hello}
	if len(c.p.conns) == 0 {
		f.flags |= flagOnly
	}
	c.send(kindHello, f.append(nil))
}

func (c *conn) handleHello(f helloFrame) consensus.CloseCode {
	c.hello = f
	if !c.m.decides(c.p.id) {
		return consensus.CodeAccepted // SELECT or GOODBYE will come
	}
	if !c.isPreferred() {
		return consensus.CodeAlreadyBonded
	}
	c.m.last.sel++
	c.selection = c.m.last.sel
	c.send(kindSelect, appendNumber(nil, c.selection))
	c.makeCurrent()
	return consensus.CodeAccepted
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

func (c *conn) handleSelect(selection uint64) consensus.CloseCode {
	current := c.p.current
	switch {
	case c.selected: // by an earlier SELECT, or by this end, which alone decides
		return consensus.CodeProtocolViolation
	case current != nil && bytes.Equal(current.hello.instance[:], c.hello.instance[:]) && current.selection > selection:
		return consensus.CodeAlreadyBonded // it was replaced before its SELECT arrived
	}
	c.selection = selection
	c.makeCurrent()
	return consensus.CodeAccepted
}

// makeCurrent selects the connection and begins to use it. It ends the one that it replaces.
func (c *conn) makeCurrent() {
	old := c.p.current
	c.p.current = c
	if old != nil {
		old.end(consensus.CodeUnexpectedClose, true)
	}
	if c.ended {
		return
	}
	now := time.Now()
	c.selected, c.since, c.p.alive = true, now, now
	c.m.scheduler.Connected(now)
	c.m.cancelDials(c.p.id)
	c.m.cfg.Logger.Info("connected", "peer", c.p.id.Short(), "addr", c.lc.RemoteAddr())
	c.tell(c.m.cfg.Catalog.Self()) // first: a stranger without an entry is disconnected soon
	if entry, ok := c.m.entry(c.p.id); ok {
		c.offerAll(entry)
		c.m.knownPeers.record(c.p, entry)
	}
	c.m.mismatches.signal()
	c.wakeHeartbeat()
	c.p.touch()
}
