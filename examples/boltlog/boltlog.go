// Package boltlog keeps the logs of groups in bbolt databases, one file for each
// group. It shows what a storage of one's own takes: the two interfaces of
// package logstore, and the suite of testutil/storagetest to prove them with.
//
// It is small rather than fast: a save is a transaction of bbolt, which syncs
// twice. For a service there is logstore.Disk.
package boltlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/mosaik-go/mosaik/logstore"
)

var (
	// ErrNoDir reports that neither the storage nor the network has a directory.
	ErrNoDir = errors.New("boltlog: no directory; set Storage.Dir")
	// ErrOpen reports that the group's log is open already, here or in another process.
	ErrOpen = errors.New("boltlog: the log is open already")
	// ErrCorrupt reports a record that is not as this package wrote it.
	ErrCorrupt = errors.New("boltlog: damaged record")
)

// lockTimeout is how long Open waits for another process to let go of a file.
const lockTimeout = time.Second

// Storage implements [logstore.Storage] for groups with commands of type C. Any
// number of values may open logs in one directory.
type Storage[C any] struct {
	Dir string // where the files are kept; "" for the network's directory
}

// Open implements [logstore.Storage]. Its errors are [ErrNoDir], [ErrOpen],
// [ErrCorrupt], those of bbolt and of the file system.
func (s Storage[C]) Open(o logstore.OpenOptions[C]) (logstore.Log, error) {
	dir := s.Dir
	if dir == "" {
		dir = o.Dir
	}
	if dir == "" {
		return nil, ErrNoDir
	}
	l, err := open(filepath.Join(dir, "bolt"), o.Group.String(), syncDir)
	if err != nil {
		return nil, fmt.Errorf("boltlog: open the log of group %s: %w", o.Group.Short(), err)
	}
	return l, nil
}

func open(dir, group string, sync func(dir string) error) (_ *log, err error) {
	l := &log{snapshots: filepath.Join(dir, group+".snapshots")}
	if err := makeDir(dir, sync); err != nil {
		return nil, err
	}
	l.db, err = bbolt.Open(filepath.Join(dir, group+".db"), 0o600, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrOpen
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.db.Close())
		}
	}()
	// With this the file's own name is durable, too.
	if err := makeDir(l.snapshots, sync); err != nil {
		return nil, err
	}
	err = l.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(entriesBucket); err != nil {
			return err
		}
		b, err := tx.CreateBucketIfNotExists(stateBucket)
		if err != nil {
			return err
		}
		l.state, err = readState(b)
		return err
	})
	return l, err
}

// makeDir makes a directory with its parents, and syncs each one that holds a name:
// a power cut would take the names away otherwise, with all that was synced in the
// files.
func makeDir(dir string, sync func(dir string) error) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(parent, sync); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(parent)
}

// syncDir makes durable which names a directory holds.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it journals names, and syncs no directory
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
