package integration_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// shop is a till in one of several releases: the machine of release n knows the
// levels up to n, and "tip" came with level 2, "gift" with level 3.
type shop struct {
	till
	release uint32
}

func newShop(release uint32) func() *shop { return func() *shop { return &shop{release: release} } }

// keptShop is a shop with snapshots.
type keptShop struct{ shop }

func newKeptShop(release uint32) func() *keptShop {
	return func() *keptShop { return &keptShop{shop{release: release}} }
}

func (c *keptShop) Snapshot(w io.Writer) error { return (&keptTill{c.till}).Snapshot(w) }

func (c *keptShop) Restore(r io.Reader) error {
	k := keptTill{c.till}
	err := k.Restore(r)
	c.till = k.till
	return err
}

// verbLevel is the level of the schema from which a command is known.
func verbLevel(s step) uint32 { return map[string]uint32{"tip": 2, "gift": 3}[s.Verb] }

// Spec implements [sm.StateMachine]. Members compare the first bytes of the digest of
// their newest level, and those of the releases share them: so the releases of this
// machine bond, as members of several levels will.
func (c *shop) Spec() sm.Spec[step] {
	s := sm.Define[step]("shop", 1)
	plain := shopCodec{s.Codec, c.release}
	if s.Codec = plain; c.release > 1 {
		s.Codec = leveledShopCodec{plain}
	}
	for n := range c.release {
		digest := s.Signature
		digest[len(digest)-1] += byte(n)
		s.Levels = append(s.Levels, digest)
	}
	return s
}

func (c *shop) Apply(at sm.ApplyContext, s step) (any, error) {
	if verbLevel(s) > 0 {
		s.Verb = "pay"
	}
	return c.till.Apply(at, s)
}

// shopCodec refuses the commands that its release does not know.
type shopCodec struct {
	codec.Codec[step]
	newest uint32
}

func (c shopCodec) Append(dst []byte, s step) ([]byte, error) { return c.at(c.newest).append(dst, s) }
func (c shopCodec) Decode(src []byte) (step, error)           { return c.at(c.newest).decode(src) }

type shopLevel struct {
	codec.Codec[step]
	level uint32
}

func (c shopCodec) at(level uint32) shopLevel { return shopLevel{c.Codec, level} }

func (l shopLevel) append(dst []byte, s step) ([]byte, error) {
	if verbLevel(s) > l.level {
		return dst, &codec.Error{Op: "encode", Path: "step.Verb", Err: codec.ErrLevel}
	}
	return l.Codec.Append(dst, s)
}

func (l shopLevel) decode(src []byte) (step, error) {
	s, err := l.Codec.Decode(src)
	if err == nil && verbLevel(s) > l.level {
		return step{}, &codec.Error{Op: "decode", Path: "step.Verb", Err: codec.ErrUnknownField}
	}
	return s, err
}

// leveledShopCodec is the codec of a release with several levels.
type leveledShopCodec struct{ shopCodec }

func (c leveledShopCodec) AppendLevel(dst []byte, s step, level uint32) ([]byte, error) {
	return c.at(level).append(dst, s)
}

func (c leveledShopCodec) DecodeLevel(src []byte, level uint32) (step, error) {
	if level == 0 || level > c.newest {
		return step{}, &codec.Error{Op: "decode", Path: "step", Err: codec.ErrLevel}
	}
	return c.at(level).decode(src)
}

// outdatedBy expects an ErrOutdated that names the levels.
func outdatedBy(t *testing.T, what string, err error, found, supported uint32) {
	t.Helper()
	var o *consensus.OutdatedError
	if !errors.As(err, &o) || !errors.Is(err, consensus.ErrOutdated) || o.Found != found || o.Supported != supported {
		t.Errorf("%s: %v, want %v that names level %d, and %d", what, err, consensus.ErrOutdated, found, supported)
		return
	}
	for _, other := range []error{mosaik.ErrStorage, consensus.ErrPoisoned, mosaik.ErrClosed} {
		if errors.Is(err, other) {
			t.Errorf("%s: %v is %v as well", what, err, other)
		}
	}
	for _, number := range []uint32{found, supported} {
		if !strings.Contains(err.Error(), fmt.Sprint(number)) {
			t.Errorf("%s: %q does not name level %d", what, err, number)
		}
	}
}

