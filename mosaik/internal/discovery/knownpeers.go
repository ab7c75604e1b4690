package discovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// The file of known peers in a network's directory, format 1. Integers are
// little-endian.
//
//	offset  size  content
//	     0     8  magic "MSKPEER\n"
//	     8     4  format, 1
//	    12    32  network id
//	    44     2  number of peers, at most 64; for each
//	           32  peer id; none twice
//	            8  when it was connected last, in seconds since 1970
//	            1  number of addresses, 1 to 4; for each
//	              1  length, 3 to 255
//	              n  host:port, printable ASCII without spaces; none twice
//	     …    32  BLAKE3 hash of everything before
const (
	knownPeersMagic  = "MSKPEER\n"
	knownPeersFormat = 1
	knownPeersHead   = 46
)

// The bounds of the file of known peers.
const (
	MaxKnownPeers     = 64 // peers
	MaxKnownPeerAddrs = 4  // addresses of one peer
	// MaxKnownPeersSize is the length of the longest file in bytes.
	MaxKnownPeersSize = knownPeersHead + MaxKnownPeers*(32+8+1+MaxKnownPeerAddrs*(1+MaxAddr)) + 32
)

// ErrKnownPeers reports bytes that are not a valid file of known peers.
var ErrKnownPeers = errors.New("malformed file of known peers")

// KnownPeer holds the addresses of a peer when it was connected last.
type KnownPeer struct {
	Peer  sm.PeerID
	At    time.Time // when it was connected last, in whole seconds
	Addrs []string  // host:port, 1 to [MaxKnownPeerAddrs], the best one first
}

// AppendKnownPeers appends the file of known peers of a network to b. The peers must be
// within the bounds.
func AppendKnownPeers(b []byte, network sm.Digest, peers []KnownPeer) []byte {
	begin := len(b)
	b = append(b, knownPeersMagic...)
	b = binary.LittleEndian.AppendUint32(b, knownPeersFormat)
	b = append(b, network[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(peers)))
	for _, p := range peers {
		b = append(b, p.Peer[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(max(0, p.At.Unix())))
		b = append(b, byte(len(p.Addrs)))
		for _, addr := range p.Addrs {
			b = append(append(b, byte(len(addr))), addr...)
		}
	}
	sum := sm.Parts(b[begin:])
	return append(b, sum[:]...)
}

// ParseKnownPeers decodes a file of known peers. Any b is safe to parse: each fault is
// [ErrKnownPeers]. AppendKnownPeers encodes the result as the same bytes.
func ParseKnownPeers(b []byte, network sm.Digest) ([]KnownPeer, error) {
	fail := func(format string, args ...any) ([]KnownPeer, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{ErrKnownPeers}, args...)...)
	}
	switch {
	case len(b) > MaxKnownPeersSize:
		return fail("%d bytes, at most %d are allowed", len(b), MaxKnownPeersSize)
	case len(b) < knownPeersHead+32 || string(b[:8]) != knownPeersMagic:
		return fail("wrong magic, or fewer than %d bytes", knownPeersHead+32)
	case binary.LittleEndian.Uint32(b[8:]) != knownPeersFormat:
		return fail("format %d; this version reads format %d", binary.LittleEndian.Uint32(b[8:]), knownPeersFormat)
	}
	body, sum := b[:len(b)-32], sm.Digest(b[len(b)-32:])
	switch {
	case sm.Parts(body) != sum:
		return fail("wrong hash")
	case sm.Digest(body[12:44]) != network:
		return fail("it belongs to network %s, want %s", sm.Digest(body[12:44]).Short(), network.Short())
	}
	n := int(binary.LittleEndian.Uint16(body[44:]))
	if n > MaxKnownPeers {
		return fail("%d peers, at most %d are allowed", n, MaxKnownPeers)
	}
	r := reader{rest: body[knownPeersHead:]}
	peers := make([]KnownPeer, 0, n)
	for range n {
		s, err := r.knownPeer()
		if err != nil {
			return fail("%w", err)
		}
		if slices.ContainsFunc(peers, func(p KnownPeer) bool { return p.Peer == s.Peer }) {
			return fail("peer %s is listed twice", s.Peer.Short())
		}
		peers = append(peers, s)
	}
	if len(r.rest) > 0 {
		return fail("%d bytes are left over", len(r.rest))
	}
	return peers, nil
}

// knownPeer reads one peer of the file.
func (r *reader) knownPeer() (KnownPeer, error) {
	var s KnownPeer
	copy(s.Peer[:], r.bytes(len(s.Peer)))
	at := uint64(0)
	if b := r.bytes(8); b != nil {
		at = binary.LittleEndian.Uint64(b)
	}
	count := int(r.uint8())
	switch {
	case r.err != nil:
		return s, r.err
	case at > math.MaxInt32<<8: // times beyond the year 19000 have no text form
		return s, fmt.Errorf("peer %s was connected %d s after 1970", s.Peer.Short(), at)
	case count < 1 || count > MaxKnownPeerAddrs:
		return s, fmt.Errorf("peer %s has %d addresses, 1 to %d are allowed", s.Peer.Short(), count, MaxKnownPeerAddrs)
	}
	s.At = time.Unix(int64(at), 0)
	for range count {
		addr := string(r.bytes(int(r.uint8())))
		if r.err != nil {
			return s, r.err
		}
		if err := checkAddr(addr); err != nil {
			return s, fmt.Errorf("peer %s: %w", s.Peer.Short(), err)
		}
		if slices.Contains(s.Addrs, addr) {
			return s, fmt.Errorf("peer %s lists address %s twice", s.Peer.Short(), addr)
		}
		s.Addrs = append(s.Addrs, addr)
	}
	return s, nil
}
