package group

import (
	"encoding/hex"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fullAnnouncement() Announcement {
	return Announcement{
		Phase:    CaughtUp,
		Role:     Role{Observer: true, Factor: 3},
		Opened:   true,
		Poisoned: true,
		Leads:    true,
		Tenure:   Tenure{Incarnation{1, 2, 3}, Process{7: 0x31, 15: 0x32}},
		Epoch:    Epoch{4, 5, 6},
		Count:    0x0102030405060708,
		Policy:   Policy{Expected: 3, Minimum: 2, Maximum: 5, Grace: 30 * time.Second},
		Change:   0x1112131415161718,
		Schema:   Schema{0x21, 0x22, 7: 0x28},
	}
}

// TestAnnouncementGolden holds version 1 still: members of different builds
// must understand each other.
func TestAnnouncementGolden(t *testing.T) {
	const file = "testdata/announcement_v1.hex"
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
}

func TestAnnouncementRefusals(t *testing.T) {
	good := fullAnnouncement().append(nil)
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	noEpoch := append([]byte(nil), good...)
	clear(noEpoch[20:36])
	for name, b := range map[string][]byte{
		"empty":             {},
		"another version":   change(0, 2),
		"too short":         good[:len(good)-1],
		"too long":          append(append([]byte(nil), good...), 0),
		"unknown phase":     change(1, 4),
		"unknown flag":      change(2, 32),
		"factor 0":          change(3, 0),
		"nowhere caught up": noEpoch,
	} {
		if a, err := parseAnnouncement(b); !errors.Is(err, errAnnouncement) {
			t.Errorf("%s: parsed to %+v, %v", name, a, err)
		}
	}
}

func FuzzParseAnnouncement(f *testing.F) {
	f.Add(fullAnnouncement().append(nil))
	f.Add(Announcement{Role: Role{Factor: 1}}.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnnouncement(b)
		if err != nil {
			return
		}
		if diff := cmp.Diff(b, a.append(nil)); diff != "" {
			t.Errorf("an accepted announcement is written differently (-read +written):\n%s", diff)
		}
	})
}

func TestPolicyVoters(t *testing.T) {
	free := Policy{Minimum: 1, Maximum: 5}
	four := Policy{Expected: 4, Minimum: 3, Maximum: 5}
	for _, c := range []struct {
		policy     Policy
		have, want int
	}{
		{free, 1, 1}, {free, 2, 1}, {free, 3, 3}, {free, 4, 3}, {free, 5, 5}, {free, 6, 5}, {free, 20, 5},
		{Policy{Minimum: 1, Maximum: 4}, 9, 3},
		{Policy{Minimum: 1, Maximum: 1}, 9, 1},
		{Policy{Expected: 2, Minimum: 2, Maximum: 5}, 1, 1},
		{Policy{Expected: 2, Minimum: 2, Maximum: 5}, 2, 2},
		{four, 2, 2}, {four, 3, 3}, {four, 4, 3}, {four, 5, 5},
		{Policy{Minimum: 2, Maximum: 5}, 2, 2},
	} {
		if got := c.policy.Voters(c.have); got != c.want {
			t.Errorf("%v: %d members have %d voters, want %d", c.policy, c.have, got, c.want)
		}
	}
	for expected, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 3, 5: 3} {
		if got := (Policy{Expected: expected}).Floor(); got != want {
			t.Errorf("expected %d: the floor is %d, want %d", expected, got, want)
		}
	}
}

func TestIdentifiersDiffer(t *testing.T) {
	e, i := newEpoch(), newIncarnation(time.Now(), 0)
	if e == newEpoch() || e.IsZero() {
		t.Error("two epochs are alike")
	}
	p := peerOf("p")
	ids := map[uint64]string{}
	for name, id := range map[string]uint64{
		"replica":             replicaID(p, e, i),
		"another peer":        replicaID(peerOf("q"), e, i),
		"another epoch":       replicaID(p, newEpoch(), i),
		"another incarnation": replicaID(p, e, newIncarnation(time.Now(), 0)),
	} {
		if other, ok := ids[id]; ok {
			t.Errorf("%s and %s share the replica id %d", name, other, id)
		}
		ids[id] = name
	}
	order := []Incarnation{
		newIncarnation(time.Unix(1, 0), 0), newIncarnation(time.Unix(1, 0), 1), newIncarnation(time.Unix(1, 0), 300),
		newIncarnation(time.Unix(2, 0), 0), newIncarnation(time.Unix(2, 0), math.MaxInt),
	}
	for i := range order[1:] {
		if order[i+1].Compare(order[i]) <= 0 {
			t.Errorf("incarnation %x is later than %x and does not compare higher", order[i+1], order[i])
		}
	}
}

func TestTenureExcludes(t *testing.T) {
	life := func(at int64) Incarnation { return newIncarnation(time.Unix(at, 0), 0) }
	old, young := life(1), life(2)
	first, second := NewProcess(1), NewProcess(2)
	for _, test := range []struct {
		name string
		met  Tenure
		o    Tenure
		want bool
	}{
		{"nobody was met", Tenure{}, Tenure{old, first}, false},
		{"the same process", Tenure{old, first}, Tenure{old, first}, false},
		{"a later life", Tenure{old, second}, Tenure{young, first}, false},
		{"an earlier life", Tenure{young, first}, Tenure{old, second}, true},
		{"a later start", Tenure{old, first}, Tenure{old, second}, false},
		{"an earlier start", Tenure{old, second}, Tenure{old, first}, true},
		{"a copy opened as often", Tenure{old, first}, Tenure{old, NewProcess(1)}, true},
	} {
		if got := test.met.excludes(test.o); got != test.want {
			t.Errorf("%s: excludes is %t, want %t", test.name, got, test.want)
		}
	}
}
