// Package codecimpl holds what the code that mosaik-gen writes calls: the encoder,
// the reader and the streams of machine states. Only generated code should import
// it. It keeps no compatibility promise, except that generated code compiles with
// the versions of this package that have the constant which that code requires
// (see [IsAtLeastVersion2]).
//
// Encoders and readers belong to one goroutine and serve one command.
package codecimpl

// IsAtLeastVersion2 is the handshake between generated code and this package. A
// generator that needs something new from the package requires a new constant,
// so its output does not compile with a package that is too old. When the package
// drops what older output calls, it also drops the constant of that output.
//
// Version 1 was part of package codec; see its IsAtLeastVersion1.
const IsAtLeastVersion2 = true

// IsAtLeastVersion3 is the handshake of code whose machines have containers of package sm
// in their state.
const IsAtLeastVersion3 = true
