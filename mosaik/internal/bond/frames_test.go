package bond

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// digest returns a digest of one byte, repeated.
func digest(b byte) sm.Digest { return sm.Digest(bytes.Repeat([]byte{b}, sm.DigestSize)) }

// reencode parses a payload as a frame of the kind and encodes the result.
func reencode(kind uint8, payload []byte) ([]byte, error) {
	switch kind {
	case kindHello:
		return encoded(parseHello(payload))
	case kindSelect:
		n, err := parseSelect(payload)
		return appendNumber(nil, n), err
	case kindEntries, kindMembers:
		raws, err := parseEntries(payload)
		if err != nil {
			return nil, err
		}
		var b []byte
		for raw := range raws {
			b = append(b, byte(len(raw)>>24), byte(len(raw)>>16), byte(len(raw)>>8), byte(len(raw)))
			b = append(b, raw...)
		}
		return b, nil
	case kindOpen:
		return encoded(parseOpen(payload))
	case kindAccept:
		return encoded(parseAccept(payload))
	case kindClose:
		return encoded(parseClose(payload))
	case kindMessage:
		return encoded(parseMessage(payload))
	case kindPing:
		n, err := parsePing(payload)
		return appendNumber(nil, n), err
	case kindPong:
		n, err := parsePong(payload)
		return appendNumber(nil, n), err
	case kindGoodbye:
		code, err := parseGoodbye(payload)
		return appendCode(nil, code), err
	case kindIntro:
		return encoded(parseIntro(payload))
	case kindCallback:
		return encoded(parseCallback(payload))
	}
	return nil, errFrame
}

func encoded[F interface{ append([]byte) []byte }](f F, err error) ([]byte, error) {
	return f.append(nil), err
}

// goldenFrames are the bytes of version 1. They must never change.
var goldenFrames = []struct {
	name    string
	kind    uint8
	payload []byte
	hex     string
}{
	{"HELLO", kindHello,
		helloFrame{instance: instanceID(bytes.Repeat([]byte{0xaa}, 16)), version: 1, flags: flagOnly, seq: 0x0102030405060708}.append(nil),
		strings.Repeat("aa", 16) + "0001" + "00000001" + "0102030405060708"},
	{"SELECT", kindSelect, appendNumber(nil, 258), "0000000000000102"},
	{"ENTRIES", kindEntries, []byte("\x00\x00\x00\x02ab\x00\x00\x00\x01c"), "000000026162" + "0000000163"},
	{"OPEN", kindOpen,
		openFrame{group: digest(0x11), number: 258, proofs: []sm.Digest{digest(0x22), digest(0x33)}}.append(nil),
		strings.Repeat("11", 32) + "00000102" + "02" + strings.Repeat("22", 32) + strings.Repeat("33", 32)},
	{"ACCEPT", kindAccept, acceptFrame{digest(0x11), 3, 4}.append(nil), strings.Repeat("11", 32) + "00000003" + "00000004"},
	{"CLOSE", kindClose, closeFrame{digest(0x11), 3, 0, consensus.CodeTimeout}.append(nil), strings.Repeat("11", 32) + "00000003" + "00000000" + "000076c8"},
	{"MESSAGE", kindMessage, messageFrame{digest(0x11), []byte("hi")}.append(nil), strings.Repeat("11", 32) + "6869"},
	{"PING", kindPing, appendNumber(nil, 0xff), "00000000000000ff"},
	{"PONG", kindPong, appendNumber(nil, 0xff), "00000000000000ff"},
	{"GOODBYE", kindGoodbye, appendCode(nil, consensus.CodeCancelled), "00000066"},
	{"INTRO", kindIntro, introFrame{digest(0x11), 3, 4, []byte("hello")}.append(nil), strings.Repeat("11", 32) + "00000003" + "00000004" + "68656c6c6f"},
	{"MEMBERS", kindMembers, []byte("\x00\x00\x00\x02ab"), "000000026162"},
	{"CALLBACK", kindCallback, callbackFrame{token: callbackToken(bytes.Repeat([]byte{0xaa}, 16)), failed: true, protocol: "p"}.append(nil),
		strings.Repeat("aa", 16) + "01" + "70"},
}

