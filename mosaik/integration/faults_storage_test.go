package integration_test

import (
	"errors"
	"sync/atomic"

	"github.com/mosaik-go/mosaik/logstore"
)

// faultyStorage is a storage, in memory unless another is given, that fails once,
// at the n-th save from when n is stored in failAt.
type faultyStorage struct {
	failAt *atomic.Int64
	on     logstore.Storage[step]
}

var errDisk = errors.New("the disk is on fire")

func (s faultyStorage) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	if s.on == nil {
		s.on = logstore.NewMemory[step]()
	}
	log, err := s.on.Open(o)
	return faultyLog{log, s.failAt}, err
}

type faultyLog struct {
	logstore.Log
	failAt *atomic.Int64
}

func (l faultyLog) Save(b logstore.Batch) error {
	if l.failAt.Add(-1) == 0 {
		return errDisk
	}
	return l.Log.Save(b)
}

// solitary is a storage that takes one change of the membership, which makes
// its member the only one. The next waits until gone is closed, and fails.
type solitary struct{ gone chan struct{} }

// membershipEntry is the kind of entries that change Raft's membership.
const membershipEntry = 1

func (s solitary) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	log, err := logstore.NewMemory[step]().Open(o)
	return &solitaryLog{Log: log, gone: s.gone}, err
}

type solitaryLog struct {
	logstore.Log
	gone    chan struct{}
	changes int
}

func (l *solitaryLog) Save(b logstore.Batch) error {
	for _, e := range b.Entries {
		if e.Kind == membershipEntry {
			l.changes++
		}
	}
	if l.changes > 1 {
		<-l.gone
		return errDisk
	}
	return l.Log.Save(b)
}
