// Package proto holds the commands as protocol buffers, with the codecs of
// github.com/planetscale/vtprotobuf.
package proto

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
