package main

const manual = `NAME
    mosaik-gen - write what connects state machines to mosaik

SYNOPSIS
    mosaik-gen [-check] [-v] [-C dir] [-tags list] [packages]

DESCRIPTION
    mosaik-gen reads the named packages, the one in the current folder by
    default, and writes for each that holds machines

      <package>_mosaik.go    the sealed interface of each machine's commands,
                             their codec, AsCommand, Spec and Apply, and with
                             snapshot Snapshot and Restore
      <machine>.mosaik       the canonical schema of each machine's commands
                             and state, whose hash is the machine's signature

    Commit both. Code that does not compile yet, because it refers to what is to
    be generated, is fine, and so are old files of ours in any state. Files by hand
    are never replaced, whatever their name. One run
    for ./... is as quick as one for a package. A file is written only if it
    changes, and whole or not at all. Nothing is written if anything is refused,
    and everything that is refused is reported in one run.

    It is usually run by go generate:

      //go:generate go tool mosaik-gen

    with the tool in go.mod, where "go get -tool
    github.com/mosaik-go/mosaik/cmd/mosaik-gen" puts it.

OPTIONS
    -check      write nothing; print which files are missing, stale or orphans,
                and what has changed in each schema
    -v          print the files that are written or removed
    -C dir      work in dir
    -tags list  build tags, separated by commas

DIRECTIVES
    Each stands above a type, in its comment, without a space after the slashes, in
    a file that is not a test. A comment that is nearly one, as // mosaik:command, is
    refused.

    //mosaik:machine name=ledger version=1 [level=1] [layout=array] [snapshot]
        A machine. Its name and version enter the group id: raise the version
        whenever its commands change their shape or do something else. New
        commands, variants, and fields that are left out when empty (omitempty)
        are compatible: raise the level by one for them, under which the group
        stays what it is. A new version starts over at level 1. With
        layout=array structs are arrays on the wire: shorter, and the order of
        fields counts.

        Fields of it with the tag mosaik:"identity" (a capacity, a mode) enter
        the group id with the values that they have when the group is joined.
        They are bools, numbers, strings or bytes and must not change.

        With snapshot the machine gets the methods Snapshot and Restore for all of
        its fields, exported or not, but for those of the identity and those with
        the tag mosaik:"-", which are derived or no state. A method
        AfterRestore() error is called once they were restored. Their shape
        becomes a part of the schema: raise the version when it changes.

    //mosaik:command [name=Deposit]
        A struct with a method ApplyTo(*Ledger, sm.ApplyContext) (R, error). Its
        name in the schema is that of the type unless it is given here.

    //mosaik:query
        A type with a method Query(*Ledger) (R, error). Nothing is generated for
        it; its form is checked.

    //mosaik:variant name=circle
        A type that implements a sealed interface. Its name in the schema is
        that of the type unless it is given here, so that a type can be renamed.
        The numbers of variants on the wire follow the order of their names.

    //mosaik:codec name=uuid [module]
        The codec of another type, one that encodes itself or has fields that
        are not exported: a struct with the methods

          Append(dst []byte, v uuid.UUID) ([]byte, error)
          Decode(src []byte) (uuid.UUID, error)

        of the value. The commands of its package may then hold the type, as
        keys of maps too unless it holds pointers, interfaces or floats; with
        module, the commands of all packages of the module may. For types that
        have UnmarshalText, and MarshalText or AppendText, one line is enough:

          type uuidCodec = codec.Text[uuid.UUID, *uuid.UUID]

        codec.Binary does the same for UnmarshalBinary. Both refuse to decode
        what they would write otherwise. On the wire values are bytes, never
        nil, whose content is the codec's; the schema holds its name. omitempty
        leaves out values for which IsZero returns true, or zero values where
        there is no such method. The author of a codec promises equal bytes for
        equal values in every process and release: rename it when they change.
        Its errors and panics are errors of encoding and decoding.

    //mosaik:package int=int64 uint=uint64
        Above a package clause: the commands and states of the package's
        machines may hold int, uint or both, also in types of other packages.
        They are encoded as int64 and uint64.

TYPES
    Commands may hold bool, int8 to int64, uint8 to uint64, float32, float64,
    string, []byte, [n]byte, time.Time, time.Duration, netip.Addr, netip.Prefix,
    big.Int, url.URL, types over these, structs, slices, arrays, maps with string
    or integer keys, pointers, interfaces with an unexported method, generic types
    with their arguments, types of other packages, and types with a codec, as keys
    of maps too. int and uint need the tag mosaik:"int64" or mosaik:"uint64", or
    //mosaik:package. Anything else is refused with its position and the reason.

    A command may hold commands by the interface that is generated, as in

      type Batch struct{ Commands []Command }

    The types that a sealed interface can hold are those of its package that
    implement it, themselves or by a pointer; generic ones are not among them.

    Machines and commands cannot be generic themselves, since methods are
    generated for them. Declare a type around each instance, and its method:

      type Prices struct{ Store[int64] }
      type PutPrice struct{ Put[int64] }
      func (p PutPrice) ApplyTo(m *Prices, at sm.ApplyContext) (int64, error) {
          return p.Put.ApplyTo(&m.Store, at)
      }

    The constants of a number's or string's type are part of the schema, also
    those that are not exported and those of other modules, by the version in
    go.mod. Constants of the standard library are not: releases of Go add some.

    Struct tags are those of github.com/vmihailenco/msgpack: a name, omitempty,
    noinline, "-". The fields of embedded structs and pointers take their place, and
    less deep fields hide deeper ones of the same name. The tag mosaik:"max=n"
    bounds the bytes of a string, of a []byte and of what a codec makes, and the
    elements of a slice or map; mosaik:"max=n,int64" says both.

    Fields of commands that are not exported are refused, since ApplyTo would
    find them zero, unless they are blank or have the tag msgpack:"-". In a
    state they count, while omitempty, max= and msgpack:"-" have no effect, and
    strings may hold any bytes.

EXIT STATUS
    0   all is well
    1   -check found files that are not up to date
    2   the source was refused, or something failed
`