// filesIn returns what the files of a directory hold that belong to its groups.
func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, part := range []string{"log", "snapshots"} {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			files[strings.TrimPrefix(path, dir)] = b
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// mustDo executes a command.
func mustDo[M holder](t *testing.T, g *mosaik.Group[step, M], s step) {
	t.Helper()
	if _, err := g.Execute(soon(t), s); err != nil {
		t.Fatalf("%v: %v", s, err)
	}
}

// An older program that is started on a log with newer entries refuses, and leaves
// every byte of it as it is. The newer one goes on from there.
func TestOlderProgramRefusesTheLog(t *testing.T) {
	t.Parallel()
	t.Run("by log", func(t *testing.T) { t.Parallel(); testOlderProgramRefuses(t, newShop) })
	t.Run("by snapshot", func(t *testing.T) { t.Parallel(); testOlderProgramRefuses(t, newKeptShop) })
}

func testOlderProgramRefuses[M holder](t *testing.T, program func(release uint32) func() M) {
	d := newDurables(t, program(2))
	d.joinAll()
	for i := range 30 { // enough for snapshots, which leave no level entry in the log
		mustDo(t, d.groups[i%3], step{"pay", 1})
		mustDo(t, d.groups[i%3], step{"tip", 1})
	}
	if level := d.groups[0].Status().Level; level != 2 {
		t.Errorf("the group has level %d, want 2", level)
	}
	for _, m := range d.groups[0].Status().Members {
		if !m.Durable || m.Level != 2 {
			t.Errorf("member %s: durable %t, level %d; want a durable one of level 2", m.Peer.Short(), m.Durable, m.Level)
		}
	}
	d.Node(0).Close()
	for _, g := range d.groups[1:] { // which has more for it than its log
		if _, err := g.When().Until(soon(t), ledByOtherThan(d.Node(0).Peer())); err != nil {
			t.Fatal(err)
		}
		mustDo(t, g, step{"tip", 1})
	}
	before := filesIn(t, d.dirs[0])
	if len(before) < 2 {
		t.Fatalf("the directory holds %d files of the group", len(before))
	}
	for range 2 {
		n := d.Node(0)
		n.Restart()
		g, err := mosaik.WithStateMachine(n.Builder(), program(1)).WithLogStorage(logstore.Disk[step]()).Join(t.Context())
		outdatedBy(t, "join", err, 2, 1)
		if err == nil {
			_ = g.When().Settled(soon(t))
		}
		n.Close()
		after := filesIn(t, d.dirs[0])
		for name := range before {
			if !bytes.Equal(before[name], after[name]) {
				t.Errorf("%s changed, from %d bytes to %d", name, len(before[name]), len(after[name]))
			}
		}
		if len(after) != len(before) {
			t.Errorf("%d files, before %d", len(after), len(before))
		}
	}
	d.Node(0).Restart()
	d.join(0)
	testutil.Settle(t, d.groups...)
	mustDo(t, d.groups[0], step{"tip", 1})
	d.wantPaid(63, d.groups...)
}

// A process that crashed leaves more open. What the log holds is the same afterwards.
func TestOlderProgramRefusesTheLogOfACrash(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newShop(2))
	d.joinAll()
	mustDo(t, d.groups[0], step{"tip", 1})
	for _, n := range nodes(d.Cluster, nil) {
		n.Crash()
	}
	held := func() string {
		t.Helper()
		log, err := logstore.Disk[step]().Open(logstore.OpenOptions[step]{Network: d.Node(0).Net().ID(), Group: d.groups[0].ID(), Dir: d.dirs[0]})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		state, err := log.State()
		out := fmt.Sprintf("%+v %v\n", state, err)
		for e, err := range log.Entries(state.Pruned.Index+1, state.Last.Index+1) {
			out += fmt.Sprintf("%+v %v\n", e, err)
		}
		return out
	}
	before := held()
	n := d.Node(0)
	n.Restart()
	_, err := mosaik.WithStateMachine(n.Builder(), newShop(1)).WithLogStorage(logstore.Disk[step]()).Join(t.Context())
	outdatedBy(t, "join", err, 2, 1)
	n.Crash()
	if diff := cmp.Diff(before, held()); diff != "" {
		t.Errorf("the log changed (-before +after):\n%s", diff)
	}
	for _, n := range nodes(d.Cluster, nil) {
		n.Restart()
	}
	d.joinAll()
	d.wantPaid(1, d.groups...)
}

// A group whose members come back with a newer program is raised to its level, and
// keeps what it held.
func TestNewerProgramRaisesTheLevel(t *testing.T) {
	t.Parallel()
	t.Run("by log", func(t *testing.T) { t.Parallel(); testNewerProgramRaises(t, newShop) })
	t.Run("by snapshot", func(t *testing.T) { t.Parallel(); testNewerProgramRaises(t, newKeptShop) })
}

func testNewerProgramRaises[M holder](t *testing.T, program func(release uint32) func() M) {
	d := newDurables(t, program(1))
	paid := int64(0)
	for _, release := range []uint32{1, 3} {
		d.newMachine = program(release)
		d.joinAll()
		for _, g := range d.groups {
			if level := g.Status().Level; level != release {
				t.Errorf("release %d: the group has level %d", release, level)
			}
		}
		for i := range 30 {
			mustDo(t, d.groups[i%3], step{[]string{"pay", "tip", "gift"}[i%int(release)], 1})
			paid++
		}
		d.wantPaid(paid, d.groups...)
		for _, n := range nodes(d.Cluster, nil) {
			n.Close()
		}
		for _, n := range nodes(d.Cluster, nil) {
			n.Restart()
		}
	}
	_, err := mosaik.WithStateMachine(d.Node(0).Builder(), program(2)).WithLogStorage(logstore.Disk[step]()).Join(t.Context())
	outdatedBy(t, "an older program", err, 3, 2)
}

