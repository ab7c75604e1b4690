package hand

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/bench/codec/internal/store"
	"github.com/mosaik-go/mosaik/codec"
)

var generated = (&store.Store{}).Spec().Codec

// sentinels are the errors that tell what is wrong.
var sentinels = []error{
	codec.ErrTruncated, codec.ErrTrailing, codec.ErrDepth, codec.ErrTooLarge, codec.ErrOverflow, codec.ErrDuplicate,
	codec.ErrUnknownField, codec.ErrType, codec.ErrUTF8, codec.ErrNil, codec.ErrVariant,
}

func sentinel(err error) error {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s
		}
	}
	return err
}

// same compares both codecs on src.
func same(t testing.TB, src []byte) {
	t.Helper()
	want, wantErr := generated.Decode(src)
	got, err := Codec{}.Decode(src)
	if sentinel(err) != sentinel(wantErr) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%x is decoded as %+v, %v; by generated code as %+v, %v", src, got, err, want, wantErr)
	}
	if err == nil {
		sameAppend(t, got)
	}
}

func sameAppend(t testing.TB, cmd store.Command) []byte {
	t.Helper()
	want, wantErr := generated.Append([]byte("before"), cmd)
	got, err := Codec{}.Append([]byte("before"), cmd)
	if sentinel(err) != sentinel(wantErr) || !bytes.Equal(got, want) {
		t.Fatalf("%.1000v is encoded as %.1000x, %v; by generated code as %.1000x, %v", cmd, got, err, want, wantErr)
	}
	return got[len("before"):]
}

// texts are strings of every kind of header, and some that are not valid.
var texts = []string{"", "a", "ünïcödé €𝄞", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("y", 255), strings.Repeat("z", 256), strings.Repeat("z", math.MaxUint16+1)}

func text(r *rand.Rand) string {
	switch r.IntN(40) {
	case 0:
		return "\xff"
	case 1:
		return texts[r.IntN(len(texts))]
	}
	b := make([]byte, r.IntN(20))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

func integer(r *rand.Rand) int64 { return int64(r.Uint64()) >> r.IntN(64) }

// number returns how many elements a container has, or none for nil.
func number(r *rand.Rand) (n int, ok bool) {
	switch r.IntN(20) {
	case 0:
		return 0, false
	case 1:
		return 15 + r.IntN(3), true
	}
	return r.IntN(4), true
}

// command returns a random command.
func command(r *rand.Rand) store.Command {
	switch r.IntN(3) {
	case 0:
		return store.Tiny{By: integer(r)}
	case 1:
		p := store.Put{Key: text(r), TTL: integer(r)}
		if _, ok := number(r); ok {
			p.Value = []byte(text(r))
		}
		return p
	}
	o := store.Order{ID: uint64(integer(r)), Side: uint8(integer(r)), Price: integer(r), Qty: integer(r), Owner: text(r)}
	if n, ok := number(r); ok {
		o.Tags = make([]string, n)
		for i := range o.Tags {
			o.Tags[i] = text(r)
		}
	}
	if n, ok := number(r); ok {
		o.Meta = make(map[string]string, n)
		for range n {
			o.Meta[text(r)] = text(r)
		}
	}
	if n, ok := number(r); ok {
		o.Legs = make([]store.Leg, n)
		for i := range o.Legs {
			o.Legs[i] = store.Leg{Venue: text(r), Price: integer(r), Qty: integer(r)}
		}
	}
	return o
}

// compact encodes a command as others might: with integers as short as possible
// and maps in any order.
func compact(t *testing.T, cmd store.Command, tag byte) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write([]byte{0x92, tag})
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	type (
		tiny  store.Tiny
		put   store.Put
		order store.Order
	)
	var plain any
	switch cmd := cmd.(type) {
	case store.Tiny:
		plain = tiny(cmd)
	case store.Put:
		plain = put(cmd)
	case store.Order:
		plain = order(cmd)
	}
	if err := e.Encode(plain); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSame compares both codecs on random commands and on damaged encodings.
func TestSame(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		cmd := command(r)
		b := sameAppend(t, cmd)
		if len(b) == 0 {
			continue // refused
		}
		same(t, b)
		short := compact(t, cmd, b[1])
		same(t, short)
		for range 20 {
			same(t, damaged(r, b))
			same(t, damaged(r, short))
		}
	}
}

// interesting are bytes that start values.
var interesting = []byte{0, 1, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc4, 0xc7, 0xca, 0xcc, 0xcd, 0xcf, 0xd0, 0xd3, 0xd4, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff}

func damaged(r *rand.Rand, src []byte) []byte {
	b := bytes.Clone(src)
	// Most of a long encoding is text; damage where the structure is, mostly.
	at := r.IntN(min(len(b), 200))
	if r.IntN(4) == 0 {
		at = r.IntN(len(b))
	}
	switch r.IntN(6) {
	case 0:
		return b[:at]
	case 1:
		b[at] ^= 1 << r.IntN(8)
	case 2:
		b[at] = byte(r.Uint32())
	case 3:
		b[at] = interesting[r.IntN(len(interesting))]
	case 4:
		return append(b, interesting[r.IntN(len(interesting))])
	case 5: // repeat a part
		to := at + r.IntN(min(len(b)-at, 30)+1)
		return append(b[:to:to], b[at:]...)
	}
	return b
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, cmd := range []store.Command{
		nil, (*store.Put)(nil), &store.Tiny{},
		store.Put{Key: strings.Repeat("x", codec.MaxSize)},
		store.Put{Key: "\xff", Value: make([]byte, codec.MaxSize)},
		store.Order{Owner: "\xff"}, store.Order{Tags: []string{"\xff"}},
		store.Order{Meta: map[string]string{"\xff": ""}}, store.Order{Meta: map[string]string{"": "\xff"}},
		store.Order{Legs: []store.Leg{{Venue: "\xff"}}},
	} {
		if b := sameAppend(t, cmd); len(b) > 0 {
			t.Errorf("%.100v is accepted", cmd)
		}
	}
	for _, src := range []string{
		"", "\x92", "\xc0", "\x92\x03\x80", "\x92\xff\x80", "\x92\x02\x81\xa2By\xc0", "\x92\x00\x81\xa4Side\xcd\x01\x00",
		"\x92\x00\x81\xa4Side\xff", "\x92\x00\x81\xa2ID\xff", "\x92\x02\x81\xa2By\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x92\x00\x81\xa4Meta\x82\xa1a\xa0\xa1a\xa0", "\x92\x00\x81\xa4Meta\x82\xa1a\xa0\xa1a\x01",
		"\x92\x02\x82\xa2By\x01\xa2By\x01", "\x92\x02\x81\xa2By\x01\x00", "\x92\x00\x81\xa4Legs\xdd\xff\xff\xff\xff",
		strings.Repeat("\x00", codec.MaxSize+1),
	} {
		same(t, []byte(src))
		if v, err := generated.Decode([]byte(src)); err == nil {
			t.Errorf("%.20x is accepted as %v", src, v)
		}
	}
}

func FuzzSame(f *testing.F) {
	f.Add([]byte("\x92\x02\x81\xa2By\x01"))
	f.Add([]byte("\x92\x01\x83\xa3Key\xa1k\xa5Value\xc4\x01v\xa3TTL\xd3\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add([]byte("\x92\x00\x84\xa4Side\x01\xa4Tags\x91\xa1t\xa4Meta\x81\xa1k\xa1v\xa4Legs\x91\x81\xa5Venue\xa0"))
	f.Fuzz(func(t *testing.T, src []byte) { same(t, src) })
}
