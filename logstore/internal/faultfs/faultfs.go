// Package faultfs is a file system in memory for tests. Like a disk, it can fail at any
// operation, be full, and lose data that was not synced in a power cut.
package faultfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
)

// ErrInjected is the error of a failing operation.
var ErrInjected = errors.New("faultfs: injected failure")

// FS is a file system in memory. Its zero value is not valid; see [New].
type FS struct {
	mu    sync.Mutex
	files map[string]*content // as programs see them
	disk  map[string]*content // by durable name
	dirs  map[string]bool     // the directories without the root; true if the name is durable
	locks map[string]bool
	fault func(Op) error
	ops   int
	off   bool // the power is off
}

// Op is an operation before it is done.
type Op struct {
	N    int    // how many operations came before
	Kind string // mkdir, create, open, remove, rename, list, syncdir, lock, read, write, truncate, sync
	Name string
}

// content is the content of a file.
type content struct {
	now     []byte
	durable []byte
	pending []change // since the last sync
}

// change is a write, or the cut of a file if data is nil.
type change struct {
	offset int64
	data   []byte
	lost   bool // a sync failed, and no later one makes it durable
}

// New returns an empty file system.
func New() *FS {
	return &FS{files: map[string]*content{}, disk: map[string]*content{}, dirs: map[string]bool{}, locks: map[string]bool{}}
}

var _ vfs.FS = (*FS)(nil)

// Inject calls fault before each operation, which fails if fault returns an error. A write
// for which fault returns a [Partial] is done in part.
func (f *FS) Inject(fault func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Ops returns the number of operations so far, including failed ones.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// begin is called at the start of each operation. The caller holds f.mu, which begin
// releases during the call of fault, which may block.
func (f *FS) begin(kind, name string) error {
	op := Op{f.ops, kind, name}
	f.ops++
	var err error
	if fault := f.fault; fault != nil {
		f.mu.Unlock()
		err = fault(op)
		f.mu.Lock()
	}
	if f.off {
		err = ErrInjected
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return nil
}

// PowerOff makes every operation fail from now on, including those in flight, and returns
// what is left, as [FS.Crash] does.
func (f *FS) PowerOff(rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
	return f.crash(rng)
}

// Kill returns the file system after a process was killed. It keeps everything that was
// written. Locks are released.
func (f *FS) Kill() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := New()
	left.dirs = maps.Clone(f.dirs)
	for name, c := range f.files {
		left.files[name] = &content{now: slices.Clone(c.now), durable: slices.Clone(c.now)}
		left.disk[name] = left.files[name]
	}
	return left
}

// Crash returns the file system after a power cut. Each sector, each cut and each name that
// was not synced stays or is lost, as rng decides; if rng is nil, all are lost. A lost
// directory loses its content. Locks are released.
func (f *FS) Crash(rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crash(rng)
}

func (f *FS) crash(rng *rand.Rand) *FS {
	stays := func() bool { return rng != nil && rng.IntN(2) == 0 }
	left := New()
	for _, dir := range slices.Sorted(maps.Keys(f.dirs)) { // parents first
		if left.has(filepath.Dir(dir)) && (f.dirs[dir] || stays()) {
			left.dirs[dir] = true
		}
	}
	names := maps.Clone(f.disk)
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if names[name] != f.files[name] && stays() {
			names[name] = f.files[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.disk)) {
		if f.files[name] == nil && stays() {
			delete(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !left.has(filepath.Dir(name)) {
			continue
		}
		c := names[name]
		b := slices.Clone(c.durable)
		for _, ch := range c.pending {
			b = ch.lose(b, stays)
		}
		left.files[name] = &content{now: b, durable: slices.Clone(b)}
		left.disk[name] = left.files[name]
	}
	return left
}

const sector = 512

// lose applies the parts of the change that stay.
func (c change) lose(b []byte, stays func() bool) []byte {
	if c.data == nil {
		if stays() {
			b = resize(b, c.offset)
		}
		return b
	}
	for from := c.offset; from < c.offset+int64(len(c.data)); {
		to := min(from/sector*sector+sector, c.offset+int64(len(c.data)))
		if stays() {
			b = put(b, c.data[from-c.offset:to-c.offset], from)
		}
		from = to
	}
	return b
}

func put(b, data []byte, offset int64) []byte {
	if need := offset + int64(len(data)); int64(len(b)) < need {
		b = resize(b, need)
	}
	copy(b[offset:], data)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// Read returns the content of a file, synced or not.
func (f *FS) Read(name string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.files[name]
	if !ok {
		return nil, false
	}
	return slices.Clone(c.now), true
}

// has reports whether a directory exists.
func (f *FS) has(dir string) bool {
	_, ok := f.dirs[dir]
	return ok || filepath.Dir(dir) == dir
}

// make creates a directory with its parents, which are durable at once.
func (f *FS) make(dir string) {
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		f.dirs[dir] = true
	}
}

// Move moves everything below a directory to another one. Durable names stay durable.
func (f *FS) Move(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.make(to)
	for dir, durable := range maps.Clone(f.dirs) {
		if rest, below := strings.CutPrefix(dir, from+string(filepath.Separator)); below {
			delete(f.dirs, dir)
			f.dirs[filepath.Join(to, rest)] = durable
		}
	}
	for _, names := range []map[string]*content{f.files, f.disk} {
		for name, c := range maps.Clone(names) {
			if rest, below := strings.CutPrefix(name, from+string(filepath.Separator)); below {
				delete(names, name)
				names[filepath.Join(to, rest)] = c
			}
		}
	}
}

// Size returns the length of all files in bytes, synced or not.
func (f *FS) Size() (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.files {
		n += int64(len(c.now))
	}
	return n
}

// Write creates a file, which is durable at once.
func (f *FS) Write(name string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &content{now: slices.Clone(b), durable: slices.Clone(b)}
	f.files[name], f.disk[name] = c, c
	f.make(filepath.Dir(name))
}

// Mkdir implements [vfs.FS].
func (f *FS) Mkdir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("mkdir", dir); err != nil {
		return err
	}
	switch {
	case f.has(dir) || f.files[dir] != nil:
		return fmt.Errorf("mkdir %s: %w", dir, fs.ErrExist)
	case !f.has(filepath.Dir(dir)):
		return fmt.Errorf("mkdir %s: %w", dir, fs.ErrNotExist)
	}
	f.dirs[dir] = false
	return nil
}

// Create implements [vfs.FS].
func (f *FS) Create(name string) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("create", name); err != nil {
		return nil, err
	}
	if f.files[name] != nil {
		return nil, fmt.Errorf("create %s: %w", name, fs.ErrExist)
	}
	if !f.has(filepath.Dir(name)) {
		return nil, fmt.Errorf("create %s: %w", name, fs.ErrNotExist)
	}
	c := &content{}
	f.files[name] = c
	return &file{f, c, name}, nil
}

// Open implements [vfs.FS].
func (f *FS) Open(name string) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("open", name); err != nil {
		return nil, err
	}
	c := f.files[name]
	if c == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return &file{f, c, name}, nil
}

