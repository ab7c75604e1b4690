package testutil

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/internal/determinism"
	"github.com/mosaik-go/mosaik/testutil/internal/dump"
	"github.com/mosaik-go/mosaik/testutil/internal/random"
)

// checked is a machine whose determinism is checked.
type checked[C any] struct {
	newMachine func() sm.StateMachine[C]
	spec       sm.Spec[C]
	batches    bool
	snapshots  bool
	freezes    bool
	draws      map[reflect.Type]*draws
}

// draws are the random commands of one type.
type draws struct {
	accepted, refused int
	err               error // the last one of the codec
}

// subject returns a machine for a check. It ends the test if the machine has no valid Spec.
func subject[C any, M sm.StateMachine[C]](t *testing.T, newMachine func() M) *checked[C] {
	t.Helper()
	if newMachine == nil {
		t.Fatal("testutil: check determinism: newMachine is nil")
	}
	s := &checked[C]{
		newMachine: func() sm.StateMachine[C] { return newMachine() },
		draws:      make(map[reflect.Type]*draws),
	}
	m := s.newMachine()
	s.spec = m.Spec()
	if err := s.spec.Validate(); err != nil {
		t.Fatalf("testutil: check determinism: %v", err)
	}
	_, s.batches = m.(sm.BatchApplier[C])
	_, s.snapshots = m.(sm.Snapshotter)
	_, s.freezes = m.(sm.Freezer)
	return s
}

func (s *checked[C]) machine() determinism.Machine {
	return determinism.Machine{
		New:       func() determinism.Instance { return &instance[C]{machine: s.newMachine(), codec: s.spec.Codec} },
		Batches:   s.batches,
		Snapshots: s.snapshots,
		Freezes:   s.freezes,
	}
}

// describe returns the Go value of a command.
func (s *checked[C]) describe(c determinism.Command) string {
	cmd, err := s.spec.Codec.Decode(c.Encoded)
	if err != nil {
		return fmt.Sprintf("%x", c.Encoded)
	}
	return fmt.Sprintf("%#v", cmd)
}

// instance implements [determinism.Instance].
type instance[C any] struct {
	machine sm.StateMachine[C]
	codec   codec.Codec[C]
}

func (i *instance[C]) Apply(c determinism.Command) (out determinism.Outcome) {
	defer recovered(&out)
	cmd, err := i.codec.Decode(c.Encoded)
	if err != nil {
		panic(fmt.Sprintf("the codec cannot decode the command that it encoded: %v", err))
	}
	return outcome(i.machine.Apply(sm.NewApplyContext(c.Info), cmd))
}

func (i *instance[C]) ApplyBatch(all []determinism.Command) (out []determinism.Outcome) {
	out = make([]determinism.Outcome, 1)
	defer recovered(&out[0])
	batch := make([]sm.Applying[C], len(all))
	for n, c := range all {
		cmd, err := i.codec.Decode(c.Encoded)
		if err != nil {
			panic(fmt.Sprintf("the codec cannot decode the command that it encoded: %v", err))
		}
		batch[n] = sm.Applying[C]{At: sm.NewApplyContext(c.Info), Command: cmd}
	}
	i.machine.(sm.BatchApplier[C]).ApplyBatch(batch)
	outcomes := make([]determinism.Outcome, len(all))
	for n := range batch {
		outcomes[n] = outcome(batch[n].Result, batch[n].Err)
	}
	return outcomes
}

func recovered(out *determinism.Outcome) {
	if r := recover(); r != nil {
		*out = determinism.Outcome{Text: fmt.Sprint(r), Panicked: true}
	}
}

func outcome(result any, err error) determinism.Outcome {
	if err != nil {
		return determinism.Outcome{Text: fmt.Sprintf("error: %v\n", err)}
	}
	text := func() string { return dump.Value("result", result) }
	return determinism.Outcome{Text: text(), Again: text}
}

