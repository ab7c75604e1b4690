// Package savings is a machine with snapshots, of which mosaik-gen wrote all
// that connects it to mosaik.
package savings

import "github.com/mosaik-go/mosaik/sm"

//go:generate go tool mosaik-gen

// Savings keeps accounts.
//
//mosaik:machine name=savings version=1 snapshot
type Savings struct {
	accounts map[string]account
	total    int64 `mosaik:"-"` // of all accounts
	restores int64 `mosaik:"-"`
}

type account struct {
	balance  int64
	deposits []int64
}

// New returns a machine without accounts.
func New() *Savings { return &Savings{accounts: map[string]account{}} }

// AfterRestore sums up the accounts.
func (s *Savings) AfterRestore() error {
	s.restores++
	s.total = 0
	for _, a := range s.accounts {
		s.total += a.balance
	}
	return nil
}

// Deposit pays money into an account. Its result is the sum of all.
//
//mosaik:command
type Deposit struct {
	Account string
	Amount  int64
}

// ApplyTo implements [sm.Command].
func (d Deposit) ApplyTo(s *Savings, _ sm.ApplyContext) (int64, error) {
	a := s.accounts[d.Account]
	a.balance += d.Amount
	a.deposits = append(a.deposits, d.Amount)
	s.accounts[d.Account] = a
	s.total += d.Amount
	return s.total, nil
}

// Report is what a [Look] answers.
type Report struct {
	Total    int64
	Balance  int64
	Deposits int
	Restored bool // the machine's state came by snapshot
}

// Look asks about an account.
//
//mosaik:query
type Look struct{ Account string }

// Query implements [sm.Query].
func (l Look) Query(s *Savings) (Report, error) {
	a := s.accounts[l.Account]
	return Report{Total: s.total, Balance: a.balance, Deposits: len(a.deposits), Restored: s.restores > 0}, nil
}
