// Package ledger is a replicated state machine with one balance per account.
//
// This file is hand-written: the state, the commands and the queries. mosaik-gen generates
// the other two: ledger_mosaik.go connects the machine to mosaik, and ledger.mosaik is the
// schema that identifies the machine.
package ledger

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

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

// Ledger holds one balance per account. Create one with [New].
//
//mosaik:machine name=ledger version=1 snapshot
type Ledger struct{ balances map[string]int64 }

// New returns a ledger without accounts.
func New() *Ledger { return &Ledger{balances: map[string]int64{}} }

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
	l.balances[d.Account] += d.Amount
	return l.balances[d.Account], nil
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
	held, ok := l.balances[t.From]
	switch {
	case !ok:
		return Balances{}, fmt.Errorf("%w: %q", ErrNoAccount, t.From)
	case held < t.Amount:
		return Balances{}, fmt.Errorf("%w: %q holds %d, not %d", ErrInsufficient, t.From, held, t.Amount)
	}
	l.balances[t.From] -= t.Amount
	l.balances[t.To] += t.Amount
	return Balances{From: l.balances[t.From], To: l.balances[t.To]}, nil
}

func (l *Ledger) canReceive(account string, amount int64) error {
	switch {
	case amount <= 0:
		return fmt.Errorf("%w: %d is not positive", ErrAmount, amount)
	case l.balances[account] > math.MaxInt64-amount:
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
	held, ok := l.balances[b.Account]
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
	all := make([]Account, 0, len(l.balances))
	for _, name := range slices.Sorted(maps.Keys(l.balances)) {
		all = append(all, Account{Name: name, Balance: l.balances[name]})
	}
	return all, nil
}
