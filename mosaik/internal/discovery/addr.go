package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// checkAddr returns an error for an address that an entry must not have. Addresses appear in
// logs and errors. So they are printable ASCII without spaces, which excludes control
// characters and characters that reorder or hide text. Internationalized names are in their
// ASCII form. [Dialable] decides which addresses are dialled.
func checkAddr(addr string) error {
	if len(addr) > MaxAddr {
		return fmt.Errorf("%w: address %.40q… has %d bytes, at most %d are allowed", ErrEntry, addr, len(addr), MaxAddr)
	}
	for i := range len(addr) {
		if addr[i] <= ' ' || addr[i] > '~' {
			return fmt.Errorf("%w: address %+q has a byte other than printable ASCII at offset %d", ErrEntry, addr, i)
		}
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("%w: address %q is not host:port", ErrEntry, addr)
	}
	return nil
}

// class is a part of the IP address space. It decides whether an address may be dialled.
type class int

const (
	ordinary class = iota
	unspecified
	multicast
	loopback
	linkLocal
)

func (c class) String() string {
	return [...]string{"an ordinary", "an unspecified", "a multicast or broadcast", "a loopback", "a link-local"}[c]
}

func classOf(ip netip.Addr) class {
	ip = Unwrap(ip)
	switch {
	case ip.IsUnspecified(), ip.Is4() && ip.As4()[0] == 0: // 0.0.0.0/8: this host on this network
		return unspecified
	case ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return multicast
	case ip.IsLoopback():
		return loopback
	case ip.IsLinkLocalUnicast():
		return linkLocal
	}
	return ordinary
}

var (
	sixToFour  = netip.MustParsePrefix("2002::/16")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	compatible = netip.MustParsePrefix("::/96") // deprecated by RFC 4291, still routed by some
)

// Unwrap returns the IPv4 address that an IPv6 address contains if it is mapped
// (::ffff:a.b.c.d), compatible (::a.b.c.d), 6to4 (2002::/16) or NAT64 (64:ff9b::/96). It
// returns any other address without its zone.
func Unwrap(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case nat64.Contains(ip), compatible.Contains(ip) && b[12]|b[13]|b[14] != 0: // not :: and ::1
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return ip
}

// Literal parses an address whose host is an IP address. It is false for a host name and for
// a port outside 0 to 65535.
func Literal(addr string) (netip.AddrPort, bool) {
	ap, err := netip.ParseAddrPort(addr)
	return ap, err == nil
}

// Dialable returns an error for an address of another peer's entry that a member with the
// addresses own must not dial: the port is 0, the address is unspecified or multicast, or it
// is loopback or link-local and own has no address of that class. An IPv6 address that
// contains an IPv4 address (see [Unwrap]) has the class of the latter.
func Dialable(addr netip.AddrPort, own []string) error {
	c := classOf(addr.Addr())
	switch {
	case addr.Port() == 0:
		return fmt.Errorf("the port of %s is 0", addr)
	case c == unspecified || c == multicast:
		return fmt.Errorf("%s is %s address", addr, c)
	case c != ordinary && !advertises(own, c):
		return fmt.Errorf("%s is %s address, and this member advertises none", addr, c)
	}
	return nil
}

// DialableName is Dialable for an address whose host is a name. Before the name is resolved,
// only the port can be checked.
func DialableName(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q is not host:port", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the port of %q is not a number from 1 to 65535", addr)
	}
	return nil
}

// advertises reports whether one of the addresses is of the class.
func advertises(own []string, c class) bool {
	for _, addr := range own {
		if ap, ok := Literal(addr); ok && classOf(ap.Addr()) == c {
			return true
		}
		host, _, _ := net.SplitHostPort(addr)
		if c == loopback && strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
			return true
		}
	}
	return false
}
