package logstore

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/sm"
)

var torture = flag.String("torture", "", `"full" damages directories in every way that TestDiskTorture knows`)

// raced reports that the race detector is on. It makes a case ten times slower.
var raced bool

const (
	tortureSegment = 2048
	tortureSteps   = 90
	// tortureBatch is the number of cases that share one measurement of memory.
	// Together they may allocate tortureMemory bytes.
	tortureBatch  = 16
	tortureMemory = tortureBatch << 20
	// One in tortureContinued harmless cases is also written to.
	tortureContinued = 8
)

// A moment is the content of a directory's logs at one time.
type moment [historyGroups]held

// tortured is a directory that is damaged in many ways.
type tortured struct {
	files   map[string][]byte
	moments []moment // all since the directory was made, oldest first
	closed  bool     // the logs were closed, so all damage must be detected

	mu       sync.Mutex // guards the fields below
	refused  int
	harmless int
	earlier  map[string]int // by kind of damage: the cases that show an earlier moment
}

// damage is one case.
type damage struct {
	kind, what string
	files      map[string][]byte // nil for a file that is missing
}

// newTortured makes a directory with several segments and groups and all kinds of
// changes. Its logs are closed, or else left as by a killed process.
func newTortured(t *testing.T, closed bool) *tortured {
	t.Helper()
	fs := faultfs.New()
	h := newHistory(fs, tortureSegment, 29)
	if err := h.open(); err != nil {
		t.Fatal(err)
	}
	d := &tortured{closed: closed, files: map[string][]byte{}, earlier: map[string]int{}, moments: []moment{{}}}
	for range tortureSteps {
		if err := h.step(); err != nil {
			t.Fatal(err)
		}
		d.moments = append(d.moments, h.before)
	}
	left := fs
	if !closed {
		left = fs.Crash(nil)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	names, err := left.List(historyDir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = filepath.Join(historyDir, "log", name)
		d.files[name], _ = left.Read(name)
	}
	used := 0
	for _, g := range h.before {
		if len(g.Entries) > 0 {
			used++
		}
	}
	if len(names) < 4 || used < 3 {
		t.Fatalf("%d segments with entries of %d groups, want 4 and 3 or more", len(names), used)
	}
	return d
}

// names returns the files, oldest first.
func (d *tortured) names() []string { return slices.Sorted(maps.Keys(d.files)) }

// size returns the total size of the files in bytes.
func (d *tortured) size() (n int) {
	for _, b := range d.files {
		n += len(b)
	}
	return n
}

// changed is a case in which one file has another content.
func changed(kind, name string, at int, b []byte) damage {
	return damage{kind, fmt.Sprintf("%s of %s at %d", kind, filepath.Base(name), at), map[string][]byte{name: b}}
}

// bytes yields the cases in which one byte has another value.
func (d *tortured) bytes(full bool) iter.Seq[damage] {
	return func(yield func(damage) bool) {
		for _, name := range d.names() {
			for i, was := range d.files[name] {
				values := []byte{was ^ 1<<(i%8)}
				if full {
					values = []byte{was ^ 1, was ^ 0x80, was + 1, was - 1, ^was, 0, 0xff, 0x20}
				}
				for _, v := range values {
					if v == was {
						continue
					}
					b := bytes.Clone(d.files[name])
					b[i] = v
					if !yield(changed("another byte", name, i, b)) {
						return
					}
				}
			}
		}
	}
}

// lengths yields the cases in which one file is shorter, or longer.
func (d *tortured) lengths() iter.Seq[damage] {
	return func(yield func(damage) bool) {
		for _, name := range d.names() {
			b := d.files[name]
			for n := range b {
				if !yield(changed("truncation", name, n, b[:n:n])) {
					return
				}
			}
			for _, n := range []int{1, 15, 16, 17, 32, 512, tortureSegment - len(b)%tortureSegment, 2 * tortureSegment} {
				for _, with := range []byte{0, 1, 0xff} {
					longer := append(bytes.Clone(b), bytes.Repeat([]byte{with}, n)...)
					if !yield(changed("extension", name, n, longer)) {
						return
					}
				}
			}
		}
	}
}

// page is a part of a file.
type page struct {
	name   string
	at, to int
}

// pages yields the cases in which a page is zeroed, is a copy of another page, or is
// swapped with another page.
func (d *tortured) pages(size int) iter.Seq[damage] {
	return func(yield func(damage) bool) {
		var all []page
		for _, name := range d.names() {
			for at := 0; at < len(d.files[name]); at += size {
				all = append(all, page{name, at, min(at+size, len(d.files[name]))})
			}
		}
		for i, p := range all {
			b := bytes.Clone(d.files[p.name])
			clear(b[p.at:p.to])
			if !yield(changed("page of zeros", p.name, p.at, b)) {
				return
			}
			b = append(bytes.Clone(d.files[p.name][:p.at]), d.files[p.name][p.to:]...)
			if !yield(changed("page taken out", p.name, p.at, b)) {
				return
			}
			for j, q := range all {
				if i == j {
					continue
				}
				twice := bytes.Clone(d.files[p.name])
				copy(twice[p.at:p.to], d.files[q.name][q.at:q.to])
				if !yield(changed("page of "+filepath.Base(q.name)+" in place", p.name, p.at, twice)) {
					return
				}
				if j < i {
					continue
				}
				swapped := map[string][]byte{p.name: twice, q.name: twice}
				if p.name != q.name {
					swapped[q.name] = bytes.Clone(d.files[q.name])
				}
				copy(swapped[q.name][q.at:q.to], d.files[p.name][p.at:p.to])
				if !yield(damage{"pages swapped", fmt.Sprintf("pages swapped: %v and %v", p, q), swapped}) {
					return
				}
			}
		}
	}
}

// missing yields the cases in which some files are missing, replaced by another one,
// or duplicated.
func (d *tortured) missing() iter.Seq[damage] {
	return func(yield func(damage) bool) {
		names := d.names()
		for set := 1; set < 1<<len(names); set++ {
			gone := map[string][]byte{}
			for i, name := range names {
				if set>>i&1 == 1 {
					gone[name] = nil
				}
			}
			kind := "missing files"
			if len(gone) == len(names) {
				kind = "missing all"
			}
			if !yield(damage{kind, fmt.Sprintf("%s: %b of %d", kind, set, len(names)), gone}) {
				return
			}
		}
		next := func(n int) string { return filepath.Join(historyDir, "log", fmt.Sprintf("%016x.log", n)) }
		var last int
		if _, err := fmt.Sscanf(filepath.Base(names[len(names)-1]), "%x.log", &last); err != nil {
			panic(err)
		}
		for _, name := range names {
			for _, other := range names {
				if name == other {
					continue
				}
				for kind, files := range map[string]map[string][]byte{
					"a file in place of another one": {name: d.files[other]},
					"files swapped":                  {name: d.files[other], other: d.files[name]},
				} {
					if !yield(damage{kind, kind + ": " + filepath.Base(name) + " " + filepath.Base(other), files}) {
						return
					}
				}
			}
			for kind, files := range map[string]map[string][]byte{
				"a file twice":           {next(last + 1): d.files[name]},
				"a file far behind":      {next(last + 7): d.files[name]},
				"an empty file behind":   {next(last + 1): {}},
				"a file with a bad name": {filepath.Join(historyDir, "log", "copy.log"): d.files[name]},
				"an empty file":          {name: {}},
				"a file of zeros":        {name: make([]byte, len(d.files[name]))},
			} {
				if !yield(damage{kind, kind + ": " + filepath.Base(name), files}) {
					return
				}
			}
		}
	}
}

// all yields all cases.
func (d *tortured) all(full bool) iter.Seq[damage] {
	return func(yield func(damage) bool) {
		kinds := []iter.Seq[damage]{d.bytes(full), d.lengths(), d.pages(512), d.missing()}
		if full {
			kinds = append(kinds, d.pages(64), d.pages(176))
		}
		for _, cases := range kinds {
			for c := range cases {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// TestDiskTorture damages directories in many ways and opens them. A directory that
// opens must show the content of one moment, the last one if its logs were closed.
// Otherwise the error must report damage and name the file. Nothing may panic, and
// the memory that opening takes is bounded. With -torture full there are more values
// for each byte and more page sizes; with -short or the race detector only one case
// in eight runs. The test runs alone, so that no other test allocates while it
// measures.
func TestDiskTorture(t *testing.T) {
	full, every := *torture == "full", 1
	if *torture != "" && !full {
		t.Fatalf("-torture=%s: the only value is full", *torture)
	}
	if testing.Short() || raced && !full {
		every = 8
	}
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprint("closed ", closed), func(t *testing.T) {
			d := newTortured(t, closed)
			n := d.run(t, full, every)
			t.Logf("%d cases on %d files, %d bytes: %d refused, %d harmless, with an earlier state: %v",
				n, len(d.files), d.size(), d.refused, d.harmless, d.earlier)
			if d.refused == 0 || d.harmless == 0 {
				t.Error("no case is refused, or none is harmless")
			}
			if delete(d.earlier, "missing all"); closed && len(d.earlier) > 0 {
				t.Errorf("damage to a closed directory was not detected: %v", d.earlier)
			}
		})
	}
}

// run checks a fraction 1/every of the cases and returns the number that it
// checked.
func (d *tortured) run(t *testing.T, full bool, every int) (n int) {
	t.Helper()
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	var batch []damage
	check := func() {
		metrics.Read(allocated)
		before := allocated[0].Value.Uint64()
		next := make(chan damage)
		var checking sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			checking.Go(func() {
				for c := range next {
					if err := d.check(c); err != nil {
						t.Errorf("%s: %v", c.what, err)
					}
				}
			})
		}
		for _, c := range batch {
			next <- c
		}
		close(next)
		checking.Wait()
		metrics.Read(allocated)
		if took := allocated[0].Value.Uint64() - before; took > tortureMemory {
			t.Errorf("%d cases, starting with %s, took %d bytes of memory, want at most %d", len(batch), batch[0].what, took, tortureMemory)
		}
		n += len(batch)
		batch = batch[:0]
	}
	i := 0
	for c := range d.all(full) {
		if i++; i%every != 0 {
			continue
		}
		if batch = append(batch, c); len(batch) == tortureBatch {
			check()
		}
		if t.Failed() && n > 1000 {
			break
		}
	}
	if len(batch) > 0 {
		check()
	}
	return n
}

// check opens a damaged directory.
func (d *tortured) check(c damage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	fs := faultfs.New()
	for name, b := range d.files {
		if _, ok := c.files[name]; !ok {
			fs.Write(name, b)
		}
	}
	for name, b := range c.files {
		if b != nil {
			fs.Write(name, b)
		}
	}
	cfg := diskConfig{fs: fs, segment: tortureSegment}
	now, err := d.read(cfg)
	if err != nil {
		d.count(&d.refused)
		known := errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) || errors.Is(err, ErrForeign)
		if !known || !strings.Contains(err.Error(), historyDir+"/log") {
			return fmt.Errorf("it is refused with %w, want an error that reports damage, with the file's name", err)
		}
		return nil
	}
	switch at := d.when(now); at {
	case -1:
		return fmt.Errorf("it shows a content that the logs never had (-last +got):\n%s", cmp.Diff(d.moments[len(d.moments)-1], now))
	case len(d.moments) - 1:
		if d.count(&d.harmless)%tortureContinued != 0 {
			return nil
		}
	default:
		d.mu.Lock()
		d.earlier[c.kind]++
		d.mu.Unlock()
	}
	return d.goesOn(cfg, now)
}

// count adds one to a count and returns it.
func (d *tortured) count(n *int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	*n++
	return *n
}

// read returns the content of a directory's logs.
func (d *tortured) read(cfg diskConfig) (m moment, err error) {
	for g := range m {
		log, err := openHistory(cfg, g)
		if err != nil {
			return m, err
		}
		m[g], err = tryHold(log)
		if err = errors.Join(err, log.Close()); err != nil {
			return m, err
		}
	}
	return m, nil
}

// when returns the index of the last moment that equals m, or -1.
func (d *tortured) when(m moment) int {
	for at, then := range slices.Backward(d.moments) {
		same := true
		for g := range m {
			same = same && m[g].matches(then[g])
		}
		if same {
			return at
		}
	}
	return -1
}

// goesOn writes to the logs of a directory and opens it again.
func (d *tortured) goesOn(cfg diskConfig, m moment) error {
	for g := range m {
		log, err := openHistory(cfg, g)
		if err != nil {
			return fmt.Errorf("opened again: %w", err)
		}
		last := m[g].State.Last
		next := Entry{Index: last.Index + 1, Term: last.Term, Data: make([]byte, tortureSegment/2)}
		err = log.Save(Batch{Entries: []Entry{next}, Hard: &HardState{Term: sm.Term(g)}})
		m[g] = hold(log)
		if err = errors.Join(err, log.Close()); err != nil {
			return fmt.Errorf("written to: %w", err)
		}
	}
	again, err := d.read(cfg)
	if err != nil {
		return fmt.Errorf("written to and opened again: %w", err)
	}
	for g := range m {
		if !again[g].equal(m[g]) {
			return fmt.Errorf("written to and opened again, group %d holds (-want +got):\n%s", g, cmp.Diff(m[g], again[g]))
		}
	}
	return nil
}
