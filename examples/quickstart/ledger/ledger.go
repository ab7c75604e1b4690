// Package ledger is a replicated state machine with one balance per account.
//
// This file is hand-written: the state, the commands and the queries. mosaik-gen generates
// the other two: ledger_mosaik.go connects the machine to mosaik, and ledger.mosaik is the
// schema that identifies the machine.
package ledger

import (
	"errors"
	"fmt"
	"math"

	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrAmount reports an amount that is not positive, or that would overflow a
	// balance.
	ErrAmount = errors.New("ledger: bad amount")
	// ErrInsufficient reports a transfer of more than the account holds.
	ErrInsufficient = errors.New("ledger: insufficient funds")
	// ErrNoAccount reports an account that does not exist.
	ErrNoAccount = errors.New("ledger: no such account")
)

//go:generate go tool mosaik-gen

// Ledger holds one balance per account. Create one with [New]. The balances are in an
// [sm.Map] and not in a plain map, so that members write their snapshots while they apply
// further commands.
//
//mosaik:machine name=ledger version=1 snapshot
type Ledger struct{ balances sm.Map[string, int64] }

// New returns a ledger without accounts.
func New() *Ledger { return &Ledger{} }

// Deposit pays money into an account, which it creates if it does not exist. Its result is
// the new balance of the account.
//
//mosaik:command
type Deposit struct {
	Account string
	Amount  int64
}

// ApplyTo implements [sm.Command].
func (d Deposit) ApplyTo(l *Ledger, _ sm.ApplyContext) (int64, error) {
	if err := l.canReceive(d.Account, d.Amount); err != nil {
		return 0, err
	}
	return l.add(d.Account, d.Amount), nil
}

// Transfer moves money from one account to another, which it creates if it does not exist.
//
//mosaik:command
type Transfer struct {
	From, To string
	Amount   int64
}

// Balances is the result of a [Transfer]: the new balances of both accounts.
type Balances struct{ From, To int64 }

// ApplyTo implements [sm.Command].
func (t Transfer) ApplyTo(l *Ledger, _ sm.ApplyContext) (Balances, error) {
	if err := l.canReceive(t.To, t.Amount); err != nil {
		return Balances{}, err
	}
	held, ok := l.balances.Get(t.From)
	switch {
	case !ok:
		return Balances{}, fmt.Errorf("%w: %q", ErrNoAccount, t.From)
	case held < t.Amount:
		return Balances{}, fmt.Errorf("%w: %q holds %d, not %d", ErrInsufficient, t.From, held, t.Amount)
	}
	b := Balances{From: l.add(t.From, -t.Amount), To: l.add(t.To, t.Amount)}
	if t.From == t.To {
		b.From = b.To
	}
	return b, nil
}

// add adds an amount to an account and returns the new balance.
func (l *Ledger) add(account string, amount int64) int64 {
	held, _ := l.balances.Get(account)
	l.balances.Set(account, held+amount)
	return held + amount
}

func (l *Ledger) canReceive(account string, amount int64) error {
	held, _ := l.balances.Get(account)
	switch {
	case amount <= 0:
		return fmt.Errorf("%w: %d is not positive", ErrAmount, amount)
	case held > math.MaxInt64-amount:
		return fmt.Errorf("%w: %q cannot hold %d more", ErrAmount, account, amount)
	}
	return nil
}

// Balance returns the balance of an account.
//
//mosaik:query
type Balance struct{ Account string }

// Query implements [sm.Query].
func (b Balance) Query(l *Ledger) (int64, error) {
	held, ok := l.balances.Get(b.Account)
	if !ok {
		return 0, fmt.Errorf("%w: %q", ErrNoAccount, b.Account)
	}
	return held, nil
}

// Account is an account with its balance.
type Account struct {
	Name    string
	Balance int64
}

// Accounts returns all accounts, in the order of their names.
//
//mosaik:query
type Accounts struct{}

// Query implements [sm.Query].
func (Accounts) Query(l *Ledger) ([]Account, error) {
	all := make([]Account, 0, l.balances.Len())
	for name, balance := range l.balances.All() {
		all = append(all, Account{Name: name, Balance: balance})
	}
	return all, nil
}
