// Package documents is a replicated state machine of JSON documents.
//
// A JSON value is a sum: null, a boolean, a number, a string, an array of values or an
// object of values. In Go a sum is a sealed interface with the types that implement it.
// mosaik-gen encodes it in commands and in snapshots.
package documents

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/sm"
)

// ErrNotFound reports a document that does not exist.
var ErrNotFound = errors.New("documents: no such document")

// Value is a JSON value: [Bool], [Number], [String], [Array] or [Object]. A nil
// Value is null.
type Value interface{ isValue() }

// The kinds of values.
type (
	Bool   bool
	Number float64
	String string
	Array  []Value
	Object map[string]Value
)

func (Bool) isValue()   {}
func (Number) isValue() {}
func (String) isValue() {}
func (Array) isValue()  {}
func (Object) isValue() {}

// Parse returns the value of a JSON text.
func Parse(text []byte) (Value, error) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("documents: parse: %w", err)
	}
	return valueOf(v), nil
}

// valueOf converts a value that package json decoded.
func valueOf(v any) Value {
	switch v := v.(type) {
	case bool:
		return Bool(v)
	case float64:
		return Number(v)
	case string:
		return String(v)
	case []any:
		out := make(Array, len(v))
		for i := range v {
			out[i] = valueOf(v[i])
		}
		return out
	case map[string]any:
		out := make(Object, len(v))
		for name := range v {
			out[name] = valueOf(v[name])
		}
		return out
	}
	return nil
}

//go:generate go tool mosaik-gen

// Store holds documents by name. Create one with [New].
//
//mosaik:machine name=documents version=1 snapshot
type Store struct{ documents map[string]Value }

// New returns a store without documents.
func New() *Store { return &Store{documents: map[string]Value{}} }

// Put stores a document, and replaces one with the same name. Its result is whether it
// replaced one.
//
//mosaik:command
type Put struct {
	Name     string `mosaik:"max=256"`
	Document Value
}

// ApplyTo implements [sm.Command].
func (p Put) ApplyTo(s *Store, _ sm.ApplyContext) (bool, error) {
	_, replaced := s.documents[p.Name]
	s.documents[p.Name] = p.Document
	return replaced, nil
}

// Get returns a document. The caller must not change it.
//
//mosaik:query
type Get struct{ Name string }

// Query implements [sm.Query].
func (g Get) Query(s *Store) (Value, error) {
	v, ok := s.documents[g.Name]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, g.Name)
	}
	return v, nil
}
