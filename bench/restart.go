package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// block is how many bytes each command of a log has that a member restarts from
// or catches up with, and each value of a snapshot.
const block = 4 << 10

// Course is a way for a member to get hold of what the group has.
type Course struct {
	CatchUp  bool `json:"catch_up"` // it joins with nothing, and otherwise comes back with all
	Snapshot bool `json:"snapshot"` // it gets a snapshot, and otherwise the whole log
	Durable  bool `json:"durable"`  // logs are on disk
}

// String names the course: "catch-up-snapshot-disk", say.
func (c Course) String() string {
	return strings.Join(c.words(), "-")
}

func (c Course) words() []string {
	words := []string{"restart", "log", "memory"}
	if c.CatchUp {
		words[0] = "catch-up"
	}
	if c.Snapshot {
		words[1] = "snapshot"
	}
	if c.Durable {
		words[2] = "disk"
	}
	return words
}

// courses returns all that are measured.
func courses() []Course {
	return []Course{
		{false, false, true}, {false, true, true},
		{true, false, false}, {true, false, true},
		{true, true, false}, {true, true, true},
	}
}

func courseNames(all []Course) (names []string) {
	for _, c := range all {
		names = append(names, c.String())
	}
	return names
}

// coursesNamed returns the courses of the given names, in the order of courses.
func coursesNamed(names []string) ([]Course, error) {
	all := courses()
	if slices.Equal(names, []string{"all"}) {
		return all, nil
	}
	for _, name := range names {
		if known := courseNames(all); !slices.Contains(known, name) {
			return nil, fmt.Errorf("bench: -courses: unknown %q; there are %s, and all", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(c Course) bool { return !slices.Contains(names, c.String()) }), nil
}

// Restart is how long a course took, from opening the network to a strong read
// of everything, and what it took of memory.
type Restart struct {
	Course
	Bytes int64           `json:"bytes"` // of the log's commands or the machine
	Took  []time.Duration `json:"took_ns"`
	Peak  []uint64        `json:"peak_bytes"`       // beyond what the process held before
	Kept  []uint64        `json:"kept_bytes"`       // afterwards
	Whole []uint64        `json:"whole_peak_bytes"` // since the group was opened: with writing what is measured
}

// measureRestarts takes every course in each round.
func measureRestarts(ctx context.Context, o options) ([]Restart, error) {
	all := make([]Restart, len(o.courses))
	for round := range o.rounds {
		for i, course := range o.courses {
			o.progress("round %d of %d: %s", round+1, o.rounds, course)
			all[i].Course, all[i].Bytes = course, o.restart
			if err := all[i].round(ctx, o); err != nil {
				return nil, fmt.Errorf("bench: %s: %w", course, err)
			}
		}
	}
	return all, nil
}

func (r *Restart) round(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(ctx, 10*patience+time.Duration(r.Bytes>>20)*time.Second)
	defer cancel()
	if r.Snapshot {
		return takeCourse(ctx, r, o, dir, newStock)
	}
	return takeCourse(ctx, r, o, dir, newSink)
}

// blocks is a machine that counts the bytes that it was given.
type blocks interface {
	sm.StateMachine[[]byte]
	bytes() int64
}

func (s *sink) bytes() int64 { return int64(s.total) }

// takeCourse fills a group of one member, and lets the member come back or
// another one join.
func takeCourse[M blocks](ctx context.Context, r *Restart, o options, dir string, newMachine func() M) (err error) {
	whole := watchMemory()
	defer whole.stop()
	p := &pair[M]{course: r.Course, dir: dir, key: mosaik.RandomKey(), newMachine: newMachine}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.open(ctx, 0); err != nil {
		return err
	}
	if err := p.fill(ctx, r.Bytes); err != nil {
		return err
	}
	member := 1
	if !r.CatchUp {
		member = 0
		if err := p.close(); err != nil {
			return err
		}
	}
	watch, began := watchMemory(), time.Now()
	defer watch.stop()
	stopProfile, err := o.profile.around("restart-"+r.Course.String(), func() {})()
	if err != nil {
		return err
	}
	err = p.open(ctx, member)
	if err == nil {
		err = p.has(ctx, member, r.Bytes)
	}
	took := time.Since(began)
	if err := errors.Join(err, stopProfile()); err != nil {
		return err
	}
	peak, kept := watch.stop()
	ofWhole, _ := whole.stop()
	r.Took, r.Peak, r.Kept, r.Whole = append(r.Took, took), append(r.Peak, peak), append(r.Kept, kept), append(r.Whole, ofWhole)
	return nil
}

// pair is a group of one member, to which another one may come.
type pair[M blocks] struct {
	course     Course
	dir        string
	key        mosaik.GroupKey
	newMachine func() M
	nets       [2]*mosaik.Network
	groups     [2]*mosaik.Group[[]byte, M]
	pruned     chan struct{} // closed when the first member's log was pruned behind a snapshot
}

func (p *pair[M]) open(ctx context.Context, member int) error {
	t := fastTiming()
	options := []mosaik.Option{mosaik.WithTick(t.tick), mosaik.WithLeaveTimeout(0)}
	if p.nets[0] != nil {
		options = append(options, mosaik.WithSeeds(p.nets[0].Addr().String()))
	}
	log := logstore.Storage[[]byte](logstore.NewMemory[[]byte]())
	if p.course.Durable {
		options = append(options, mosaik.WithDir(filepath.Join(p.dir, fmt.Sprint(member))))
		log = logstore.Disk[[]byte]()
	}
	var err error
	if p.nets[member], err = mosaik.Open(ctx, mosaik.NetworkID("restart"), options...); err != nil {
		return err
	}
	if p.pruned == nil {
		p.pruned = make(chan struct{})
		log = prunedStorage{log, sync.OnceFunc(func() { close(p.pruned) })}
	}
	if member == 0 {
		t.config.BootstrapDelay = consensus.None // nobody else begins the group
	}
	b := p.nets[member].Groups().WithKey(p.key).WithConsensusConfig(t.config)
	p.groups[member], err = mosaik.WithStateMachine(b, p.newMachine).WithSnapshots(snapshotAfter, 1<<40).WithLogStorage(log).Join(ctx)
	if err != nil {
		return err
	}
	return p.groups[member].When().Online(ctx)
}

// snapshotAfter is after how many entries a machine that has snapshots takes one:
// not again for what coming and going adds.
const snapshotAfter = 100

// fill makes the group hold so many bytes: in commands, or in a machine that few
// commands fill, and whose snapshot then takes the place of the log.
func (p *pair[M]) fill(ctx context.Context, bytes int64) error {
	if p.course.Snapshot {
		if _, err := p.groups[0].Execute(ctx, binary.LittleEndian.AppendUint64(nil, uint64(bytes/block))); err != nil {
			return err
		}
		for range snapshotAfter {
			if _, err := p.groups[0].Execute(ctx, make([]byte, 8)); err != nil {
				return err
			}
		}
		select {
		case <-p.pruned:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("await a snapshot: %w", ctx.Err())
		}
	}
	var writing sync.WaitGroup
	var left atomic.Int64
	left.Store(bytes / block)
	errs := make([]error, growthCallers)
	for i := range errs {
		cmd := make([]byte, block)
		random(cmd, uint64(i))
		writing.Go(func() {
			for errs[i] == nil && left.Add(-1) >= 0 {
				_, errs[i] = p.groups[0].Execute(ctx, cmd)
			}
		})
	}
	writing.Wait()
	return errors.Join(errs...)
}

// has waits until a member holds everything.
func (p *pair[M]) has(ctx context.Context, member int, bytes int64) error {
	got, err := mosaik.Read(ctx, p.groups[member], mosaik.Strong, func(m M) (int64, error) { return m.bytes(), nil })
	if err == nil && got.Value != bytes/block*block {
		err = fmt.Errorf("the member holds %d bytes, want %d", got.Value, bytes/block*block)
	}
	return err
}

func (p *pair[M]) close() error {
	var errs []error
	for i, net := range p.nets {
		if net != nil {
			errs = append(errs, net.Close())
		}
		p.nets[i], p.groups[i] = nil, nil
	}
	return errors.Join(errs...)
}

// prunedStorage tells when its log is pruned.
type prunedStorage struct {
	logstore.Storage[[]byte]
	tell func()
}

// Open implements [logstore.Storage].
func (s prunedStorage) Open(o logstore.OpenOptions[[]byte]) (logstore.Log, error) {
	log, err := s.Storage.Open(o)
	return prunedLog{log, s.tell}, err
}

type prunedLog struct {
	logstore.Log
	tell func()
}

// Prune implements [logstore.Log].
func (l prunedLog) Prune(through sm.Index) error {
	defer l.tell()
	return l.Log.Prune(through)
}

// restarts writes one row for each course.
func (r Report) restarts(b *strings.Builder) {
	table(b, fmt.Sprintf("A member comes back, or joins with nothing, %s of commands or values of %d bytes", mebibytes(uint64(r.Restarts[0].Bytes)), block),
		"", "by", "logs", "time", "per GiB", "MiB/s", "memory, peak", "afterwards", "peak of the group")
	for _, t := range r.Restarts {
		took := median(t.Took)
		row(b, append(t.words(), short(took), short(time.Duration(float64(took)*(1<<30)/float64(t.Bytes))),
			fmt.Sprintf("%.0f", float64(t.Bytes)/(1<<20)/took.Seconds()),
			mebibytes(median(t.Peak)), mebibytes(median(t.Kept)), mebibytes(median(t.Whole)))...)
	}
}

func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }
