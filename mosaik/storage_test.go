package mosaik_test

import (
	"errors"
	"sync/atomic"

	"github.com/mosaik-go/mosaik/logstore"
)

// faultyStorage is a memory storage that fails once, at the n-th save from when
// n is stored in failAt.
type faultyStorage struct{ failAt *atomic.Int64 }

var errDisk = errors.New("the disk is on fire")

func (s faultyStorage) Open(o logstore.Opening[step]) (logstore.Log, error) {
	log, err := logstore.NewMemory[step]().Open(o)
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
