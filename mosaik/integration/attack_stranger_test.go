package integration_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The kinds of frames that assailants write by hand; docs/formats.md has them.
const (
	frameHello   = 1
	frameSelect  = 2
	frameEntries = 3
	frameOpen    = 4
	frameAccept  = 5
	frameClose   = 6
	framePing    = 8
	framePong    = 9
	frameGoodbye = 10
	frameIntro   = 11
)

// largestFrame is what a victim reads of one bond frame at most, in bytes.
const largestFrame = 1 << 20

// stranger is a peer with an identity that writes the protocol by hand. It has
// no key; see [call.prove] for the assailants that have one.
type stranger struct {
	id      link.Identity
	network sm.Digest
	link    *link.Link
	version uint64 // of its entry
	calls   uint64 // its bond connections so far
}

// newStranger returns a stranger with a new identity that dials from the n-th
// of many loopback addresses, where the system has them.
func newStranger(network sm.Digest, n int) (*stranger, error) {
	s := &stranger{network: network}
	var err error
	if s.id, err = newIdentity(); err != nil {
		return nil, err
	}
	s.link, err = link.Listen(link.Config{
		Identity: s.id, Network: network, Listener: newDeaf(), Dial: dialerFrom(n).DialContext,
		HandshakeTimeout: 10 * time.Second, // victims may be slow, and must say so themselves
	})
	return s, err
}

func newIdentity() (link.Identity, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return link.Identity{}, err
	}
	return link.NewIdentity(key)
}

// dialerFrom returns a dialer whose connections come from the n-th of 32512
// loopback addresses. None is that of a member.
func dialerFrom(n int) *net.Dialer {
	d := &net.Dialer{}
	if runtime.GOOS == "linux" { // elsewhere the loopback interface has one address
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n/254), byte(1+n%254))}
	}
	return d
}

// deaf is a listener that accepts nothing and takes no descriptor.
type deaf struct{ done chan struct{} }

func newDeaf() *deaf                      { return &deaf{make(chan struct{})} }
func (d *deaf) Accept() (net.Conn, error) { <-d.done; return nil, net.ErrClosed }
func (d *deaf) Close() error              { close(d.done); return nil }
func (d *deaf) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// entry returns the stranger's own entry, newer than the one before.
func (s *stranger) entry(groups ...sm.Digest) (discovery.Signed, error) {
	s.version++
	return discovery.Sign(s.id, discovery.Entry{Network: s.network, Version: s.version, Groups: groups})
}

// call is a bond connection that the victim selected, from which nothing but
// the victim's first entries was read.
type call struct {
	*link.Conn
	s     *stranger
	opens uint32 // OPEN frames sent
}

