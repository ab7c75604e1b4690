package mosaik_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Add is the only command of a Ledger.
type Add struct {
	Account string
	Amount  int64
}

// Ledger keeps one balance for each account.
type Ledger struct{ balances map[string]int64 }

var ErrInsufficient = errors.New("insufficient funds")

func NewLedger() *Ledger { return &Ledger{balances: map[string]int64{}} }

func (l *Ledger) Spec() sm.Spec[Add] { return sm.Define[Add]("ledger", 1) }

func (l *Ledger) Apply(_ sm.ApplyContext, add Add) (any, error) {
	if l.balances[add.Account]+add.Amount < 0 {
		return nil, ErrInsufficient
	}
	l.balances[add.Account] += add.Amount
	return l.balances[add.Account], nil
}

// A group with a hand-written machine. Here it has one member; more processes
// that share the key and a seed would join it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	net, err := mosaik.Open(ctx, mosaik.NetworkID("bank"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Close()
	key, err := mosaik.KeyFromText("a secret that all members share")
	if err != nil {
		fmt.Println(err)
		return
	}
	b := mosaik.WithStateMachine(net.Groups().WithKey(key), NewLedger).
		WithConsensusConfig(consensus.Config{BootstrapDelay: consensus.None})
	group, err := b.Join(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := group.When().Online(ctx); err != nil {
		fmt.Println(err)
		return
	}

	balance, err := group.Execute(ctx, Add{"alice", 5})
	fmt.Println(balance.Value, balance.Index, err)
	_, err = group.Execute(ctx, Add{"alice", -9})
	fmt.Println(err, errors.Is(err, ErrInsufficient))
	answer, err := mosaik.Read(ctx, group, mosaik.Strong, func(l *Ledger) (int64, error) {
		return l.balances["alice"], nil
	})
	fmt.Println(answer.Value, answer.Index, err)
	// Output:
	// 5 1 <nil>
	// insufficient funds true
	// 5 2 <nil>
}

// A projection begins with a read and follows the commands behind it. One that
// falls behind would do the same again.
func ExampleGroup_Commands() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	net, err := mosaik.Open(ctx, mosaik.NetworkID("projection"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Close()
	group, err := mosaik.WithStateMachine(net.Groups().WithKey(mosaik.RandomKey()), NewLedger).WithHistory(1 << 20).
		WithConsensusConfig(consensus.Config{BootstrapDelay: consensus.None}).Join(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := group.When().Online(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := group.Execute(ctx, Add{"alice", 5}); err != nil {
		fmt.Println(err)
		return
	}
	start, err := mosaik.Read(ctx, group, mosaik.Weak, func(l *Ledger) (int64, error) {
		return l.balances["alice"], nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("alice has", start.Value, "at", start.Index)
	if _, err := group.ExecuteMany(ctx, Add{"bob", 2}, Add{"alice", 3}); err != nil {
		fmt.Println(err)
		return
	}
	for applied, err := range group.Commands(ctx, start.Epoch, start.Index+1) {
		var behind *consensus.BehindError
		if errors.As(err, &behind) {
			fmt.Println("read again:", behind)
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(applied.Cursor.Index, applied.Command.Account, applied.Command.Amount)
		if applied.Cursor.Index == 3 {
			break
		}
	}
	// Output:
	// alice has 5 at 1
	// 2 bob 2
	// 3 alice 3
}

// A group without a machine elects a leader and nothing else.
func ExampleKeyedBuilder_Join() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	net, err := mosaik.Open(ctx, mosaik.NetworkID("jobs"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Close()
	group, err := net.Groups().WithKey(mosaik.RandomKey()).
		WithConsensusConfig(consensus.Config{BootstrapDelay: consensus.None}).Join(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := group.When().Leading(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("leads:", group.IsLeader())
	// Output: leads: true
}

// A living group changes its secret while its members restart one by one: all
// with the second key, then all with the third. Members with two keys in a row
// bond.
func ExampleGroupKey_Rotate() {
	first, err := mosaik.KeyFromText("mosaik-key-1:" +
		"06a3e70c62756927108c0f6c539d80a9a9e78b0a934841ab72ad49d8ddd4e19d:" +
		"5094fec74e8100087263e20cc010b7a3f46d37247e64b0be1c7faae7aac863b4")
	if err != nil {
		fmt.Println(err)
		return
	}
	fresh := mosaik.RandomKey()
	second := first.Rotate(fresh).Accepting(first)
	third := first.Rotate(fresh)
	fmt.Println(first, second.Equal(third))

	// What is to be kept is exported deliberately; a key never prints.
	kept, err := mosaik.KeyFromText(third.Export())
	fmt.Println(kept.Equal(third), err)
	// Output:
	// 50****b4 false
	// true <nil>
}
