package discovery

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/sm"
)

var knownPeersNetwork = sm.ID("network")

func goldenKnownPeers() []KnownPeer {
	return []KnownPeer{
		{Peer: sm.PeerID(sm.ID("one")), At: time.Unix(1_700_000_000, 0), Addrs: []string{"127.0.0.1:7000", "[::1]:7000", "one.example:7000"}},
		{Peer: sm.PeerID(sm.ID("two")), At: time.Unix(0, 0), Addrs: []string{"127.0.0.2:1"}},
	}
}

func TestKnownPeersGolden(t *testing.T) {
	t.Parallel()
	const file = "testdata/peers_v1.hex"
	raw := AppendKnownPeers(nil, knownPeersNetwork, goldenKnownPeers())
	if *update {
		if err := os.WriteFile(file, []byte(wrapped(raw)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, raw); diff != "" {
		t.Errorf("the file is written differently (-want +got):\n%s", diff)
	}
	got, err := ParseKnownPeers(want, knownPeersNetwork)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenKnownPeers(), got); diff != "" {
		t.Errorf("the golden file reads differently (-want +got):\n%s", diff)
	}
}

// TestKnownPeersDamaged reads the file with every byte changed to every other value,
// cut to every length, and with a byte more.
func TestKnownPeersDamaged(t *testing.T) {
	t.Parallel()
	whole := AppendKnownPeers(nil, knownPeersNetwork, goldenKnownPeers())
	refused := func(what string, b []byte) {
		if got, err := ParseKnownPeers(b, knownPeersNetwork); !errors.Is(err, ErrKnownPeers) {
			t.Errorf("%s: it is read as %v, error %v", what, got, err)
		}
	}
	for i, was := range whole {
		for v := range 256 {
			if whole[i] = byte(v); byte(v) != was {
				refused(fmt.Sprintf("byte %d is %d, not %d", i, v, was), whole)
			}
		}
		whole[i] = was
	}
	for n := range whole {
		refused(fmt.Sprintf("cut to %d bytes", n), whole[:n])
	}
	refused("a byte more", append(whole, 0))
	if _, err := ParseKnownPeers(whole, sm.ID("another")); !errors.Is(err, ErrKnownPeers) {
		t.Errorf("the file of another network: error %v", err)
	}
}

// rehash replaces the hash at the end of a file by the right one.
func rehash(b []byte) []byte {
	sum := sm.Parts(b[:len(b)-32])
	return append(b[:len(b)-32:len(b)-32], sum[:]...)
}

// TestKnownPeersMalformed reads files that break a rule and whose hash is right, as
// a hostile program could write them.
func TestKnownPeersMalformed(t *testing.T) {
	t.Parallel()
	one := func(addrs ...string) []KnownPeer {
		return []KnownPeer{{Peer: sm.PeerID{1}, At: time.Unix(1, 0), Addrs: addrs}}
	}
	of := func(peers []KnownPeer) []byte { return AppendKnownPeers(nil, knownPeersNetwork, peers) }
	many := make([]KnownPeer, MaxKnownPeers+1)
	for i := range many {
		many[i] = KnownPeer{Peer: sm.PeerID{byte(i), 1}, Addrs: []string{"127.0.0.1:1"}}
	}
	late := of(one("127.0.0.1:1"))
	binary.LittleEndian.PutUint64(late[knownPeersHead+32:], 1<<63)
	count := of(one("127.0.0.1:1"))
	count[44] = 2
	long := of(one("127.0.0.1:1"))
	long[knownPeersHead+32+8+1] = 255
	rest := append(of(one("127.0.0.1:1")), make([]byte, 32)...)
	for name, b := range map[string][]byte{
		"no address":       of(one()),
		"five addresses":   of(one("a:1", "a:2", "a:3", "a:4", "a:5")),
		"an address twice": of(one("127.0.0.1:1", "127.0.0.1:1")),
		"no port":          of(one("127.0.0.1")),
		"a control byte":   of(one("127.0.0.1:1\n")),
		"an empty address": of(one("")),
		"a peer twice":     of(append(one("127.0.0.1:1"), one("127.0.0.1:2")...)),
		"too many peers":   of(many),
		"a late time":      rehash(late),
		"a peer less":      rehash(count),
		"a long address":   rehash(long),
		"bytes left over":  rehash(rest),
		"too long":         make([]byte, MaxKnownPeersSize+1),
		"nothing":          nil,
	} {
		if got, err := ParseKnownPeers(b, knownPeersNetwork); !errors.Is(err, ErrKnownPeers) {
			t.Errorf("%s: it is read as %v, error %v", name, got, err)
		}
	}
}

// TestLongestKnownPeers encodes and parses a file that exhausts every bound.
func TestLongestKnownPeers(t *testing.T) {
	t.Parallel()
	peers := make([]KnownPeer, MaxKnownPeers)
	for i := range peers {
		peers[i] = KnownPeer{Peer: sm.PeerID{byte(i), 1}, At: time.Unix(int64(i), 0)}
		for j := range MaxKnownPeerAddrs {
			end := fmt.Sprintf("%d:1", j)
			peers[i].Addrs = append(peers[i].Addrs, strings.Repeat("a", MaxAddr-len(end))+end)
		}
	}
	b := AppendKnownPeers(nil, knownPeersNetwork, peers)
	if len(b) != MaxKnownPeersSize {
		t.Errorf("%d bytes, want %d", len(b), MaxKnownPeersSize)
	}
	got, err := ParseKnownPeers(b, knownPeersNetwork)
	if diff := cmp.Diff(peers, got); diff != "" || err != nil {
		t.Errorf("error %v, peers (-want +got):\n%s", err, diff)
	}
}

func FuzzKnownPeers(f *testing.F) {
	f.Add(AppendKnownPeers(nil, knownPeersNetwork, goldenKnownPeers()))
	f.Add(AppendKnownPeers(nil, knownPeersNetwork, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 32 {
			b = rehash(b) // otherwise nothing after the check of the hash runs
		}
		peers, err := ParseKnownPeers(b, knownPeersNetwork)
		if err != nil {
			return
		}
		if diff := cmp.Diff(b, AppendKnownPeers(nil, knownPeersNetwork, peers)); diff != "" {
			t.Errorf("it is written differently (-read +written):\n%s", diff)
		}
	})
}