// call connects to a victim up to the point where it selects the connection. The
// connection ends with the context.
func (s *stranger) call(ctx context.Context, addr string) (*call, error) {
	raw, err := s.link.Dial(ctx, addr, sm.PeerID{}, link.Bond)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { raw.Close() })
	c := &call{Conn: raw, s: s}
	s.calls++
	hello := make([]byte, 30)
	copy(hello, s.id.Peer().String()) // the instance
	hello[17], hello[21] = 1, 1       // version 1, the only connection
	binary.BigEndian.PutUint64(hello[22:], s.calls)
	err = c.WriteFrame(frameHello, hello)
	if err == nil && s.id.Peer().Compare(c.Peer()) < 0 {
		err = c.WriteFrame(frameSelect, number(s.calls))
	}
	if err == nil {
		_, err = c.next(frameEntries)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// introduce sends the stranger's own entry.
func (c *call) introduce(groups ...sm.Digest) error {
	e, err := c.s.entry(groups...)
	if err != nil {
		return err
	}
	return c.sendEntries(e.Bytes())
}

func (c *call) sendEntries(entries ...[]byte) error {
	for _, payload := range entryFrames(entries) {
		if err := c.WriteFrame(frameEntries, payload); err != nil {
			return err
		}
	}
	return nil
}

// entryFrames returns the payloads of ENTRIES frames of about a quarter of what
// a victim reads at a time.
func entryFrames(entries [][]byte) (payloads [][]byte) {
	var b []byte
	for _, e := range entries {
		if len(b) > 0 && len(b)+len(e) > largestFrame/4 {
			payloads, b = append(payloads, b), nil
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
		b = append(b, e...)
	}
	if len(b) > 0 {
		payloads = append(payloads, b)
	}
	return payloads
}

// refusalCode is the code with which a victim ended a connection or a handshake.
type refusalCode consensus.CloseCode

func (r refusalCode) Error() string { return fmt.Sprintf("refused: %d, %s", r, consensus.CloseCode(r)) }

// next reads up to the next frame of the kind and returns its payload. It
// answers what keeps the connection alive. A refusal is a [refusalCode].
func (c *call) next(kind uint8) ([]byte, error) {
	for {
		got, payload, err := c.ReadFrame(largestFrame, nil)
		switch {
		case err != nil:
			return nil, err
		case got == kind:
			return payload, nil
		case got == framePing:
			err = c.WriteFrame(framePong, payload)
		case got == frameGoodbye:
			err = refusalCode(binary.BigEndian.Uint32(payload))
		case got == frameClose && c.opens == binary.BigEndian.Uint32(payload[36:]) && // the last OPEN
			(kind == frameIntro || kind == frameAccept):
			err = refusalCode(binary.BigEndian.Uint32(payload[40:]))
		}
		if err != nil {
			return nil, err
		}
	}
}

// drain reads and drops everything that the victim sends, and keeps the
// connection alive, until it ends. It returns why.
func (c *call) drain() error {
	_, err := c.next(0) // no frame is of this kind
	return err
}

// number returns the payload of SELECT, PING and PONG.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// credential is what an assailant that knows the key of a group holds.
type credential struct{ group, secret sm.Digest }

// handshake is what is known of the handshake of a bond.
type handshake struct {
	group        sm.Digest
	mine, theirs uint32 // numbers of the OPEN frames
	hello        []byte // what the victim says about itself
}

// open sends an OPEN with the proof.
func (c *call) open(group, proof sm.Digest) error {
	c.opens++
	head := append(binary.BigEndian.AppendUint32(group[:], c.opens), 1) // one proof
	return c.WriteFrame(frameOpen, head, proof[:])
}

// prove proves the key to the victim and returns what that then says about
// itself.
func (c *call) prove(with credential) (handshake, error) {
	exported, err := c.Exporter(string(with.group[:]), []byte(link.Bond))
	if err != nil {
		return handshake{}, err
	}
	self := c.s.id.Peer()
	if err := c.open(with.group, with.secret.Derive(exported[:]).Derive(self[:])); err != nil {
		return handshake{}, err
	}
	intro, err := c.next(frameIntro)
	if err != nil {
		return handshake{}, err
	}
	return handshake{with.group, c.opens, binary.BigEndian.Uint32(intro[32:]), intro[40:]}, nil
}

// present sends an INTRO with the hello.
func (c *call) present(h handshake, hello []byte) error {
	return c.WriteFrame(frameIntro, slices.Concat(h.group[:], numbers(h.mine, h.theirs), hello))
}

// bond does all that makes a bond: it proves the key and presents itself as an
// observer that is catching up in the victim's epoch.
func (c *call) bond(with credential) (replicas, error) {
	h, err := c.prove(with)
	if err != nil {
		return replicas{}, err
	}
	m, hello, err := impersonate(with.group, c.Peer(), c.s.id.Peer(), h.hello)
	if err != nil {
		return m, err
	}
	if err := c.present(h, hello); err != nil {
		return m, err
	}
	if _, err := c.next(frameAccept); err != nil {
		return m, err
	}
	return m, c.WriteFrame(frameAccept, slices.Concat(h.group[:], numbers(h.mine, h.theirs)))
}

func numbers(mine, theirs uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, mine), theirs)
}

