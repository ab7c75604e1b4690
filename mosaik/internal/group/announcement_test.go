package group

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fullAnnouncement() Announcement {
	return Announcement{
		Phase:        CaughtUp,
		Role:         Role{Observer: true, Reluctance: 3},
		Opened:       true,
		Poisoned:     true,
		Leads:        true,
		Durable:      true,
		ProcessInfo:  ProcessInfo{Incarnation{1, 2, 3}, Process{7: 0x31, 15: 0x32}, Directory{15: 0x33}, 0x5152535455565758},
		Epoch:        Epoch{4, 5, 6},
		AppliedIndex: 0x0102030405060708,
		Policy:       Policy{Expected: 3, MinimumVoters: 2, MaximumVoters: 5, Grace: 30 * time.Second, RemoveAfter: 0x0102030405, ContinueAlone: true},
		Change:       0x1112131415161718,
		Schema:       Schema{0x21, 0x22, 7: 0x28},
		Level:        0x41424344,
		Token:        0x6162636465666768,
	}
}

// emptyAnnouncement is the announcement without fields.
func emptyAnnouncement() Announcement { return Announcement{Level: 1} }

// TestAnnouncementGolden compares an announcement with golden bytes: members of different builds
// must understand each other.
func TestAnnouncementGolden(t *testing.T) {
	const file = "testdata/announcement.hex"
	got := hex.EncodeToString(fullAnnouncement().append(nil))
	if *update {
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(golden)); got != want {
		t.Errorf("the announcement is\n%s, want\n%s", got, want)
	}
	b, _ := hex.DecodeString(strings.TrimSpace(string(golden)))
	a, err := parseAnnouncement(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullAnnouncement(), a); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
	if b := emptyAnnouncement().append(nil); len(b) != 0 {
		t.Errorf("an announcement of nothing has the bytes %x, want none", b)
	}
}

// fieldsOf returns the fields of an announcement, head and all.
func fieldsOf(t *testing.T, b []byte) (fields [][]byte) {
	t.Helper()
	for len(b) > 0 {
		n := fieldHead + int(binary.BigEndian.Uint16(b[2:]))
		fields, b = append(fields, b[:n:n]), b[n:]
	}
	if len(fields) != len(fieldSizes) {
		t.Fatalf("%d fields, want all %d", len(fields), len(fieldSizes))
	}
	return fields
}