// Remove implements [vfs.FS].
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("remove", name); err != nil {
		return err
	}
	if f.files[name] == nil {
		return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
	}
	delete(f.files, name)
	return nil
}

// Rename implements [vfs.FS]. The two names become durable independently.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("rename", to); err != nil {
		return err
	}
	if f.files[from] == nil {
		return fmt.Errorf("rename %s: %w", from, fs.ErrNotExist)
	}
	f.files[to] = f.files[from]
	delete(f.files, from)
	return nil
}

// List implements [vfs.FS].
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("list", dir); err != nil {
		return nil, err
	}
	if !f.has(dir) {
		return nil, fmt.Errorf("list %s: %w", dir, fs.ErrNotExist)
	}
	var names []string
	for _, all := range []iter.Seq[string]{maps.Keys(f.files), maps.Keys(f.dirs)} {
		for name := range all {
			if filepath.Dir(name) == dir {
				names = append(names, filepath.Base(name))
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir implements [vfs.FS].
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("syncdir", dir); err != nil {
		return err
	}
	for name := range f.disk {
		if filepath.Dir(name) == dir && f.files[name] == nil {
			delete(f.disk, name)
		}
	}
	for name, c := range f.files {
		if filepath.Dir(name) == dir {
			f.disk[name] = c
		}
	}
	for name := range f.dirs {
		if filepath.Dir(name) == dir {
			f.dirs[name] = true
		}
	}
	return nil
}

// Lock implements [vfs.FS].
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("lock", name); err != nil {
		return nil, err
	}
	if !f.has(filepath.Dir(name)) {
		return nil, fmt.Errorf("lock %s: %w", name, fs.ErrNotExist)
	}
	if f.locks[name] {
		return nil, vfs.ErrLocked
	}
	f.locks[name] = true
	return &unlock{f, name}, nil
}

type unlock struct {
	fs   *FS
	name string
}

func (u *unlock) Close() error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	delete(u.fs.locks, u.name)
	return nil
}
