package mosaik

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machineWith returns the addresses of a machine.
func machineWith(cidrs ...string) func() ([]net.Addr, error) {
	return func() ([]net.Addr, error) {
		addrs := []net.Addr{&net.UnixAddr{Name: "no IP address"}}
		for _, cidr := range cidrs {
			ip, network, err := net.ParseCIDR(cidr)
			if err != nil {
				return nil, err
			}
			addrs = append(addrs, &net.IPNet{IP: ip, Mask: network.Mask})
		}
		return addrs, nil
	}
}

// TestAdvertised listens on each kind of address, on machines with IPv4, IPv6, both
// and neither.
func TestAdvertised(t *testing.T) {
	t.Parallel()
	const loopback4, loopback6, linkLocal = "127.0.0.1/8", "::1/128", "fe80::1/64"
	both := machineWith(loopback4, "192.0.2.1/24", linkLocal, loopback6, "2001:db8::1/64")
	var crowd, most, rest []string
	for i := range maxAddrs + 3 {
		crowd = append(crowd, fmt.Sprintf("192.0.2.%d/24", i+1))
		addr := fmt.Sprintf("192.0.2.%d:7", i+1)
		if i < maxAddrs {
			most = append(most, addr)
		} else {
			rest = append(rest, addr)
		}
	}
	for name, c := range map[string]struct {
		bound   string
		machine func() ([]net.Addr, error)
		want    []string
		omitted []string
	}{
		"one address":          {"192.0.2.9", both, []string{"192.0.2.9:7"}, nil},
		"IPv4":                 {"0.0.0.0", both, []string{"192.0.2.1:7"}, nil},
		"both":                 {"::", both, []string{"192.0.2.1:7", "[2001:db8::1]:7"}, nil},
		"IPv4 on IPv6 alone":   {"0.0.0.0", machineWith(loopback4, loopback6, "2001:db8::1/64"), []string{"127.0.0.1:7"}, nil},
		"IPv4, no network":     {"0.0.0.0", machineWith(loopback4, loopback6, linkLocal), []string{"127.0.0.1:7"}, nil},
		"both, no network":     {"::", machineWith(loopback4, loopback6), []string{"127.0.0.1:7", "[::1]:7"}, nil},
		"many":                 {"::", machineWith(crowd...), most, rest},
		"many for IPv4":        {"0.0.0.0", machineWith(append([]string{"2001:db8::1/64"}, crowd...)...), most, rest},
		"as many as may stand": {"::", machineWith(crowd[:maxAddrs]...), most, nil},
	} {
		addrs, omitted, err := advertised(nil, &net.TCPAddr{IP: net.ParseIP(c.bound), Port: 7}, c.machine)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, addrs); diff != "" {
			t.Errorf("%s: advertised (-want +got):\n%s", name, diff)
		}
		if len(c.omitted)+len(omitted) > 0 && !cmp.Equal(c.omitted, omitted) {
			t.Errorf("%s: omitted (-want +got):\n%s", name, cmp.Diff(c.omitted, omitted))
		}
	}
	broken := errors.New("no interfaces")
	if _, _, err := advertised(nil, &net.TCPAddr{IP: net.IPv4zero}, func() ([]net.Addr, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the machine", err)
	}
}
