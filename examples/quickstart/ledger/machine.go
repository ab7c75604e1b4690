package ledger

import (
	"fmt"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

// Command is a command of the ledger: a [Deposit] or a [Transfer].
type Command interface{ isCommand() }

func (Deposit) isCommand()  {}
func (Transfer) isCommand() {}

// AsCommand implements [sm.Command].
func (d Deposit) AsCommand() Command { return d }

// AsCommand implements [sm.Command].
func (t Transfer) AsCommand() Command { return t }

// Each command and query fits the ledger.
var (
	_ sm.StateMachine[Command]               = (*Ledger)(nil)
	_ sm.Snapshotter                         = (*Ledger)(nil)
	_ sm.Command[Command, *Ledger, int64]    = Deposit{}
	_ sm.Command[Command, *Ledger, Balances] = Transfer{}
	_ sm.Query[*Ledger, int64]               = Balance{}
	_ sm.Query[*Ledger, []Account]           = Accounts{}
)

// Spec implements [sm.StateMachine].
func (*Ledger) Spec() sm.Spec[Command] {
	spec := sm.Define[Command]("ledger", 1)
	spec.Codec = commandCodec{}
	return spec
}

// Apply implements [sm.StateMachine]: it calls the command's own ApplyTo.
func (l *Ledger) Apply(at sm.ApplyContext, cmd Command) (any, error) {
	switch cmd := cmd.(type) {
	case Deposit:
		return cmd.ApplyTo(l, at)
	case Transfer:
		return cmd.ApplyTo(l, at)
	}
	return nil, fmt.Errorf("ledger: apply: unknown command %T", cmd)
}

// The first byte of an encoded command says which one it is; the rest is its
// MessagePack.
const (
	tagDeposit  = 1
	tagTransfer = 2
)

var (
	deposits  = codec.Reflect[Deposit]()
	transfers = codec.Reflect[Transfer]()
)

// commandCodec encodes the ledger's commands.
type commandCodec struct{}

// Append implements [codec.Codec].
func (commandCodec) Append(dst []byte, cmd Command) ([]byte, error) {
	switch cmd := cmd.(type) {
	case Deposit:
		return tagged(deposits, dst, tagDeposit, cmd)
	case Transfer:
		return tagged(transfers, dst, tagTransfer, cmd)
	}
	return dst, fmt.Errorf("ledger: encode: unknown command %T", cmd)
}

func tagged[C any](c codec.Codec[C], dst []byte, tag byte, cmd C) ([]byte, error) {
	encoded, err := c.Append(append(dst, tag), cmd)
	if err != nil {
		return dst, err
	}
	return encoded, nil
}

// Decode implements [codec.Codec].
func (commandCodec) Decode(src []byte) (Command, error) {
	if len(src) == 0 {
		return nil, fmt.Errorf("ledger: decode: %w", codec.ErrTruncated)
	}
	switch tag, body := src[0], src[1:]; tag {
	case tagDeposit:
		return decoded(deposits.Decode(body))
	case tagTransfer:
		return decoded(transfers.Decode(body))
	default:
		return nil, fmt.Errorf("ledger: decode: unknown command tag %d", tag)
	}
}

// decoded makes a command of what a variant's codec returns.
func decoded[C Command](cmd C, err error) (Command, error) {
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

// Check implements [codec.Checker].
func (commandCodec) Check() error {
	for _, c := range []any{deposits, transfers} {
		if err := c.(codec.Checker).Check(); err != nil {
			return err
		}
	}
	return nil
}
