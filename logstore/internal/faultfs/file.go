package faultfs

import (
	"errors"
	"io"
	"slices"
)

// Partial is returned by a fault to make a write fail after its first bytes, as when a
// process is killed or a disk is full.
type Partial struct{ Bytes int }

// Error implements error.
func (p Partial) Error() string { return ErrInjected.Error() }

// Is makes a Partial an [ErrInjected].
func (p Partial) Is(target error) bool { return target == ErrInjected }

type file struct {
	fs   *FS
	c    *content
	name string
}

func (f *file) ReadAt(b []byte, offset int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.begin("read", f.name); err != nil {
		return 0, err
	}
	if offset >= int64(len(f.c.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.c.now[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.fs.begin("write", f.name)
	if part := (Partial{}); errors.As(err, &part) {
		b = b[:min(part.Bytes, len(b))]
	} else if err != nil {
		return 0, err
	}
	if len(b) > 0 {
		f.c.now = put(f.c.now, b, offset)
		f.c.pending = append(f.c.pending, change{offset: offset, data: slices.Clone(b)})
	}
	return len(b), err
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.c.now)), nil
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.begin("truncate", f.name); err != nil {
		return err
	}
	f.c.now = resize(f.c.now, size)
	f.c.pending = append(f.c.pending, change{offset: size})
	return nil
}

// Sync implements [vfs.File]. After a failed sync, earlier writes can be read, but no later
// sync makes them durable: they must be written again. Linux behaves in this way, because
// it marks pages as clean even if it could not write them.
func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.begin("sync", f.name); err != nil {
		for i := range f.c.pending {
			f.c.pending[i].lost = f.c.pending[i].data != nil
		}
		return err
	}
	// Only what changed is copied.
	for _, ch := range f.c.pending {
		switch {
		case ch.data == nil:
			f.c.durable = resize(f.c.durable, ch.offset)
		case !ch.lost:
			f.c.durable = put(f.c.durable, ch.data, ch.offset)
		}
	}
	f.c.pending = nil
	return nil
}

func (f *file) Close() error { return nil }
