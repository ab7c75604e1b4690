package program

import (
	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

type Ledger struct{ balances map[string]int64 }

func newLedger() *Ledger { return &Ledger{} }

func (*Ledger) Spec() sm.Spec[LedgerCommand] {
	return sm.Spec[LedgerCommand]{Codec: codec.Codec[LedgerCommand](nil)}
}
func (*Ledger) Apply(sm.ApplyContext, LedgerCommand) (any, error) { return nil, nil }

type LedgerCommand interface{ isLedgerCommand() }

type Deposit struct {
	Account string
	Amount  int64
}

func (Deposit) isLedgerCommand()           {}
func (d Deposit) AsCommand() LedgerCommand { return d }
func (d Deposit) ApplyTo(l *Ledger, _ sm.ApplyContext) (int64, error) {
	return l.balances[d.Account], nil
}

type Balance struct{ Account string }

func (b Balance) Query(l *Ledger) (int64, error) { return l.balances[b.Account], nil }

type Clock struct{ now int }

func (*Clock) Spec() sm.Spec[ClockCommand]                      { return sm.Spec[ClockCommand]{} }
func (*Clock) Apply(sm.ApplyContext, ClockCommand) (any, error) { return nil, nil }

type ClockCommand interface{ isClockCommand() }

type Advance struct{ By int }

func (Advance) isClockCommand()                                    {}
func (a Advance) AsCommand() ClockCommand                          { return a }
func (a Advance) ApplyTo(c *Clock, _ sm.ApplyContext) (int, error) { c.now += a.By; return c.now, nil }

type Time struct{}

func (Time) Query(c *Clock) (int, error) { return c.now, nil }