func (i *instance[C]) Snapshot() (_ []byte, err error) {
	defer toError("Snapshot", &err)
	var b bytes.Buffer
	err = i.machine.(sm.Snapshotter).Snapshot(&b)
	return b.Bytes(), err
}

func (i *instance[C]) Restore(snapshot []byte) (err error) {
	defer toError("Restore", &err)
	return i.machine.(sm.Snapshotter).Restore(bytes.NewReader(snapshot))
}

func (i *instance[C]) Freeze() (_ func() ([]byte, error), err error) {
	defer toError("Freeze", &err)
	view, err := i.machine.(sm.Freezer).Freeze()
	return func() (_ []byte, err error) {
		defer toError("the snapshot of a view", &err)
		var b bytes.Buffer
		err = errors.Join(view.Snapshot(&b), view.Close())
		return b.Bytes(), err
	}, err
}

func toError(method string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s panicked: %v", method, r)
	} else if *err != nil {
		*err = fmt.Errorf("%s: %w", method, *err)
	}
}

func (i *instance[C]) Dump() string { return dump.Value("machine", i.machine) }

// errNoSamples is the error of a machine for which no command can be drawn.
var errNoSamples = errors.New("its codec lists no commands: run go generate, or set Determinism.Generate")

// sampler is implemented by the codecs that mosaik-gen generates.
type sampler interface{ Samples() []any }

// maxRefused is how many random commands of one type the codec may refuse before it counts as a
// type of which none is accepted.
const maxRefused = 100

// draw draws a sequence of commands.
func (d Determinism[C]) draw(s *checked[C], r *rand.Rand) (determinism.Script, error) {
	script := determinism.Script{Seed: r.Uint64()}
	generate, err := d.generator(s, r)
	if err != nil {
		return script, err
	}
	info := sm.ApplyInfo{
		Term: 1, Group: sm.ID("group"), Network: sm.ID("network"),
		Time: time.Unix(1_700_000_000, r.Int64N(1e9)).UTC(),
	}
	n := 1 + r.IntN(orDefault(d.Commands, defaultCommands))
	for len(script.Commands) < n {
		encoded, err := s.encode(generate)
		if err != nil {
			return script, err
		}
		info.Index++
		info.Seed = r.Uint64()
		info.Term += sm.Term(r.IntN(16) / 15)
		info.Time = info.Time.Add(time.Duration(r.IntN(3)) * time.Duration(r.Int64N(int64(time.Minute))))
		script.Commands = append(script.Commands, determinism.Command{Info: info, Encoded: encoded})
	}
	return script, nil
}

// generator returns a function that draws a command.
func (d Determinism[C]) generator(s *checked[C], r *rand.Rand) (func() C, error) {
	if d.Generate != nil {
		return func() C { return d.Generate(r) }, nil
	}
	var samples []any
	if c, ok := s.spec.Codec.(sampler); ok {
		samples = c.Samples()
	}
	values := random.New(r, samples)
	typ := reflect.TypeFor[C]()
	if typ.Kind() == reflect.Interface && !values.Knows(typ) {
		return nil, errNoSamples
	}
	return func() C { return values.Value(typ).Interface().(C) }, nil
}

// encode draws commands until the codec accepts one.
func (s *checked[C]) encode(generate func() C) ([]byte, error) {
	for {
		cmd := generate()
		d := s.draws[reflect.TypeOf(cmd)]
		if d == nil {
			d = new(draws)
			s.draws[reflect.TypeOf(cmd)] = d
		}
		encoded, err := s.spec.Codec.Append(nil, cmd)
		if err == nil {
			d.accepted++
			return encoded, nil
		}
		d.refused, d.err = d.refused+1, err
		if err := s.neverEncoded(); err != nil {
			return nil, err
		}
	}
}

// neverEncoded returns an error if the codec refuses all random commands of a type.
func (s *checked[C]) neverEncoded() error {
	for t, d := range s.draws {
		if d.accepted == 0 && d.refused >= maxRefused {
			return fmt.Errorf("the codec refuses random values of %v; set Determinism.Generate: %w", t, d.err)
		}
	}
	return nil
}
