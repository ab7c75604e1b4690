package snapstore

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/lni/vfs"
)

// memory is a file system in memory. [vfs.MemFS] holds names and directories. The content
// of files is held in pieces, because MemFS copies a file each time it grows.
type memory struct {
	*vfs.MemFS

	mu      sync.Mutex
	content map[os.FileInfo]*pieces // a file keeps its info when it is renamed
}

func newMemory() *memory {
	return &memory{MemFS: vfs.NewMem(), content: map[os.FileInfo]*pieces{}}
}

// Create implements [vfs.FS].
func (m *memory) Create(name string) (vfs.File, error) {
	if err := m.forget(name); err != nil {
		return nil, err
	}
	file, err := m.MemFS.Create(name)
	if err != nil {
		return nil, err
	}
	return m.opened(file, &pieces{})
}

// hold makes a file with the content.
func (m *memory) hold(name string, content *pieces) error {
	if err := m.forget(name); err != nil {
		return err
	}
	file, err := m.MemFS.Create(name)
	if err != nil {
		return err
	}
	if file, err = m.opened(file, content); err != nil {
		return err
	}
	return file.Close()
}

// Open implements [vfs.FS].
func (m *memory) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := m.MemFS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return m.opened(file, nil)
}

// OpenForAppend implements [vfs.FS].
func (m *memory) OpenForAppend(name string) (vfs.File, error) {
	file, err := m.Open(name)
	if err == nil {
		_, err = file.Seek(0, io.SeekEnd)
	}
	return file, err
}

// opened returns the file with its content. It sets the content if that is not nil.
func (m *memory) opened(file vfs.File, content *pieces) (vfs.File, error) {
	info, err := file.Stat()
	if err != nil || info.IsDir() {
		return file, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if content != nil {
		m.content[info] = content
	}
	if content = m.content[info]; content == nil {
		return file, nil // a file that MemFS made for itself
	}
	return &memoryFile{File: file, content: content}, nil
}

// Stat implements [vfs.FS].
func (m *memory) Stat(name string) (os.FileInfo, error) {
	info, err := m.MemFS.Stat(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if content := m.content[info]; content != nil {
		return memoryInfo{info, content.Size()}, nil
	}
	return info, nil
}

// Remove implements [vfs.FS].
func (m *memory) Remove(name string) error {
	info, err := m.MemFS.Stat(name)
	if err != nil {
		return err
	}
	if err := m.MemFS.Remove(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.content, info)
	return nil
}

// RemoveAll implements [vfs.FS].
func (m *memory) RemoveAll(name string) error {
	if err := m.forget(name); err != nil {
		return err
	}
	return m.MemFS.RemoveAll(name)
}

// Rename implements [vfs.FS].
func (m *memory) Rename(from, to string) error {
	if from != to {
		if err := m.forget(to); err != nil {
			return err
		}
	}
	return m.MemFS.Rename(from, to)
}

// forget drops the content of the named file, or of all files below the named directory, if
// it exists. Open files keep their content.
func (m *memory) forget(name string) error {
	info, err := m.MemFS.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.content, info)
		return nil
	}
	names, err := m.List(name)
	if err != nil {
		return err
	}
	for _, child := range names {
		if err := m.forget(m.PathJoin(name, child)); err != nil {
			return err
		}
	}
	return nil
}

// memoryFile is an open file. Its content stays readable when it is closed, on which the engine
// relies.
type memoryFile struct {
	vfs.File // for Close and Sync
	content  *pieces
	at       int64 // where the next Read or Write begins
}

// Read implements [vfs.File].
func (f *memoryFile) Read(p []byte) (int, error) {
	n, err := f.content.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Write implements [vfs.File].
func (f *memoryFile) Write(p []byte) (int, error) {
	n, err := f.content.WriteAt(p, f.at)
	f.at += int64(n)
	return n, err
}

// ReadAt implements [vfs.File].
func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) { return f.content.ReadAt(p, off) }

// WriteAt implements [vfs.File].
func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) { return f.content.WriteAt(p, off) }

// Seek implements [vfs.File].
func (f *memoryFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.content.Size()
	}
	if offset < 0 {
		return 0, errors.New("engine: seek in a file in memory: the offset is negative")
	}
	f.at = offset
	return offset, nil
}

// Stat implements [vfs.File].
func (f *memoryFile) Stat() (os.FileInfo, error) {
	info, err := f.File.Stat()
	return memoryInfo{info, f.content.Size()}, err
}

// memoryInfo describes a file.
type memoryInfo struct {
	os.FileInfo
	size int64
}

// Size implements [os.FileInfo].
func (i memoryInfo) Size() int64 { return i.size }
