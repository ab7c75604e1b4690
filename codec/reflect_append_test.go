package codec_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
)

func appendError[C any](t *testing.T, v C) error {
	t.Helper()
	dst := make([]byte, 3, 100)
	copy(dst, "abc")
	out, err := codec.Reflect[C]().Append(dst, v)
	if err != nil && (string(out) != "abc" || cap(out) != cap(dst)) {
		t.Errorf("on the error %v Append returned %q; want dst as it was", err, out)
	}
	return err
}

func TestReflectAppendRefuses(t *testing.T) {
	t.Parallel()
	loop := &Transfer{}
	loop.Parent = loop
	tree := Tree{nil}
	tree[0] = tree
	type byKey map[string]byKey
	maps := byKey{}
	maps["k"] = maps
	type embeds struct{ Raw Raw }
	for _, tt := range []struct {
		name string
		err  error
		is   error
		text string
	}{
		{"invalid UTF-8", appendError(t, Transfer{Legs: []Leg{{}}, From: "\xff"}), codec.ErrUTF8, `codec: encode Transfer.From: "\xff" is not valid UTF-8`},
		{"invalid key", appendError(t, Transfer{Notes: map[string]string{"\xff": ""}}), codec.ErrUTF8, `codec: encode Transfer.Notes[key]: "\xff" is not valid UTF-8`},
		{"nil command", appendError[*Transfer](t, nil), codec.ErrNil, "codec: encode Transfer: nil is no command"},
		{"circle of pointers", appendError(t, loop), codec.ErrDepth, "codec: encode Transfer.Parent.Parent"},
		{"circle of slices", appendError(t, tree), codec.ErrDepth, "codec: encode Tree[0][0]"},
		{"circle of maps", appendError(t, maps), codec.ErrDepth, `codec: encode byKey["k"]["k"]`},
		{"too large", appendError(t, strings.Repeat("x", codec.MaxSize)), codec.ErrTooLarge, "codec: encode string: too large: more than 8388608 bytes"},
		{"too large by a byte", appendError(t, strings.Repeat("x", codec.MaxSize-4)), codec.ErrTooLarge, "codec: encode string"},
		{"own codec's error", appendError(t, embeds{Raw{"refuse"}}), errRaw, "codec: encode embeds: raw refuses this"},
		{"own codec's panic", appendError(t, embeds{Raw{"panic"}}), errRaw, "codec: encode embeds: panic: raw refuses this"},
		{"own codec's nil", appendError(t, embeds{Raw{"nil"}}), codec.ErrNil, "codec: encode embeds.Raw: nil, where codec_test.Raw is wanted"},
		{"own codec's second value", appendError(t, embeds{Raw{"two values"}}), codec.ErrTrailing, "codec: encode embeds: 1 bytes follow"},
	} {
		if !errors.Is(tt.err, tt.is) {
			t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.is)
			continue
		}
		if !strings.HasPrefix(tt.err.Error(), tt.text) {
			t.Errorf("%s: message %q does not start with %q", tt.name, tt.err, tt.text)
		}
	}
}

func TestReflectAppendAfterError(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[Transfer]()
	want := encode(t, Transfer{From: "a"})
	for range 10 {
		if _, err := c.Append(nil, Transfer{From: "\xff"}); err == nil {
			t.Fatal("invalid UTF-8 was encoded")
		}
		if _, err := c.Decode(want[:len(want)-1]); err == nil {
			t.Fatal("truncated bytes were decoded")
		}
		got, err := c.Append(nil, Transfer{From: "a"})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("after an error Append = %x, %v; want %x", got, err, want)
		}
		if v, err := c.Decode(got); err != nil || v.From != "a" {
			t.Fatalf("after an error Decode = %+v, %v", v, err)
		}
	}
}

func TestReflectConcurrently(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[Transfer]()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				nonce := uint64(i*1000 + j)
				b, err := c.Append(nil, Transfer{Nonce: nonce, Legs: make([]Leg, j%5)})
				if err != nil {
					t.Error(err)
					return
				}
				if v, err := c.Decode(b); err != nil || v.Nonce != nonce || len(v.Legs) != j%5 {
					t.Errorf("Decode = %+v, %v; want nonce %d with %d legs", v, err, nonce, j%5)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestReflectIsOneCodecPerType(t *testing.T) {
	t.Parallel()
	if codec.Reflect[Transfer]() != codec.Reflect[Transfer]() {
		t.Error("two calls returned two codecs")
	}
}
