package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// ErrForbidden reports an address that a [Check] does not allow.
var ErrForbidden = errors.New("the address must not be dialled")

// maxResolved bounds the addresses of one name that a dial tries: a name that resolves to
// many would turn one dial into many.
const maxResolved = 8

// Check returns an error for an address that must not be connected to; see
// [Link.DialChecked].
type Check func(addr netip.AddrPort) error

// apply runs the check and wraps its error.
func (check Check) apply(addr netip.AddrPort) error {
	if err := check(addr); err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return nil
}

// open opens the TCP connection of a dial. A nil check allows every address.
func (l *Link) open(ctx context.Context, addr string, check Check) (net.Conn, error) {
	dial := l.config.Dial
	switch {
	case dial == nil && check == nil:
		return (&net.Dialer{Resolver: l.config.Resolver}).DialContext(ctx, "tcp", addr)
	case dial == nil:
		return l.openChecked(ctx, addr, check)
	case check == nil:
		return dial(ctx, "tcp", addr)
	}
	literal, err := netip.ParseAddrPort(addr)
	if err == nil {
		if err := check.apply(literal); err != nil {
			return nil, err
		}
		return dial(ctx, "tcp", addr)
	}
	raw, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if remote, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		if err := check.apply(remote.AddrPort()); err != nil {
			raw.Close()
			return nil, err
		}
	}
	return raw, nil
}

// openChecked checks the address that the socket is about to connect to. The address of a
// name cannot change between check and use.
func (l *Link) openChecked(ctx context.Context, addr string, check Check) (net.Conn, error) {
	var opened atomic.Int32
	dialer := net.Dialer{
		Resolver: l.config.Resolver,
		ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			remote, err := netip.ParseAddrPort(resolved)
			switch {
			case err != nil:
				return fmt.Errorf("%w: %w", ErrForbidden, err)
			case opened.Add(1) > maxResolved:
				return fmt.Errorf("%w: %s resolves to more than %d addresses", ErrForbidden, addr, maxResolved)
			}
			return check.apply(remote)
		},
	}
	return dialer.DialContext(ctx, "tcp", addr)
}