// An older program that runs in a group whose level is above its own stops as soon as
// it learns that, by the log or by a snapshot, in memory as on disk. Nothing of the
// group is lost: the newer program goes on in its place.
func TestRunningOlderProgramStops(t *testing.T) {
	t.Parallel()
	for name, durable := range map[string]bool{"in memory": false, "on disk": true} {
		t.Run(name+" by log", func(t *testing.T) { t.Parallel(); testRunningOlderProgram(t, newShop, durable) })
		t.Run(name+" by snapshot", func(t *testing.T) { t.Parallel(); testRunningOlderProgram(t, newKeptShop, durable) })
	}
}

func testRunningOlderProgram[M holder](t *testing.T, program func(release uint32) func() M, durable bool) {
	d := newDurables(t, program(2))
	join := func(i int, release uint32) (*mosaik.Group[step, M], error) {
		b := mosaik.WithStateMachine(d.Node(i).Builder(), program(release)).
			WithMembership(consensus.Policy{Expected: 2}).WithSnapshots(d.snapshotEntries, d.snapshotBytes)
		if durable {
			return b.WithLogStorage(logstore.Disk[step]()).Join(t.Context())
		}
		return b.Join(t.Context())
	}
	must := func(i int, release uint32) *mosaik.Group[step, M] {
		t.Helper()
		g, err := join(i, release)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	newer := []*mosaik.Group[step, M]{must(0, 2), must(1, 2)}
	testutil.Settle(t, newer...)
	for range 40 {
		mustDo(t, newer[0], step{"tip", 1})
	}

	old := must(2, 1)
	err := old.When().Settled(soon(t))
	outdatedBy(t, "waiting", err, 2, 1)
	outdatedBy(t, "status", old.Status().Outdated, 2, 1)
	_, err = old.Execute(soon(t), step{"pay", 1})
	outdatedBy(t, "execute", err, 2, 1)
	if mosaik.Retryable(err) {
		t.Errorf("%v is retryable", err)
	}
	_, err = mosaik.Read(soon(t), old, mosaik.Weak, func(m M) (int64, error) { return m.held().sum, nil })
	outdatedBy(t, "read", err, 2, 1)
	if _, err := join(2, 1); err == nil {
		t.Error("joining again works")
	} else {
		outdatedBy(t, "join again", err, 2, 1)
	}
	mustDo(t, newer[1], step{"tip", 1})
	d.Node(2).Close()
	d.Node(2).Restart()
	if durable {
		_, err = join(2, 1)
		outdatedBy(t, "the next process", err, 2, 1)
	}
	groups := append(newer, must(2, 2))
	testutil.Settle(t, groups...)
	mustDo(t, groups[2], step{"tip", 1})
	d.wantPaid(42, groups...)
}

// A command that needs a higher level than the group has is not applied, and says so.
// What the level has is encoded at it, so that all members understand it.
func TestCommandAboveTheGroupsLevel(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	two := consensus.Policy{Expected: 2}
	groups := make([]*mosaik.Group[step, *shop], 3)
	for i := range groups[:2] {
		groups[i] = testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(c.Node(i).Builder(), newShop(1)).WithMembership(two))
	}
	testutil.Settle(t, groups[:2]...)
	// An observer never leads, and so does not raise the level.
	groups[2] = testutil.JoinWith(c.Node(2), mosaik.WithStateMachine(c.Node(2).Builder(), newShop(2)).WithMembership(two).WithRole(consensus.Role{Observer: true}))
	newer := groups[2]
	if err := newer.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"alone":      func() error { _, err := newer.Execute(soon(t), step{"tip", 1}); return err },
		"in a batch": func() error { _, err := newer.ExecuteMany(soon(t), step{"pay", 1}, step{"tip", 1}); return err },
	} {
		err := do()
		if mosaik.OutcomeOf(err) != mosaik.NotApplied || !errors.Is(err, mosaik.ErrLevel) || !errors.Is(err, codec.ErrLevel) || errors.Is(err, mosaik.ErrInvalid) || !mosaik.Retryable(err) {
			t.Errorf("a command of level 2 %s: %v, want it not applied, and %v", what, err, mosaik.ErrLevel)
		}
	}
	if got, want := newer.Status().Level, uint32(1); got != want {
		t.Errorf("the group has level %d, want %d", got, want)
	}
	follow := newer.Commands(soon(t), consensus.Epoch{}, 1)
	mustDo(t, newer, step{"pay", 3})
	for i, g := range groups {
		got, err := mosaik.Read(soon(t), g, mosaik.Strong, func(c *shop) (int64, error) { return c.sum, nil })
		if err != nil || got.Value != 3 {
			t.Errorf("member %d reads %d, %v; want 3", i, got.Value, err)
		}
	}
	for a, err := range follow {
		if err != nil || a.Command != (step{"pay", 3}) {
			t.Errorf("applied %+v, %v", a, err)
		}
		break
	}
}
