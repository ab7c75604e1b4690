package boltlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// TestNamesAreSynced opens a log twice in a directory that does not exist at first.
// Each directory must be synced after a name was created in it.
func TestNamesAreSynced(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "a", "bolt")
	made := map[string]string{ // by the directory that holds it
		base:                     filepath.Join(base, "a"),
		filepath.Join(base, "a"): dir,
		dir:                      filepath.Join(dir, "g.db"),
	}
	var synced []string
	for _, want := range [][]string{{base, filepath.Join(base, "a"), dir}, {filepath.Join(base, "a"), dir}} {
		synced = nil
		l, err := open(dir, "g", func(dir string) error {
			synced = append(synced, dir)
			_, err := os.Stat(made[dir])
			return errors.Join(err, syncDir(dir))
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(synced, want) {
			t.Errorf("it synced %q, want %q", synced, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamage flips a bit in every copy of a value in the file: the data of an entry,
// or a part of the state. Reading the value must fail with ErrCorrupt.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"data of an entry", "metadata of the replica", "record of a snapshot"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := open(dir, "g", syncDir)
			if err != nil {
				t.Fatal(err)
			}
			err = l.Save(logstore.Batch{
				Entries:  []logstore.Entry{{Index: 1, Term: 1, Data: []byte("data of an entry")}},
				Meta:     []byte("metadata of the replica"),
				Snapshot: &logstore.Snapshot{Cursor: sm.Cursor{Term: 1, Index: 1}, Record: []byte("record of a snapshot")},
			})
			if err := errors.Join(err, read(l), l.Close()); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "g.db")
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			flipped := []byte(what)
			flipped[3] ^= 1
			if err := os.WriteFile(name, bytes.ReplaceAll(content, []byte(what), flipped), 0o600); err != nil {
				t.Fatal(err)
			}
			l, err = open(dir, "g", syncDir)
			if err == nil {
				err = errors.Join(read(l), l.Close())
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("with a bit flipped: error %v, want %v", err, ErrCorrupt)
			}
		})
	}
}

// read reads all entries.
func read(l *log) error {
	for _, err := range l.Entries(1, 100) {
		if err != nil {
			return err
		}
	}
	return nil
}
