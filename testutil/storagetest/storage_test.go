package storagetest_test

import (
	"math"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/testutil/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A storage that is durable as long as the process lives passes the demands on
// durable ones.
func TestDurable(t *testing.T) {
	t.Parallel()
	disk := &disk{batches: map[string]logstore.Batch{}}
	storagetest.TestStorage(t, func(testing.TB) logstore.Storage[string] { return disk }, storagetest.Durable())
}

// disk keeps, for each directory of a closed log, the batch that fills it again.
type disk struct {
	mu      sync.Mutex
	batches map[string]logstore.Batch
}

// Open implements [logstore.Storage].
func (d *disk) Open(o logstore.Opening[string]) (logstore.Log, error) {
	log, err := logstore.NewMemory[string]().Open(o)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Dir, o.Group.String())
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := log.Save(d.batches[dir]); err != nil {
		return nil, err
	}
	return &diskLog{Log: log, disk: d, dir: dir}, nil
}

type diskLog struct {
	logstore.Log
	disk *disk
	dir  string
}

// SnapshotDir implements [logstore.Log].
func (l *diskLog) SnapshotDir() string { return l.dir }

// Close implements [logstore.Log].
func (l *diskLog) Close() error {
	st, err := l.State()
	if err != nil {
		return l.Log.Close() // again
	}
	b := logstore.Batch{Reset: &st.Pruned, Hard: &st.Hard, Snapshot: &st.Snapshot, Meta: st.Meta}
	for e, err := range l.Entries(st.Pruned.Index+1, math.MaxUint64) {
		if err != nil {
			return err
		}
		b.Entries = append(b.Entries, e)
	}
	l.disk.mu.Lock()
	l.disk.batches[l.dir] = b
	l.disk.mu.Unlock()
	return l.Log.Close()
}
