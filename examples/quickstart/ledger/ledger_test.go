package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at sm.ApplyContext

// holding returns a ledger with alice's 10 and bob's 3.
func holding(t *testing.T) *Ledger {
	t.Helper()
	l := New()
	for _, d := range []Deposit{{"alice", 10}, {"bob", 3}} {
		if _, err := d.ApplyTo(l, at); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestApply(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		cmd  Command
		want any
		err  error
		then []Account
	}{
		{"deposit", Deposit{"alice", 5}, int64(15), nil, []Account{{"alice", 15}, {"bob", 3}}},
		{"deposit opens an account", Deposit{"carol", 1}, int64(1), nil, []Account{{"alice", 10}, {"bob", 3}, {"carol", 1}}},
		{"deposit of nothing", Deposit{"carol", 0}, int64(0), ErrAmount, []Account{{"alice", 10}, {"bob", 3}}},
		{"deposit of too much", Deposit{"alice", math.MaxInt64}, int64(0), ErrAmount, []Account{{"alice", 10}, {"bob", 3}}},
		{"transfer", Transfer{"alice", "bob", 10}, Balances{0, 13}, nil, []Account{{"alice", 0}, {"bob", 13}}},
		{"transfer to oneself", Transfer{"alice", "alice", 4}, Balances{10, 10}, nil, []Account{{"alice", 10}, {"bob", 3}}},
		{"transfer of too much", Transfer{"bob", "alice", 4}, Balances{}, ErrInsufficient, []Account{{"alice", 10}, {"bob", 3}}},
		{"transfer of a negative amount", Transfer{"bob", "alice", -1}, Balances{}, ErrAmount, []Account{{"alice", 10}, {"bob", 3}}},
		{"transfer from nowhere", Transfer{"carol", "bob", 1}, Balances{}, ErrNoAccount, []Account{{"alice", 10}, {"bob", 3}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := holding(t)
			got, err := l.Apply(at, tc.cmd)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%+v: %v, error %v; want %v, error %v", tc.cmd, got, err, tc.want, tc.err)
			}
			all, err := Accounts{}.Query(l)
			if diff := cmp.Diff(tc.then, all); diff != "" || err != nil {
				t.Errorf("accounts afterwards, error %v (-want +got):\n%s", err, diff)
			}
		})
	}
	if _, err := New().Apply(at, nil); err == nil {
		t.Error("a nil command was applied")
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	l := holding(t)
	if got, err := (Balance{"bob"}).Query(l); got != 3 || err != nil {
		t.Errorf("bob holds %d, error %v; want 3", got, err)
	}
	if _, err := (Balance{"carol"}).Query(l); !errors.Is(err, ErrNoAccount) {
		t.Errorf("carol: %v, want %v", err, ErrNoAccount)
	}
}

func TestSnapshotRestore(t *testing.T) {
	t.Parallel()
	from, to := holding(t), New()
	to.balances.Set("dave", 7)
	var b bytes.Buffer
	if err := from.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(from.balances.String(), to.balances.String()); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	if err := New().Spec().Validate(); err != nil {
		t.Error(err)
	}
}

func TestDeterminism(t *testing.T) { testutil.CheckDeterminism(t, New) }

// BenchmarkLarge measures the snapshot of many accounts: the copy that interrupts commands,
// what is written beside them, and the restoration.
func BenchmarkLarge(b *testing.B) {
	for _, n := range []int{1e3, 1e6} {
		l := New()
		for i := range n {
			l.balances.Set(fmt.Sprintf("account %08d", i), int64(i))
		}
		var snapshot bytes.Buffer
		if err := l.Snapshot(&snapshot); err != nil {
			b.Fatal(err)
		}
		run := func(name string, f func() error) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("freeze", func() error { _, err := l.Freeze(); return err })
		run("snapshot", func() error { return l.Snapshot(io.Discard) })
		run("restore", func() error { return New().Restore(bytes.NewReader(snapshot.Bytes())) })
	}
}
