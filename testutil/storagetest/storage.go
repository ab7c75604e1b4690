// Package storagetest is the conformance suite of log storages: the author of a
// [logstore.Storage] runs [TestStorage] on it.
package storagetest

import (
	"log/slog"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// Option changes what [TestStorage] demands.
type Option func(*options)

type options struct{ durable bool }

// Durable demands that a log which was closed and is opened again, by another
// Storage value on the same directory, holds all that was saved, and that a
// copy of the directory does which was made while the log was open: all that a
// killed process leaves behind.
func Durable() Option { return func(o *options) { o.durable = true } }

// TestStorage tests every documented rule of [logstore.Storage] and
// [logstore.Log] on the storages that open returns, and compares one of them
// with a naive implementation over random changes. Each test calls Open, also
// before each reopening; it must return a storage that knows nothing but the
// directory it is given. The tests run in parallel and mean most under the race
// detector.
func TestStorage[C any](t *testing.T, open func(t testing.TB) logstore.Storage[C], opts ...Option) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	newPlace := func(t testing.TB) *place {
		return &place{dir: t.TempDir(), durable: o.durable, storage: storages(open)}
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			rule.test(t, newPlace(t).log(t))
		})
	}
	for _, rule := range placeRules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			if rule.durable && !o.durable {
				t.Skip("the storage is not durable")
			}
			rule.test(t, newPlace(t))
		})
	}
}

// rules are the tests of one empty log.
var rules = []struct {
	name string
	test func(*testing.T, logstore.Log)
}{
	{"empty", testEmpty},
	{"append", testAppend},
	{"append/large", testAppendLarge},
	{"replace", testReplace},
	{"truncate", testTruncate},
	{"prune", testPrune},
	{"prune/continue", testPruneContinue},
	{"reset/forward", testResetForward},
	{"reset/back", testResetBack},
	{"clear", testClear},
	{"order", testOrder},
	{"hard", testHard},
	{"snapshot", testSnapshot},
	{"meta", testMeta},
	{"copies", testCopies},
	{"ranges", testRanges},
	{"held", testHeld},
	{"iterate/beside", testIterateBeside},
	{"close", testClose},
	{"concurrent", testConcurrent},
}

// placeRules are the tests that open logs themselves.
var placeRules = []struct {
	name    string
	durable bool
	test    func(*testing.T, *place)
}{
	{"refuse", false, testRefuse},
	{"groups", false, testGroups},
	{"random", false, testRandom},
	{"reopen", true, testReopen},
	{"reopen/refused", true, testReopenRefused},
	{"killed", true, testKilled},
	{"snapshotdir", true, testSnapshotDir},
}

// place is a network's directory and the storage that keeps logs in it.
type place struct {
	dir     string
	durable bool
	storage func(testing.TB) storage
}

// storage opens a group's log in a directory by one [logstore.Storage].
type storage func(dir string, group sm.Digest) (logstore.Log, error)

// log opens the log of the first group.
func (p *place) log(t testing.TB) logstore.Log { return p.group(t, "first") }

// group opens the log of the named group and closes it when the test ends.
func (p *place) group(t testing.TB, name string) logstore.Log {
	t.Helper()
	log, err := p.storage(t)(p.dir, sm.ID(name))
	if err != nil {
		t.Fatalf("open the log of group %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close the log of group %s: %v", name, err)
		}
	})
	return log
}

// reopen closes the log of the first group and opens it again by another storage.
func (p *place) reopen(t testing.TB, log logstore.Log) logstore.Log {
	t.Helper()
	return p.reopenGroup(t, log, "first")
}

func (p *place) reopenGroup(t testing.TB, log logstore.Log, name string) logstore.Log {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("close the log of group %s: %v", name, err)
	}
	return p.group(t, name)
}

// storages hides the command type from the tests, none of which depends on it.
func storages[C any](open func(testing.TB) logstore.Storage[C]) func(testing.TB) storage {
	return func(t testing.TB) storage {
		s := open(t)
		return func(dir string, group sm.Digest) (logstore.Log, error) {
			return s.Open(logstore.OpenOptions[C]{
				Network: sm.ID("storagetest"),
				Group:   group,
				Dir:     dir,
				Codec:   codec.Reflect[C](),
				Logger:  slog.New(slog.DiscardHandler),
			})
		}
	}
}
