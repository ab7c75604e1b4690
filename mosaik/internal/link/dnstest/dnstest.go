// Package dnstest answers DNS queries in tests.
package dnstest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
)

// The types of records that are answered.
const (
	typeA    = 1
	typeAAAA = 28
)

// Resolver returns a resolver that answers each query with the addresses that lookup returns
// for the name, which is in lower case and has no final dot. It uses no network. Lookup may
// be called concurrently.
func Resolver(lookup func(name string) []netip.Addr) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go serve(server, lookup) // until the resolver closes its end
			return client, nil
		},
	}
}

// serve answers queries in the framing that DNS has on TCP (RFC 1035, 4.2.2).
func serve(conn net.Conn, lookup func(string) []netip.Addr) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := answer(query, lookup)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// answer returns the reply to a query with one question (RFC 1035, 4.1).
func answer(query []byte, lookup func(string) []netip.Addr) []byte {
	const header = 12
	var labels []string
	end := header
	for query[end] != 0 {
		next := end + 1 + int(query[end])
		labels = append(labels, string(query[end+1:next]))
		end = next
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	end += 1 + 4 // the root label, type and class

	var records []byte
	count := uint16(0)
	for _, ip := range lookup(strings.ToLower(strings.Join(labels, "."))) {
		if ip.Is4() != (kind == typeA) || kind != typeA && kind != typeAAAA {
			continue
		}
		count++
		records = append(records, 0xc0, header) // the question's name
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0) // class IN, time to live 0
		records = binary.BigEndian.AppendUint16(records, uint16(ip.BitLen()/8))
		records = append(records, ip.AsSlice()...)
	}
	reply := append([]byte(nil), query[:2]...)
	reply = append(reply, 0x81, 0x80, 0, 1) // a response, recursion available, one question
	reply = binary.BigEndian.AppendUint16(reply, count)
	reply = append(reply, 0, 0, 0, 0)
	return append(append(reply, query[header:end]...), records...)
}
