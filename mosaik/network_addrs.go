package mosaik

import (
	"fmt"
	"net"
)

// maxAddrs is the highest number of addresses that a peer advertises.
const maxAddrs = 16

// advertised returns the addresses to advertise: the given ones, or those at which the
// listener's address bound can be reached. Of the machine's addresses, omitted are those
// above the limit. A socket for IPv4 is not reached at IPv6 addresses.
func advertised(given []string, bound net.Addr, machine func() ([]net.Addr, error)) (addrs, omitted []string, err error) {
	if len(given) > maxAddrs {
		return nil, nil, fmt.Errorf("advertise: %d addresses; at most %d are allowed", len(given), maxAddrs)
	}
	if len(given) > 0 {
		return given, nil, nil
	}
	tcp, ok := bound.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return []string{bound.String()}, nil, nil
	}
	all, err := machine()
	if err != nil {
		return nil, nil, fmt.Errorf("advertise: list the machine's addresses: %w", err)
	}
	var loopback []string
	for _, a := range all {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLinkLocalUnicast() || tcp.IP.To4() != nil && ip.IP.To4() == nil {
			continue
		}
		addr := (&net.TCPAddr{IP: ip.IP, Port: tcp.Port}).String()
		if ip.IP.IsLoopback() {
			loopback = append(loopback, addr)
			continue
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) == 0 {
		addrs = loopback
	}
	n := min(len(addrs), maxAddrs)
	return addrs[:n:n], addrs[n:], nil
}