func TestGoldenFrames(t *testing.T) {
	t.Parallel()
	for i, g := range goldenFrames {
		if int(g.kind) != i+1 {
			t.Errorf("%s has kind %d, want %d", g.name, g.kind, i+1)
		}
		if diff := cmp.Diff(g.hex, hex.EncodeToString(g.payload)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", g.name, diff)
		}
		again, err := reencode(g.kind, g.payload)
		if err != nil || !bytes.Equal(again, g.payload) {
			t.Errorf("%s parses to % x, error %v, want % x", g.name, again, err, g.payload)
		}
	}
}

// TestCutFrames parses every prefix of every frame, and every frame with an extra
// byte.
func TestCutFrames(t *testing.T) {
	t.Parallel()
	heads := map[uint8]int{kindIntro: introHead, kindMessage: sm.DigestSize, kindCallback: 16 + 1 + 1} // any bytes may follow
	for _, g := range goldenFrames {
		if g.kind == kindEntries || g.kind == kindMembers {
			continue
		}
		for n := range len(g.payload) + 2 {
			payload := append(bytes.Clone(g.payload), 0)[:n]
			head, open := heads[g.kind]
			good := n == len(g.payload) || open && n >= head
			if _, err := reencode(g.kind, payload); (err == nil) != good || err != nil && !errors.Is(err, errFrame) {
				t.Errorf("%d of %d bytes of %s: error %v", n, len(g.payload), g.name, err)
			}
		}
	}
}

func TestFramesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		kind    uint8
		payload []byte
	}{
		"HELLO of version 0":       {kindHello, helloFrame{}.append(nil)},
		"OPEN 0":                   {kindOpen, openFrame{proofs: []sm.Digest{{}}}.append(nil)},
		"OPEN without a proof":     {kindOpen, openFrame{number: 1}.append(nil)},
		"OPEN with 5 proofs":       {kindOpen, openFrame{number: 1, proofs: make([]sm.Digest, 5)}.append(nil)},
		"OPEN with more":           {kindOpen, append(openFrame{number: 1, proofs: make([]sm.Digest, 1)}.append(nil), 0)},
		"INTRO of OPEN 0":          {kindIntro, introFrame{mine: 1}.append(nil)},
		"INTRO by OPEN 0":          {kindIntro, introFrame{theirs: 1}.append(nil)},
		"ACCEPT of OPEN 0":         {kindAccept, acceptFrame{mine: 1}.append(nil)},
		"ACCEPT by OPEN 0":         {kindAccept, acceptFrame{theirs: 1}.append(nil)},
		"CLOSE with code 0":        {kindClose, closeFrame{mine: 1}.append(nil)},
		"GOODBYE with code 0":      {kindGoodbye, appendCode(nil, 0)},
		"CALLBACK of a long name":  {kindCallback, callbackFrame{protocol: link.Protocol(strings.Repeat("x", maxProtocol+1))}.append(nil)},
		"CALLBACK that is unsure":  {kindCallback, append(bytes.Repeat([]byte{2}, 17), 'p')},
		"no ENTRIES":               {kindEntries, nil},
		"ENTRIES of nothing":       {kindEntries, []byte{0, 0, 0, 0}},
		"ENTRIES cut in a length":  {kindEntries, []byte{0, 0, 0, 0, 0}},
		"ENTRIES cut in an entry":  {kindEntries, []byte{0, 0, 0, 2, 1}},
		"ENTRIES of absurd length": {kindEntries, []byte{255, 255, 255, 255, 1}},
	} {
		if _, err := reencode(f.kind, f.payload); !errors.Is(err, errFrame) {
			t.Errorf("%s: error %v, want errFrame", name, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	for _, g := range goldenFrames {
		f.Add(g.kind, g.payload)
	}
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		again, err := reencode(kind, payload)
		switch {
		case err != nil && !errors.Is(err, errFrame):
			t.Errorf("error %v is not errFrame", err)
		case err == nil && !bytes.Equal(again, payload):
			t.Errorf("% x parses to a frame that encodes as % x", payload, again)
		}
	})
}
