package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDomain = errors.New("declined")
	errDecode = errors.New("no such command")
)

// journal is a machine that records its commands. The commands "undecodable", "panic", "exit" and
// "decline" fail in the way that they name.
type journal struct {
	Lines        []string
	contexts     []sm.ApplyContext
	levels       []uint32 // at which the lines were decoded
	noSnapshots  bool
	restoreFails error
	exits        bool // Snapshot and Restore call runtime.Goexit
}

func (j *journal) Apply(at sm.ApplyContext, level uint32, cmd []byte) (any, error, bool) {
	switch string(cmd) {
	case "undecodable":
		return nil, errDecode, false
	case "panic":
		panic("the machine is broken")
	case "exit":
		runtime.Goexit()
	case "decline":
		return nil, errDomain, true
	}
	j.Lines = append(j.Lines, string(cmd))
	j.contexts = append(j.contexts, at)
	j.levels = append(j.levels, level)
	return len(j.Lines), nil, true
}

func (j *journal) CanSnapshot() bool { return !j.noSnapshots }

func (j *journal) Snapshot(w io.Writer) error {
	if len(j.Lines) > 0 && j.Lines[0] == "panic in snapshot" {
		panic("the machine cannot be written")
	}
	if j.exits {
		runtime.Goexit()
	}
	return json.NewEncoder(w).Encode(j.Lines)
}

func (j *journal) Restore(r io.Reader) error {
	if j.restoreFails != nil {
		return j.restoreFails
	}
	if j.exits {
		runtime.Goexit()
	}
	j.Lines = nil
	if err := json.NewDecoder(r).Decode(&j.Lines); err != nil {
		return err
	}
	if len(j.Lines) > 0 && j.Lines[0] == "panic in restore" {
		panic("the machine cannot be read")
	}
	return nil
}

// replica is a State that records the calls of its callbacks.
type replica struct {
	*State
	machine    *journal
	deliveries []Delivery
	events     []string
	errs       []error // of Apply
	log        [][]byte
	index      sm.Index
	at         sm.Cursor // the last position that Applied received
}

var (
	mine   = format.SessionID{1} // the session of the replica itself
	others = format.SessionID{2}
)

func newReplica() *replica { return newReplicaOf(4) }

// newReplicaOf returns a replica whose machine supports levels up to level.
func newReplicaOf(level uint32) *replica {
	r := &replica{machine: &journal{}}
	r.State = New(Config{
		Level:   level,
		Group:   sm.ID("group"),
		Network: sm.ID("network"),
		Machine: r.machine,
		Deliver: func(d Delivery) { r.deliveries = append(r.deliveries, d); r.event("deliver %d", d.Sequence) },
		Applied: func(appliedIndex sm.Index, raft sm.Cursor) {
			if s := r.Status(); s.AppliedIndex != appliedIndex || s.Raft != raft {
				panic("Applied received a position other than that of Status")
			}
			r.at = raft
		},
		Opened:   func() { r.event("opened") },
		Sealed:   func() { r.event("sealed") },
		Ancestor: func(e [16]byte) { r.event("ancestor %x", e[:1]) },
		Poisoned: func(err *consensus.PoisonedError) { r.event("poisoned %s", err.Doing) },
		Traced:   func(tr Traced) { r.event("traced %d+%d", tr.First, tr.Commands) },
	})
	r.SetOwnSession(mine)
	return r
}

// event records a call of a callback.
func (r *replica) event(text string, args ...any) {
	r.events = append(r.events, fmt.Sprintf(text, args...))
}

// next applies an entry at the next index in term 1.
func (r *replica) next(data []byte) {
	r.index++
	r.log = append(r.log, data)
	if err := r.Apply(r.index, 1, data); err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *replica) kind(k format.Kind) {
	r.next(format.Append(nil, &format.Envelope{Header: format.Header{Kind: k, Level: 2}}))
}

func (r *replica) open(id format.SessionID) {
	r.next(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSession, Session: id}}))
}

func (r *replica) commands(id format.SessionID, sequence uint64, cmds ...string) {
	r.next(entry(id, sequence, cmds...))
}

// last returns the last delivery.
func (r *replica) last(t *testing.T) Delivery {
	t.Helper()
	if len(r.deliveries) == 0 {
		t.Fatal("nothing was delivered")
	}
	return r.deliveries[len(r.deliveries)-1]
}

func entry(id format.SessionID, sequence uint64, cmds ...string) []byte {
	return entryAt(1, id, sequence, cmds...)
}

// entryAt returns an entry of commands that are encoded at a level.
func entryAt(level uint32, id format.SessionID, sequence uint64, cmds ...string) []byte {
	h := format.Header{Kind: format.KindCommands, Level: level, Session: id, Sequence: sequence, Time: int64(sequence), Seed: 9}
	b := format.Begin(nil, h, nil, len(cmds))
	for _, cmd := range cmds {
		b = format.AppendCommand(b, []byte(cmd))
	}
	return b
}

// ready returns a replica that is open and has both sessions.
func ready() *replica {
	r := newReplica()
	r.kind(format.KindOpen)
	r.open(mine)
	r.open(others)
	return r
}

// copyTo restores a snapshot of r in a new replica.
func (r *replica) copyTo(t *testing.T, to *replica) {
	t.Helper()
	var b bytes.Buffer
	if err := r.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(&b); err != nil {
		t.Fatal(err)
	}
	to.index = r.index
}
