package sm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Op is the operation of an Entry.
type Op uint8

const (
	OpDeposit Op = iota + 1
	OpWithdraw
)

// Entry is the command type of Account. One struct holds all commands, which differ in
// the field Op.
type Entry struct {
	Op     Op
	Amount int64
}

// ErrInsufficient is a domain error, which is an outcome of a command like any other.
var ErrInsufficient = errors.New("account: insufficient balance")

// Account is a hand-written machine, without mosaik-gen.
type Account struct {
	balance int64
	touched time.Time
}

// Spec is one line with Define. Raise the version when the fields of Entry change, or
// when Apply does something else with the same entries.
func (*Account) Spec() sm.Spec[Entry] { return sm.Define[Entry]("account", 1) }

// Apply is a switch over the operations. It returns an error for an unknown one and
// does not change the state: entries come from all members.
func (a *Account) Apply(at sm.ApplyContext, e Entry) (any, error) {
	switch {
	case e.Amount <= 0:
		return nil, fmt.Errorf("account: the amount %d is not positive", e.Amount)
	case e.Op == OpDeposit:
		a.balance += e.Amount
	case e.Op == OpWithdraw && e.Amount > a.balance:
		return nil, ErrInsufficient
	case e.Op == OpWithdraw:
		a.balance -= e.Amount
	default:
		return nil, fmt.Errorf("account: unknown operation %d", e.Op)
	}
	a.touched = at.Now() // not time.Now, which differs between members
	return a.balance, nil
}

// A machine is an ordinary value. Its tests need no group; they call Apply with a
// context of their own.
func ExampleStateMachine() {
	account := &Account{}
	at := sm.NewApplyContext(sm.ApplyInfo{Index: 1, Time: time.Unix(1_700_000_000, 0)})

	fmt.Println(account.Apply(at, Entry{Op: OpDeposit, Amount: 5}))
	fmt.Println(account.Apply(at, Entry{Op: OpWithdraw, Amount: 3}))
	fmt.Println(account.Apply(at, Entry{Op: OpWithdraw, Amount: 3}))
	fmt.Println(account.Apply(at, Entry{Op: 9, Amount: 1}))
	fmt.Println(account.touched)

	// Output:
	// 5 <nil>
	// 2 <nil>
	// <nil> account: insufficient balance
	// <nil> account: unknown operation 9
	// 2023-11-14 22:13:20 +0000 UTC
}

// Define also sets the codec of the commands.
func ExampleDefine() {
	spec := sm.Define[Entry]("account", 1)
	fmt.Println(spec.Name, spec.Version, spec.Signature.Short(), spec.Validate())

	b, err := spec.Codec.Append(nil, Entry{Op: OpDeposit, Amount: 5})
	fmt.Printf("%d bytes, %v\n", len(b), err)
	fmt.Println(spec.Codec.Decode(b))

	// A type that cannot be encoded is an error when the group is joined.
	fmt.Println(sm.Define[struct{ Reply chan int64 }]("account", 1).Validate())

	// Output:
	// account 1 698825ccd8 <nil>
	// 22 bytes, <nil>
	// {1 5} <nil>
	// sm: machine "account": codec: check command.Reply: a chan cannot be encoded; remove it, or exclude the field with the tag `msgpack:"-"`
}

// Deposit is a typed command of Account. Its result is an int64 at compile time. In a
// hand-written machine, AsCommand maps the command to the machine's struct; for
// generated machines, mosaik-gen generates it.
type Deposit struct{ Amount int64 }

// AsCommand implements sm.Command.
func (d Deposit) AsCommand() Entry { return Entry{Op: OpDeposit, Amount: d.Amount} }

// ApplyTo implements sm.Command.
func (d Deposit) ApplyTo(a *Account, at sm.ApplyContext) (int64, error) {
	result, err := a.Apply(at, d.AsCommand())
	balance, _ := result.(int64)
	return balance, err
}

// run stands for a group that executes a command. R is inferred. A command of another
// machine, or a result of another type, does not compile.
func run[R, C any, M sm.StateMachine[C]](m M, cmd sm.Command[C, M, R]) (R, error) {
	result, err := m.Apply(sm.ApplyContext{}, cmd.AsCommand())
	typed, _ := result.(R)
	return typed, err
}

func ExampleCommand() {
	account := &Account{}
	balance, err := run(account, Deposit{Amount: 5})
	fmt.Println(balance+1, err) // an int64, not an any

	_, err = run(account, Deposit{Amount: -5})
	fmt.Println(err)

	// Output:
	// 6 <nil>
	// account: the amount -5 is not positive
}

// CanAfford is a query of Account. It reports whether the account holds Amount.
type CanAfford struct{ Amount int64 }

// Query implements sm.Query. It reads the machine and does not change it.
func (q CanAfford) Query(a *Account) (bool, error) { return a.balance >= q.Amount, nil }

func ExampleQuery() {
	var q sm.Query[*Account, bool] = CanAfford{Amount: 5}
	fmt.Println(q.Query(&Account{balance: 4}))
	fmt.Println(q.Query(&Account{balance: 5}))

	// Output:
	// false <nil>
	// true <nil>
}

// accountState is the content of a snapshot of Account.
type accountState struct {
	Balance int64
	Touched time.Time
}

// Snapshot implements sm.Snapshotter.
func (a *Account) Snapshot(w io.Writer) error {
	return json.NewEncoder(w).Encode(accountState{a.balance, a.touched})
}

// Restore implements sm.Snapshotter. It replaces the whole state once it has decoded
// all of the snapshot.
func (a *Account) Restore(r io.Reader) error {
	var s accountState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("account: restore: %w", err)
	}
	a.balance, a.touched = s.Balance, s.Touched
	return nil
}

// A group of Snapshotters compacts its log, and new members start from a snapshot.
func ExampleSnapshotter() {
	account := &Account{balance: 7}
	var from, to sm.Snapshotter = account, &Account{balance: 1}

	var b bytes.Buffer
	fmt.Println(from.Snapshot(&b))
	fmt.Println(to.Restore(&b))
	fmt.Println(to.(*Account).balance)

	// Output:
	// <nil>
	// <nil>
	// 7
}

// ID hashes names, and digests can be derived from digests.
func ExampleID() {
	counter := sm.ID("counter_v1")
	fmt.Println(counter)
	fmt.Println(counter.Short())
	fmt.Println(counter.Derive([]byte("x")).Short())
	fmt.Println(sm.ID(counter.String()) == counter)

	// Output:
	// 1c519b0b8c364a91969d643d60425dcc4813e50ff45bfaafe7de672f39e738f0
	// 1c519b0b8c
	// 1ae06256f6
	// true
}

// The random source of a command draws the same numbers on every member.
func ExampleApplyContext_Rand() {
	info := sm.ApplyInfo{Index: 1, Seed: 7}
	here, there := sm.NewApplyContext(info), sm.NewApplyContext(info)
	fmt.Println(here.Rand().IntN(1000) == there.Rand().IntN(1000))

	// Output:
	// true
}
