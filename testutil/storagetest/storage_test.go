package storagetest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/testutil/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A storage that is as simple as can be passes the demands on durable ones.
func TestDurable(t *testing.T) {
	t.Parallel()
	storagetest.TestStorage(t, func(testing.TB) logstore.Storage[string] { return files{} }, storagetest.Durable())
}

// files keeps, for each log, a file with the batch that fills it again.
type files struct{}

// Open implements [logstore.Storage].
func (files) Open(o logstore.OpenOptions[string]) (logstore.Log, error) {
	log, err := logstore.NewMemory[string]().Open(o)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Dir, o.Group.String())
	content, err := os.ReadFile(filepath.Join(dir, "log"))
	if errors.Is(err, fs.ErrNotExist) {
		return fileLog{log, dir}, os.MkdirAll(dir, 0o700)
	}
	var b logstore.Batch
	if err == nil {
		err = json.Unmarshal(content, &b)
	}
	if err == nil {
		err = log.Save(b)
	}
	return fileLog{log, dir}, err
}

type fileLog struct {
	logstore.Log
	dir string
}

// SnapshotDir implements [logstore.Log].
func (l fileLog) SnapshotDir() string { return l.dir }

// Save implements [logstore.Log].
func (l fileLog) Save(b logstore.Batch) error {
	if err := l.Log.Save(b); err != nil {
		return err
	}
	return l.write()
}

// Close implements [logstore.Log].
func (l fileLog) Close() error {
	if _, err := l.State(); err != nil {
		return l.Log.Close() // again
	}
	return errors.Join(l.write(), l.Log.Close())
}

// write writes what the log holds.
func (l fileLog) write() error {
	st, err := l.State()
	if err != nil {
		return err
	}
	b := logstore.Batch{Reset: &st.Pruned, Hard: &st.Hard, Snapshot: &st.Snapshot, Meta: st.Meta}
	for e, err := range l.Entries(st.Pruned.Index+1, math.MaxUint64) {
		if err != nil {
			return err
		}
		b.Entries = append(b.Entries, e)
	}
	content, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir, "log"), content, 0o600)
}
