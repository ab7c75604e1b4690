package boltlog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/examples/boltlog"
	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/audit"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
	"github.com/mosaik-go/mosaik/testutil/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The conformance suite that every storage must pass.
func TestStorage(t *testing.T) {
	t.Parallel()
	storagetest.TestStorage(t, func(testing.TB) logstore.Storage[int] { return boltlog.Storage[int]{} }, storagetest.Durable())
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	if _, err := (boltlog.Storage[int]{}).Open(logstore.OpenOptions[int]{}); !errors.Is(err, boltlog.ErrNoDir) {
		t.Errorf("Open without a directory: %v, want ErrNoDir", err)
	}
	storage := boltlog.Storage[int]{Dir: t.TempDir()}
	log, err := storage.Open(logstore.OpenOptions[int]{Group: sm.ID("one")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := storage.Open(logstore.OpenOptions[int]{Group: sm.ID("one")}); !errors.Is(err, boltlog.ErrOpen) {
		t.Errorf("Open of an open log: %v, want ErrOpen", err)
	}
}

// Three members with logs in bbolt replicate a ledger and elect another leader.
func TestGroup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := testutil.NewCluster(t, 3)
	var groups []*mosaik.Group[ledger.Command, *ledger.Ledger]
	var storages []boltlog.Storage[ledger.Command]
	for i := range 3 {
		b := mosaik.WithStateMachine(c.Node(i).Builder(), ledger.New)
		storages = append(storages, boltlog.Storage[ledger.Command]{Dir: t.TempDir()})
		groups = append(groups, testutil.JoinWith(c.Node(i), b.WithLogStorage(storages[i])))
	}
	testutil.Settle(t, groups...)
	for _, g := range groups {
		if _, err := mosaik.Execute(ctx, g, ledger.Deposit{Account: "alice", Amount: 5}); err != nil {
			t.Fatal(err)
		}
	}
	leader := groups[0].Status().Leader
	for i, g := range groups {
		if c.Node(i).Peer() == leader {
			c.Node(i).Crash()
			wantDeposits(t, storages[i], g.ID(), 3)
			continue
		}
		if _, err := mosaik.Execute(ctx, g, ledger.Deposit{Account: "alice", Amount: 5}); err != nil {
			t.Fatal(err)
		}
		answer, err := mosaik.Query(ctx, g, ledger.Balance{Account: "alice"}, mosaik.Strong)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Value < 20 {
			t.Errorf("node %d reads %d, want at least 20", i, answer.Value)
		}
	}
}

// wantDeposits reads the log that a member left behind.
func wantDeposits(t *testing.T, storage boltlog.Storage[ledger.Command], group sm.Digest, want int) {
	t.Helper()
	log, err := storage.Open(logstore.OpenOptions[ledger.Command]{Group: group})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{} // by session and sequence, because a command may have been sent twice
	for e, err := range audit.Read(log, ledger.New().Spec().Codec) {
		if err != nil {
			t.Fatal(err)
		}
		for i, command := range e.Commands {
			if command != (ledger.Deposit{Account: "alice", Amount: 5}) {
				t.Errorf("entry %d holds %+v", e.Cursor.Index, command)
			}
			found[fmt.Sprintf("%x %d %d", e.Session, e.Sequence, i)] = true
		}
	}
	if len(found) < want {
		t.Errorf("the log holds %d deposits, want %d or more", len(found), want)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
