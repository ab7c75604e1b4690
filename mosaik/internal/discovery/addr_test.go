package discovery

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestAddressesAreVisible puts each byte, and characters that hide or reorder text, into the
// addresses of entries that are signed and of entries that are parsed.
func TestAddressesAreVisible(t *testing.T) {
	t.Parallel()
	check := func(addr string, bad bool) {
		t.Helper()
		e := full(t)
		e.Addrs = []string{addr}
		_, signed := Sign(identity(t, 1), e)
		_, parsed := Parse(seal(t, appendBody(nil, &e)))
		for what, err := range map[string]error{"sign": signed, "parse": parsed} {
			if !bad {
				if err != nil {
					t.Errorf("%s %q: %v", what, addr, err)
				}
				continue
			}
			wantErr(t, what, err, fmt.Sprintf("%+q", addr))
			for _, r := range err.Error() {
				if r < ' ' || r > '~' {
					t.Errorf("the error about %q has the character %U itself", addr, r)
				}
			}
		}
	}
	for b := range 256 {
		check("ho"+string([]byte{byte(b)})+"st:1", b <= ' ' || b > '~' || strings.ContainsRune("[]:", rune(b)))
	}
	for _, hidden := range []string{"\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u00a0", "\u0085", "é", "\x1b[2J", "\r\n"} {
		check("host"+hidden+":1", true)
		check("host:1"+hidden, true)
	}
}

// TestDialable checks each class of addresses in each of its forms, for each address that a member
// may advertise itself.
func TestDialable(t *testing.T) {
	t.Parallel()
	forms := func(ip4 string, more ...string) []string {
		b := netip.MustParseAddr(ip4).As4()
		return append(more, ip4, "::ffff:"+ip4, "64:ff9b::"+ip4,
			fmt.Sprintf("2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]))
	}
	owns := map[string][]string{
		"":           {"203.0.113.1:7", "node.example:7"},
		"loopback":   {"203.0.113.1:7", "127.0.0.1:7"},
		"loopback 6": {"[::1]:7"},
		"localhost":  {"LocalHost.:7"},
		"link-local": {"169.254.1.1:7"},
		"zone":       {"[fe80::1%eth0]:7"},
		"all":        {"[::ffff:127.0.0.1]:7", "169.254.1.1:7"},
		"nonsense":   {"0.0.0.0:7", "224.0.0.1:7", "127.0.0.1"},
	}
	for _, c := range []struct {
		ips    []string
		good   string // addresses of which one must be advertised, separated by spaces; * for any
		reason string
	}{
		{forms("203.0.113.7", "2001:db8::1", "fc00::1", "::ffff:10.0.0.1"), "*", ""},
		{forms("127.0.0.1", "::1", "127.255.255.254", "::127.0.0.1"), "loopback loopback_6 localhost all", "a loopback address"},
		{forms("169.254.169.254", "fe80::1", "fe80::1%lo", "febf::1"), "link-local zone all", "a link-local address"},
		{forms("0.0.0.0", "::", "0.1.2.3"), "", "an unspecified address"},
		{forms("224.0.0.1", "ff02::1", "ff01::1%lo", "239.255.255.255", "255.255.255.255"), "", "a multicast or broadcast address"},
	} {
		for _, ip := range c.ips {
			addr := netip.AddrPortFrom(netip.MustParseAddr(ip), 7)
			for name, own := range owns {
				good := c.good == "*" || name != "" && strings.Contains(" "+c.good+" ", " "+strings.ReplaceAll(name, " ", "_")+" ")
				err := Dialable(addr, own)
				if good != (err == nil) {
					t.Errorf("%s where %q is advertised: %v, want %v", addr, name, err, good)
				}
				if err != nil && (!strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), addr.String())) {
					t.Errorf("error %q names not %s and %q", err, addr, c.reason)
				}
			}
			if err := Dialable(netip.AddrPortFrom(addr.Addr(), 0), owns["all"]); err == nil {
				t.Errorf("%s with port 0 may be dialled", ip)
			}
		}
	}
}

func TestDialableName(t *testing.T) {
	t.Parallel()
	for addr, good := range map[string]bool{
		"node.example:7000": true, "node.example:65535": true, "127.1:7": true,
		"node.example:0": false, "node.example:65536": false, "node.example:http": false, "node.example:-1": false,
		"node.example:+1": false, "node.example": false,
	} {
		if err := DialableName(addr); (err == nil) != good {
			t.Errorf("%s: %v, want %v", addr, err, good)
		}
	}
}
