package link

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

func TestPrefaceGolden(t *testing.T) {
	t.Parallel()
	got := []string{
		hex.EncodeToString(appendPreface(nil, sm.ID("counter_v1"))),
		hex.EncodeToString(appendAnswer(nil, consensus.CodeAccepted)),
		hex.EncodeToString(appendAnswer(nil, consensus.CodeOtherNetwork)),
		hex.EncodeToString(appendAnswer(nil, consensus.CodeUndecodable)),
	}
	want := []string{
		"4d534b01" + "1c519b0b8c364a91969d643d60425dcc4813e50ff45bfaafe7de672f39e738f0",
		"4d534b01" + "00000000",
		"4d534b01" + "00000065",
		"4d534b01" + "000076c0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("preface bytes differ (-want +got):\n%s", diff)
	}
}

func TestReadPreface(t *testing.T) {
	t.Parallel()
	good := appendPreface(nil, testNetwork)
	for _, c := range []struct {
		name string
		in   []byte
		err  error
	}{
		{"good", good, nil},
		{"good, and more after it", append(bytes.Clone(good), "more"...), nil},
		{"empty", nil, io.EOF},
		{"cut", good[:35], io.ErrUnexpectedEOF},
		{"magic", append([]byte("MSX\x01"), good[4:]...), errPreface},
		{"version", append([]byte("MSK\x02"), good[4:]...), errPreface},
	} {
		network, err := readPreface(bytes.NewReader(c.in))
		if !errors.Is(err, c.err) || (err == nil) != (network == testNetwork) {
			t.Errorf("%s: network %s, error %v, want error %v", c.name, network.Short(), err, c.err)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	good := appendAnswer(nil, consensus.CodeOtherNetwork)
	for _, c := range []struct {
		name string
		in   []byte
		code consensus.CloseCode
		err  error
	}{
		{"good", good, consensus.CodeOtherNetwork, nil},
		{"empty", nil, 0, io.EOF},
		{"cut", good[:7], 0, io.ErrUnexpectedEOF},
		{"magic", append([]byte("HTT\x01"), good[4:]...), 0, errPreface},
		{"version", append([]byte("MSK\x00"), good[4:]...), 0, errPreface},
	} {
		if code, err := readAnswer(bytes.NewReader(c.in)); code != c.code || !errors.Is(err, c.err) {
			t.Errorf("%s: code %d, error %v, want code %d, error %v", c.name, code, err, c.code, c.err)
		}
	}
}

// FuzzPreface checks that each preface or answer that can be read encodes to the same
// bytes.
func FuzzPreface(f *testing.F) {
	f.Add(appendPreface(nil, testNetwork))
	f.Add(appendPreface(nil, sm.Digest{}))
	f.Add(appendAnswer(nil, consensus.CodeAccepted))
	f.Add(appendAnswer(nil, consensus.CodeOtherNetwork))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"))
	f.Add([]byte("MSK"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if network, err := readPreface(bytes.NewReader(in)); err == nil && !bytes.HasPrefix(in, appendPreface(nil, network)) {
			t.Errorf("% x read as the preface of network %s", in, network)
		}
		if code, err := readAnswer(bytes.NewReader(in)); err == nil && !bytes.HasPrefix(in, appendAnswer(nil, code)) {
			t.Errorf("% x read as the answer %d", in, code)
		}
	})
}