// replicas is what an admitted assailant says it is, and which replica it writes to.
type replicas struct {
	shard    uint64
	from, to uint64 // replica ids: its own, the victim's
}

// impersonate returns the announcement of an observer that is catching up in
// the epoch of the victim, whose own announcement is given. docs/formats.md has
// the layout.
func impersonate(group sm.Digest, victim, self sm.PeerID, announced []byte) (replicas, []byte, error) {
	const phase, flags, incarnation, process, epoch, policy, change, schema, level = 1, 2, 4, 5, 6, 8, 9, 10, 11
	theirs := map[uint16][]byte{}
	for rest := announced; len(rest) > 0; {
		if len(rest) < 4 || len(rest) < 4+int(binary.BigEndian.Uint16(rest[2:])) {
			return replicas{}, nil, fmt.Errorf("an announcement that ends within a field: % x", announced)
		}
		n := 4 + binary.BigEndian.Uint16(rest[2:])
		theirs[binary.BigEndian.Uint16(rest)] = rest[4:n]
		rest = rest[n:]
	}
	if len(theirs[incarnation]) != 16 || len(theirs[epoch]) != 16 {
		return replicas{}, nil, fmt.Errorf("an announcement without epoch and incarnation: % x", announced)
	}
	mine := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
	mine = append(mine, make([]byte, 8)...)
	rand.Read(mine[10:])
	start := make([]byte, 16)
	rand.Read(start[8:])
	var hello []byte
	for _, f := range []struct {
		tag   uint16
		value []byte
	}{
		{phase, []byte{1}}, {flags, []byte{0, 0, 0, 1}}, {incarnation, mine}, {process, start},
		{epoch, theirs[epoch]}, {policy, theirs[policy]}, {change, theirs[change]},
		{schema, theirs[schema]}, {level, theirs[level]},
	} {
		if len(f.value) > 0 {
			hello = binary.BigEndian.AppendUint16(hello, f.tag)
			hello = binary.BigEndian.AppendUint16(hello, uint16(len(f.value)))
			hello = append(hello, f.value...)
		}
	}
	return replicas{
		shard: id64(group[:], theirs[epoch]),
		from:  id64(self[:], theirs[epoch], mine),
		to:    id64(victim[:], theirs[epoch], theirs[incarnation]),
	}, hello, nil
}

// id64 derives shard and replica ids.
func id64(parts ...[]byte) uint64 {
	d := sm.Parts(parts...)
	return max(1, binary.LittleEndian.Uint64(d[:8]))
}

// raftFrame is the kind of frames on connections for Raft.
const raftFrame = 1

// heartbeat is the number that dragonboat gives the type of message.
const heartbeat = 17

// raftMessage returns a message in dragonboat's encoding, Protocol Buffers.
func raftMessage(m replicas, kind, term, commit uint64) (b []byte) {
	for _, field := range []struct {
		number byte
		value  uint64
	}{{1, kind}, {2, m.to}, {3, m.from}, {4, m.shard}, {5, term}, {8, commit}} {
		b = binary.AppendUvarint(append(b, field.number<<3), field.value)
	}
	return b
}

// raftBatch returns a batch of messages in dragonboat's encoding.
func raftBatch(messages ...[]byte) (b []byte) {
	for _, m := range messages {
		b = binary.AppendUvarint(append(b, 1<<3|2), uint64(len(m)))
		b = append(b, m...)
	}
	const deployment, version = 1, 210
	b = binary.AppendUvarint(append(b, 2<<3), deployment)
	return binary.AppendUvarint(append(b, 4<<3), version)
}

// emptyMessages returns a batch of as many messages as fit in size bytes, each
// of which is 2 bytes here and an empty message once it is decoded.
func emptyMessages(size int) []byte {
	b := make([]byte, size/2*2)
	for i := 0; i < len(b); i += 2 {
		b[i] = 1<<3 | 2
	}
	return b
}

// errUnexpected reports an answer that no victim must give.
var errUnexpected = errors.New("unexpected answer")
