package discovery

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func identity(t testing.TB, n byte) link.Identity {
	t.Helper()
	id, err := link.NewIdentity(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// full returns an entry with every field set, in canonical order.
func full(t testing.TB) Entry {
	return Entry{
		Peer:       identity(t, 1).Peer(),
		Network:    sm.ID("network"),
		Version:    0x0102030405060708,
		Addrs:      []string{"node-1.example:7000", "[2001:db8::1]:7000"},
		Groups:     []sm.Digest{{1}, {1, 1}, {2}},
		Tags:       []string{"eu-west", "spare"},
		Extensions: []Extension{{1, []byte("first")}, {1, []byte("second")}, {0xffff, nil}},
	}
}

func sign(t testing.TB, e Entry) Signed {
	t.Helper()
	s, err := Sign(identity(t, 1), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var emptyIsNil = cmpopts.EquateEmpty()

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	bare := Entry{Peer: identity(t, 1).Peer(), Network: sm.ID("network")}
	for name, e := range map[string]Entry{"full": full(t), "bare": bare, "largest": largest(t)} {
		s := sign(t, e)
		got, err := Parse(s.Bytes())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(appendBody(nil, &got.Entry), appendBody(nil, &e)) {
			t.Errorf("%s: the entries differ", name)
		}
		if !bytes.Equal(got.Bytes(), s.Bytes()) {
			t.Errorf("%s: the bytes differ", name)
		}
	}
}

// largest returns an entry that exhausts every limit.
func largest(t testing.TB) Entry {
	e := Entry{Peer: identity(t, 1).Peer(), Network: sm.ID("network"), Version: 1}
	for i := range MaxAddrs {
		e.Addrs = append(e.Addrs, strings.Repeat("h", MaxAddr-3)+fmt.Sprintf(":%02d", i))
	}
	for i := range MaxGroups {
		var g sm.Digest
		binary.BigEndian.PutUint32(g[:], uint32(i))
		e.Groups = append(e.Groups, g)
	}
	for i := range MaxTags {
		e.Tags = append(e.Tags, strings.Repeat("t", MaxTag-2)+fmt.Sprintf("%02d", i))
	}
	for i := range MaxExtensions {
		e.Extensions = append(e.Extensions, Extension{uint16(i), make([]byte, MaxExtensionBytes/MaxExtensions)})
	}
	return e
}

func TestGoldenEntry(t *testing.T) {
	t.Parallel()
	const file = "testdata/entry_v1.hex"
	got := wrapped(sign(t, full(t)).Bytes())
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the format changed (-want +got):\n%s", diff)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(string(want), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(t), s.Entry, emptyIsNil); diff != "" {
		t.Errorf("the golden entry reads differently (-want +got):\n%s", diff)
	}
}

// wrapped returns the hexadecimal form of b, 32 bytes a line.
func wrapped(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		fmt.Fprintf(&s, "%x\n", b[:n])
		b = b[n:]
	}
	return s.String()
}

func TestSignBringsIntoOrder(t *testing.T) {
	t.Parallel()
	e := full(t)
	e.Peer = sm.PeerID{}
	e.Groups = []sm.Digest{{2}, {1}, {1, 1}, {2}}
	e.Tags = []string{"spare", "eu-west", "spare"}
	e.Extensions = []Extension{{0xffff, nil}, {1, []byte("first")}, {1, []byte("second")}}
	s := sign(t, e)
	if diff := cmp.Diff(full(t), s.Entry, emptyIsNil); diff != "" {
		t.Errorf("entries differ (-want +got):\n%s", diff)
	}
	if e.Groups[0] != (sm.Digest{2}) {
		t.Error("Sign changed the caller's groups")
	}
	e.Extensions[1].Data[0] = 'X'
	if string(s.Extension(1)[0]) != "first" || string(s.Extension(1)[1]) != "second" || s.Extension(2) != nil {
		t.Errorf("extensions of type 1 are %q, of type 2 %q", s.Extension(1), s.Extension(2))
	}
	for _, g := range full(t).Groups {
		if !s.HasGroup(g) {
			t.Errorf("group %s is not listed", g.Short())
		}
	}
	if s.HasGroup(sm.Digest{3}) {
		t.Error("a group is listed that is not there")
	}
}

// broken are changes to the full entry that break a rule.
var broken = map[string]func(*Entry){
	"network is zero":             func(e *Entry) { e.Network = sm.Digest{} },
	"17 addresses":                func(e *Entry) { e.Addrs = append(largestAddrs(), "more:1") },
	"twice":                       func(e *Entry) { e.Addrs = []string{"a:1", "b:1", "a:1"} },
	"at most 255 are allowed":     func(e *Entry) { e.Addrs = []string{strings.Repeat("h", 254) + ":1"} },
	`address "\xff:1" has a byte`: func(e *Entry) { e.Addrs = []string{"\xff:1"} },
	`"host" is not host:port`:     func(e *Entry) { e.Addrs = []string{"host"} },
	`":7000" is not host:port`:    func(e *Entry) { e.Addrs = []string{":7000"} },
	`"host:" is not host:port`:    func(e *Entry) { e.Addrs = []string{"host:"} },
	"4097 groups":                 func(e *Entry) { e.Groups = manyGroups(MaxGroups + 1) },
	"65 tags":                     func(e *Entry) { e.Tags = manyTags(MaxTags + 1) },
	"is not 1 to 64 bytes":        func(e *Entry) { e.Tags = []string{strings.Repeat("t", MaxTag+1)} },
	`tag "" is not`:               func(e *Entry) { e.Tags = []string{""} },
	`tag "\xff" is not`:           func(e *Entry) { e.Tags = []string{"\xff"} },
	`tag "a\nb" is not`:           func(e *Entry) { e.Tags = []string{"a\nb"} },
	`tag "\u202eab" is not`:       func(e *Entry) { e.Tags = []string{"\u202eab"} },
	`tag "\x1b[2J" is not`:        func(e *Entry) { e.Tags = []string{"\x1b[2J"} },
	"65 extensions":               func(e *Entry) { e.Extensions = make([]Extension, MaxExtensions+1) },
	"extensions hold 65537 bytes": func(e *Entry) {
		e.Extensions = []Extension{{1, make([]byte, MaxExtensionBytes)}, {2, []byte{0}}}
	},
}

func largestAddrs() (addrs []string) {
	for i := range MaxAddrs {
		addrs = append(addrs, fmt.Sprint("host:", i))
	}
	return addrs
}

func manyGroups(n int) (groups []sm.Digest) {
	for i := range n {
		groups = append(groups, sm.Digest{byte(i >> 8), byte(i)})
	}
	return groups
}

func manyTags(n int) (tags []string) {
	for i := range n {
		tags = append(tags, fmt.Sprintf("%03d", i))
	}
	return tags
}

func TestBrokenEntries(t *testing.T) {
	t.Parallel()
	for want, change := range broken {
		e := full(t)
		change(&e)
		_, err := Sign(identity(t, 1), e)
		wantErr(t, "sign", err, want)
	}
	_, err := Sign(identity(t, 2), full(t))
	wantErr(t, "sign for another", err, "cannot sign for peer")
	_, err = Sign(link.Identity{}, Entry{Network: sm.ID("network")})
	wantErr(t, "sign as nobody", err, "peer is zero")
}

// TestHostileBytes parses entries that only a hostile owner would sign.
func TestHostileBytes(t *testing.T) {
	t.Parallel()
	signedAnyhow := func(change func(*Entry)) []byte {
		e := full(t)
		change(&e)
		return seal(t, appendBody(nil, &e))
	}
	cases := map[string][]byte{
		"the groups do not ascend": signedAnyhow(func(e *Entry) { e.Groups[0], e.Groups[1] = e.Groups[1], e.Groups[0] }),
		"groups do not ascend":     signedAnyhow(func(e *Entry) { e.Groups[1] = e.Groups[0] }),
		"the tags do not ascend":   signedAnyhow(func(e *Entry) { e.Tags[0], e.Tags[1] = e.Tags[1], e.Tags[0] }),
		"tags do not ascend":       signedAnyhow(func(e *Entry) { e.Tags[1] = e.Tags[0] }),
		"types do not ascend":      signedAnyhow(func(e *Entry) { e.Extensions[0].Type = 2 }),
		"1 bytes are left over":    append(bytes.Clone(sign(t, full(t)).Bytes()), 0),
		"signature is not that":    signedAnyhow(func(e *Entry) { e.Peer = identity(t, 2).Peer() }),
		"version 2 is not known":   seal(t, append([]byte{2}, sign(t, full(t)).Bytes()[1:]...)),
		"ends early":               nil,
		"at most 262144":           make([]byte, MaxSize+1),
	}
	for want, change := range broken {
		if strings.Contains(want, "at most 255") {
			continue // its length does not fit into its byte
		}
		cases[want] = signedAnyhow(change)
	}
	for want, b := range cases {
		_, err := Parse(b)
		wantErr(t, "parse", err, want)
	}
}

// seal signs any bytes as the body of an entry.
func seal(t testing.TB, body []byte) []byte {
	return append(body, identity(t, 1).Sign(append([]byte("mosaik peer entry v1\x00"), body...))...)
}

// TestDamagedBytes cuts an entry everywhere and damages each of its bytes.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	good := sign(t, full(t)).Bytes()
	for i := range good {
		if _, err := Parse(good[:i]); !errors.Is(err, ErrEntry) {
			t.Errorf("%d of %d bytes: error %v, want ErrEntry", i, len(good), err)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := Parse(bad); !errors.Is(err, ErrEntry) {
			t.Errorf("byte %d changed: error %v, want ErrEntry", i, err)
		}
	}
}

func TestParseCopies(t *testing.T) {
	t.Parallel()
	b := bytes.Clone(sign(t, full(t)).Bytes())
	s, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := cmp.Diff(full(t), s.Entry, emptyIsNil); diff != "" {
		t.Errorf("the entry changed with its source (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sign(f, full(f)).Bytes())
	f.Add(sign(f, Entry{Network: sm.ID("network")}).Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= ed25519.SignatureSize {
			// Most faults are found only after a right signature.
			fuzzOne(t, seal(t, bytes.Clone(b[:len(b)-ed25519.SignatureSize])))
		}
		fuzzOne(t, b)
	})
}

func fuzzOne(t *testing.T, b []byte) {
	s, err := Parse(b)
	switch {
	case err != nil && !errors.Is(err, ErrEntry):
		t.Errorf("error %v is not ErrEntry", err)
	case err == nil && !bytes.Equal(appendBody(nil, &s.Entry), b[:len(b)-ed25519.SignatureSize]):
		t.Errorf("% x is not the one encoding of %+v", b, s.Entry)
	}
}

func wantErr(t *testing.T, what string, err error, want string) {
	t.Helper()
	if !errors.Is(err, ErrEntry) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want ErrEntry with %q", what, err, want)
	}
}
