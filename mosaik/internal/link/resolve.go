package link

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// DialsNames reports whether the host of addr, host:port, is a name that is handed to
// [Config.Dial]. Such a dialer may resolve names by other means than [Link.Resolve].
func (l *Link) DialsNames(addr string) bool {
	return l.config.Dial != nil && !isLiteral(addr)
}

func isLiteral(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	_, err := netip.ParseAddr(host)
	return err == nil
}

// Resolve returns the addresses to dial for addr, host:port, without duplicates. If the host
// is an IP address, that is addr itself. Otherwise there is one address for each IP address
// of the name, in the resolver's order.
func (l *Link) Resolve(ctx context.Context, addr string) ([]string, error) {
	if isLiteral(addr) {
		return []string{addr}, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", addr, err)
	}
	resolver := l.config.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ips, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", addr, err)
	}
	var addrs []string
	for _, ip := range ips {
		if a := net.JoinHostPort(ip.Unmap().String(), port); !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}
