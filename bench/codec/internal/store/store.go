// Package store is the machine whose commands are encoded.
package store

import "github.com/mosaik-go/mosaik/sm"

//go:generate go -C ../../../.. run ./cmd/mosaik-gen -C bench/codec/internal/store

// Store does nothing.
//
//mosaik:machine name=store version=1
type Store struct{}

// Tiny is the smallest command.
//
//mosaik:command
type Tiny struct{ By int64 }

// ApplyTo implements [sm.Command].
func (Tiny) ApplyTo(*Store, sm.ApplyContext) (struct{}, error) { return struct{}{}, nil }

// Put has the fields of most commands.
//
//mosaik:command
type Put struct {
	Key   string
	Value []byte
	TTL   int64
}

// ApplyTo implements [sm.Command].
func (Put) ApplyTo(*Store, sm.ApplyContext) (struct{}, error) { return struct{}{}, nil }

// Order has a field of every kind.
//
//mosaik:command
type Order struct {
	ID         uint64
	Side       uint8
	Price, Qty int64
	Owner      string
	Tags       []string
	Meta       map[string]string
	Legs       []Leg
}

// Leg is a part of an order.
type Leg struct {
	Venue      string
	Price, Qty int64
}

// ApplyTo implements [sm.Command].
func (Order) ApplyTo(*Store, sm.ApplyContext) (struct{}, error) { return struct{}{}, nil }
