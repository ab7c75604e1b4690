package consensus

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// Epoch names one life of a group. The member that forms the group draws it at random, and so
// does Group.Recover. Members of different epochs share nothing: two accidental bootstraps of one
// group are in different epochs, whose logs never mix. The zero Epoch means none.
type Epoch [16]byte

// IsZero reports whether e names no epoch.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// Compare orders epochs by their bytes: -1, 0 or +1. It is not an order in time.
func (e Epoch) Compare(o Epoch) int { return bytes.Compare(e[:], o[:]) }

// String returns the epoch as 32 hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// MarshalText implements [encoding.TextMarshaler]. It returns what String does.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts 32 hexadecimal digits.
func (e *Epoch) UnmarshalText(text []byte) error { return unmarshalHex("epoch", e[:], text) }

// Incarnation names one life of a peer in a group. A life continues in later processes if its log
// outlives them. The zero Incarnation means that it is not known.
//
//	offset  size  content
//	     0     6  of a peer with a directory, 1<<47 plus the number of the start
//	              of the directory at which the incarnation began; otherwise
//	              the first 6 bytes of the time at which its process started,
//	              in nanoseconds
//	     6     4  number of the incarnation in its process, from 1
//	    10     6  random, so that a peer that lost its memory does not draw an
//	              old one again
//
// Before directories had ids, incarnations in them began with a time, too.
type Incarnation [16]byte

// Compare orders incarnations by their bytes: -1, 0 or +1. Of the incarnations of one process, or
// of one directory, later ones compare higher.
func (i Incarnation) Compare(o Incarnation) int { return bytes.Compare(i[:], o[:]) }

// String returns the incarnation as 32 hexadecimal digits.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// MarshalText implements [encoding.TextMarshaler]. It returns what String does.
func (i Incarnation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts 32 hexadecimal digits.
func (i *Incarnation) UnmarshalText(text []byte) error {
	return unmarshalHex("incarnation", i[:], text)
}

// unmarshalHex fills id with the bytes whose hexadecimal digits are given. An error leaves id
// unchanged.
func unmarshalHex(what string, id, text []byte) error {
	digits := hex.EncodedLen(len(id))
	if len(text) != digits {
		return fmt.Errorf("mosaik: parse %s: %d bytes of text; want %d hexadecimal digits", what, len(text), digits)
	}
	b, err := hex.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("mosaik: parse %s: %w", what, err)
	}
	copy(id, b)
	return nil
}