// TestAnnouncementFlags encodes and parses each flag alone. Each is one bit.
func TestAnnouncementFlags(t *testing.T) {
	seen := map[uint32]string{}
	for name, set := range map[string]func(*Announcement){
		"observer": func(a *Announcement) { a.Role.Observer = true },
		"opened":   func(a *Announcement) { a.Opened = true },
		"poisoned": func(a *Announcement) { a.Poisoned = true },
		"leads":    func(a *Announcement) { a.Leads = true },
		"votes":    func(a *Announcement) { a.Votes = true },
		"durable":  func(a *Announcement) { a.Durable = true },
	} {
		want := emptyAnnouncement()
		set(&want)
		if other, ok := seen[want.flags()]; ok || bits.OnesCount32(want.flags()) != 1 {
			t.Errorf("%s is the flag %#x, and so is %q", name, want.flags(), other)
		}
		seen[want.flags()] = name
		got, err := parseAnnouncement(want.append(nil))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// TestAnnouncementUnknownFields parses announcements of newer members. Unknown fields are ignored at
// any position and do not change known ones.
func TestAnnouncementUnknownFields(t *testing.T) {
	want := fullAnnouncement()
	fields := fieldsOf(t, want.append(nil))
	unknown := func(tag uint16, n int) []byte { return appendField(nil, tag, bytes.Repeat([]byte{0xff}, n)) }
	for name, list := range map[string][][]byte{
		"in front": slices.Insert(slices.Clone(fields), 0, unknown(0, 1)),
		"behind":   append(slices.Clone(fields), unknown(112, 0), unknown(113, 300), unknown(0xffff, 8)),
	} {
		a, err := parseAnnouncement(slices.Concat(list...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("%s: parsed (-want +got):\n%s", name, diff)
		}
	}
	flags := appendField(nil, tagFlags, []byte{0x80, 0, 0, 0x42})
	a, err := parseAnnouncement(flags)
	opened := emptyAnnouncement()
	opened.Opened = true
	if diff := cmp.Diff(opened, a); err != nil || diff != "" {
		t.Errorf("unknown flags: %v (-want +got):\n%s", err, diff)
	}
}

func TestAnnouncementRefusals(t *testing.T) {
	good := fullAnnouncement().append(nil)
	fields := fieldsOf(t, good)
	field := func(tag uint16, v ...byte) []byte { return appendField(nil, tag, v) }
	refused := map[string][]byte{
		"cut off":           good[:len(good)-1],
		"a byte too many":   append(bytes.Clone(good), 0),
		"too long a value":  {0, 99, 0, 1},
		"half a head":       {0, 99, 0},
		"unknown phase":     field(tagPhase, 4),
		"factor 0":          field(tagFactor, 0),
		"level 0":           field(tagLevel, 0, 0, 0, 0),
		"seeking":           field(tagPhase, 0),
		"no flags":          field(tagFlags, 0, 0, 0, 0),
		"factor 1":          field(tagFactor, 1),
		"continues twice":   field(tagRepair, 0, 0, 0, 0, 0, 0, 0, 0, 2),
		"level 1":           field(tagLevel, 0, 0, 0, 1),
		"nowhere caught up": field(tagPhase, byte(CaughtUp)),
		"nowhere behind":    field(tagPhase, byte(CatchingUp)),
		"unknown twice":     append(field(99), field(99)...),
		"too large":         append(bytes.Clone(good), appendField(nil, 99, make([]byte, maxAnnouncement))...),
	}
	for i, f := range fields {
		tag, value := binary.BigEndian.Uint16(f), f[fieldHead:]
		name := fmt.Sprintf("field %d ", tag)
		with := func(other ...[]byte) []byte {
			return slices.Concat(slices.Concat(fields[:i]...), slices.Concat(other...), slices.Concat(fields[i+1:]...))
		}
		refused[name+"twice"] = with(f, f)
		refused[name+"short"] = with(field(tag, value[1:]...))
		refused[name+"long"] = with(field(tag, append(bytes.Clone(value), 1)...))
		refused[name+"zero"] = with(field(tag, make([]byte, len(value))...))
		refused[name+"behind an unknown one"] = append(field(0xffff), f...)
		if i > 0 {
			refused[name+"out of order"] = slices.Concat(slices.Concat(fields[:i-1]...), f, fields[i-1], slices.Concat(fields[i+1:]...))
		}
	}
	for name, b := range refused {
		if a, err := parseAnnouncement(b); !errors.Is(err, errAnnouncement) {
			t.Errorf("%s: parsed to %+v, %v", name, a, err)
		}
	}
}

func FuzzParseAnnouncement(f *testing.F) {
	f.Add(fullAnnouncement().append(nil))
	f.Add(emptyAnnouncement().append(nil))
	f.Add(append(fullAnnouncement().append(nil), 0, 99, 0, 2, 1, 2))
	f.Add(appendField(nil, tagFlags, []byte{0xff, 0xff, 0xff, 0xff}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnnouncement(b)
		if err != nil {
			return
		}
		known := a.append(nil)
		if again, err := parseAnnouncement(known); err != nil || again != a {
			t.Errorf("%+v is encoded as %x, which is parsed as %+v, %v", a, known, again, err)
		}
		if len(known) > len(b) || len(known) == len(b) && a.flags() == 0 && !bytes.Equal(known, b) {
			t.Errorf("%x is accepted and parsed as %x", b, known)
		}
	})
}

func TestPolicyVoters(t *testing.T) {
	free := Policy{MinimumVoters: 1, MaximumVoters: 5}
	four := Policy{Expected: 4, MinimumVoters: 3, MaximumVoters: 5}
	for _, c := range []struct {
		policy     Policy
		have, want int
	}{
		{free, 1, 1}, {free, 2, 1}, {free, 3, 3}, {free, 4, 3}, {free, 5, 5}, {free, 6, 5}, {free, 20, 5},
		{Policy{MinimumVoters: 1, MaximumVoters: 4}, 9, 3},
		{Policy{MinimumVoters: 1, MaximumVoters: 1}, 9, 1},
		{Policy{Expected: 2, MinimumVoters: 2, MaximumVoters: 5}, 1, 1},
		{Policy{Expected: 2, MinimumVoters: 2, MaximumVoters: 5}, 2, 2},
		{four, 2, 2}, {four, 3, 3}, {four, 4, 3}, {four, 5, 5},
		{Policy{MinimumVoters: 2, MaximumVoters: 5}, 2, 2},
	} {
		if got := votersOf(c.policy, c.have); got != c.want {
			t.Errorf("%v: %d members have %d voters, want %d", c.policy, c.have, got, c.want)
		}
	}
	for expected, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 3, 5: 3} {
		if got := floorOf(Policy{Expected: expected}); got != want {
			t.Errorf("expected %d: the floor is %d, want %d", expected, got, want)
		}
	}
}

func TestIdentifiersDiffer(t *testing.T) {
	e, i := newEpoch(), newTestIncarnation()
	if e == newEpoch() || e.IsZero() {
		t.Error("two new epochs are equal")
	}
	p := peerOf("p")
	ids := map[uint64]string{}
	for name, id := range map[string]uint64{
		"replica":             replicaID(p, e, i),
		"another peer":        replicaID(peerOf("q"), e, i),
		"another epoch":       replicaID(p, newEpoch(), i),
		"another incarnation": replicaID(p, e, newTestIncarnation()),
	} {
		if other, ok := ids[id]; ok {
			t.Errorf("%s and %s share the replica id %d", name, other, id)
		}
		ids[id] = name
	}
}
