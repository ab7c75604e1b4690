package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// growthCallers is the number of callers, the same for every shape.
const growthCallers = 64

// Shape is the size of one configuration.
type Shape struct {
	Durable bool `json:"durable"`
	Groups  int  `json:"groups"`
	Members int  `json:"members"`
	Size    int  `json:"command_bytes"`
}

// shapes are what is measured: one thing grows at a time.
func shapes() []Shape {
	return []Shape{
		{false, 1, 3, 16}, {false, 10, 3, 16}, {false, 100, 3, 16}, {false, 1000, 3, 16},
		{false, 1, 5, 16}, {false, 1, 7, 16}, {false, 1, 9, 16},
		{false, 1, 3, 256}, {false, 1, 3, 4 << 10}, {false, 1, 3, 64 << 10},
		{true, 1, 3, 16}, {true, 100, 3, 16},
		{true, 1, 3, 256}, {true, 1, 3, 4 << 10}, {true, 1, 3, 64 << 10},
	}
}

// Growth is what commands cost in groups of a shape.
type Growth struct {
	Shape
	Rounds []Sample `json:"rounds"`
	Heap   []uint64 `json:"heap_bytes"` // of the idle groups, all members together
}

// measureGrowth measures every shape in each round.
func measureGrowth(ctx context.Context, o options, shapes []Shape) ([]Growth, error) {
	all := make([]Growth, len(shapes))
	for round := range o.rounds {
		for i, shape := range shapes {
			o.progress("round %d of %d: %+v", round+1, o.rounds, shape)
			all[i].Shape = shape
			if err := all[i].round(ctx, o); err != nil {
				return nil, fmt.Errorf("bench: %+v: %w", shape, err)
			}
		}
	}
	return all, nil
}

func (g *Growth) round(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(ctx, 5*patience+2*o.span)
	defer cancel()
	before := heap()
	f := &field{shape: g.Shape}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.open(ctx, dir); err != nil {
		return err
	}
	after := heap()
	g.Heap = append(g.Heap, after-min(before, after))
	sample, err := newLoad(growthCallers, o.span, f.execute()).run(ctx, nil)
	g.Rounds = append(g.Rounds, sample)
	return err
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// sinkGroup is a handle on a group whose commands are bytes.
type sinkGroup = mosaik.Group[[]byte, *sink]

// field is groups of one shape, with their members in this process.
type field struct {
	shape  Shape
	nets   []*mosaik.Network
	groups [][]*sinkGroup // by group, by member
}

func (f *field) open(ctx context.Context, dir string) error {
	id := mosaik.NetworkID("growth")
	var seeds []string
	for i := range f.shape.Members {
		options := []mosaik.Option{mosaik.WithSeeds(seeds...), mosaik.WithLeaveTimeout(0)}
		if f.shape.Durable {
			options = append(options, mosaik.WithDir(filepath.Join(dir, strconv.Itoa(i))))
		}
		net, err := mosaik.Open(ctx, id, options...)
		if err != nil {
			return err
		}
		f.nets, seeds = append(f.nets, net), append(seeds, net.Addr().String())
	}
	for range f.shape.Groups {
		key := mosaik.RandomKey()
		var group []*sinkGroup
		for _, net := range f.nets {
			member, err := f.join(ctx, net.Groups().WithKey(key))
			if err != nil {
				return err
			}
			group = append(group, member)
		}
		f.groups = append(f.groups, group)
	}
	for _, group := range f.groups {
		for _, member := range group {
			if err := member.When().Settled(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *field) join(ctx context.Context, b mosaik.KeyedBuilder) (*sinkGroup, error) {
	policy := consensus.Policy{MaximumVoters: f.shape.Members, Expected: f.shape.Members}
	machine := mosaik.WithStateMachine(b.WithMembership(policy), newSink)
	if f.shape.Durable {
		return machine.WithLogStorage(logstore.Disk[[]byte]()).Join(ctx)
	}
	return machine.Join(ctx)
}

// execute returns a call that goes to one group after the other, at its leader.
func (f *field) execute() call {
	leaders := make([]*sinkGroup, len(f.groups))
	for i, group := range f.groups {
		leaders[i] = group[max(0, slices.IndexFunc(group, (*sinkGroup).IsLeader))]
	}
	var next atomic.Uint64
	cmd := make([]byte, f.shape.Size)
	return func(ctx context.Context) error {
		_, err := leaders[next.Add(1)%uint64(len(leaders))].Execute(ctx, cmd)
		return err
	}
}

func (f *field) close() error {
	var errs []error
	for _, net := range f.nets {
		errs = append(errs, net.Close())
	}
	return errors.Join(errs...)
}

// sink is a machine that counts the bytes of its commands.
type sink struct{ total int }

func newSink() *sink { return &sink{} }

// Spec implements [sm.StateMachine].
func (*sink) Spec() sm.Spec[[]byte] {
	return sm.Spec[[]byte]{Name: "bench/sink", Version: 1, Signature: sm.ID("bench/sink"), Codec: sinkCodec{}}
}

// Apply implements [sm.StateMachine].
func (s *sink) Apply(_ sm.ApplyContext, cmd []byte) (any, error) {
	s.total += len(cmd)
	return nil, nil
}

// sinkCodec encodes bytes as they are.
type sinkCodec struct{}

// Append implements [codec.Codec].
func (sinkCodec) Append(dst, cmd []byte) ([]byte, error) { return append(dst, cmd...), nil }

// Decode implements [codec.Codec].
func (sinkCodec) Decode(src []byte) ([]byte, error) { return slices.Clone(src), nil }

// growth writes one row for each shape.
func (r Report) growth(b *strings.Builder) {
	table(b, fmt.Sprintf("Commands by %d callers, spread over the groups", growthCallers),
		"logs", "groups", "members", "bytes", "per second", "p50", "p99", "CPU", "heap per replica")
	for _, g := range r.Growths {
		m := Speed{Rounds: g.Rounds}.median()
		log := "memory"
		if g.Durable {
			log = "disk"
		}
		replicas := uint64(g.Groups * g.Members)
		row(b, log, fmt.Sprint(g.Groups), fmt.Sprint(g.Members), fmt.Sprint(g.Size), thousands(m.PerSecond),
			short(m.P50), short(m.P99), short(m.CPU), fmt.Sprintf("%.1f MB", float64(median(g.Heap)/replicas)/1e6))
	}
}
