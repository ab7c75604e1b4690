package main

const manual = `NAME
    mosaik-gen - generate the code that connects state machines to mosaik

SYNOPSIS
    mosaik-gen [-check] [-v] [-C dir] [-tags list] [packages]
    mosaik-gen vet [-json] [-C dir] [-tags list] [-entry regexp] [packages]

DESCRIPTION
    mosaik-gen reads the named packages, by default the one in the current
    directory. For each package that declares machines it writes

      <package>_mosaik.go    the sealed interface of each machine's commands,
                             their codec, and the methods AsCommand, Spec and
                             Apply; with snapshot also Snapshot, Restore
                             and, if the state has containers, Freeze
      <machine>.mosaik       the schema of each machine's commands and state.
                             Its hash is the machine's signature.

    Commit both files. It is usually run by go generate:

      //go:generate go tool mosaik-gen

    "go get -tool github.com/mosaik-go/mosaik/cmd/mosaik-gen" adds the tool to
    go.mod.

    The packages need not compile: code may refer to what is not generated yet,
    and generated files may be stale or broken. A run reports everything that is
    wrong, and then writes nothing. Otherwise it writes only files that changed,
    each of them completely or not at all. It never replaces files that it did
    not write. One run for ./... takes about as long as a run for one package.

    mosaik-gen vet reports what makes machines not deterministic. Run it with
    -h for its manual.

OPTIONS
    -check      write nothing; print which files are missing, stale or orphans,
                and what has changed in each schema
    -v          print the files that are written or removed
    -C dir      resolve packages in dir
    -tags list  build tags, separated by commas

DIRECTIVES
    A directive is a comment directly above a type, in a file that is not a
    test. No space follows the slashes. A comment that looks like a misspelled
    directive, such as // mosaik:command, is an error.

    //mosaik:machine name=ledger version=1 [level=1] [layout=array] [snapshot]
        The type is a machine. Its name and version are part of the group id.

        Raise the version whenever commands change their encoding or their
        effect. Additions are compatible: new commands, new variants, and new
        fields with omitempty. Raise the level by one for them; the group id
        stays the same. A new version starts again at level 1.

        With layout=array, structs are encoded as arrays. They are shorter, and
        the order of their fields is part of the encoding.

        Fields of the machine with the tag mosaik:"identity" (a capacity, a
        mode) add their values to the group id when the group is joined. They
        must be bools, numbers, strings or bytes, and must not change.

        With snapshot, mosaik-gen generates the methods Snapshot and Restore
        for all fields of the machine, exported or not. Two kinds of fields are
        excluded: those of the identity, and those with the tag mosaik:"-",
        which is for fields that are derived or not part of the state. Restore
        calls the method AfterRestore() error, if there is one, once the fields
        are restored. The fields become part of the schema: raise the version
        when they change. Fields may be of the types sm.Map, sm.Set, sm.List
        and sm.Bytes, whose schema is that of plain maps, slices and bytes. For
        the first three, the method Freeze is generated: members write their
        snapshots while they apply further commands.

    //mosaik:command [name=Deposit]
        The type is a struct with a method

          ApplyTo(*Ledger, sm.ApplyContext) (R, error)

        The name of the command in the schema is that of the type, unless the
        directive gives another one.

    //mosaik:query
        The type has a method Query(*Ledger) (R, error). mosaik-gen checks its
        form and generates nothing.

    //mosaik:variant name=circle
        The type implements a sealed interface. Without the directive, its name
        in the schema is that of the type; with it, the type can be renamed. The
        tags of variants follow the order of their names.

    //mosaik:codec name=uuid [module]
        The type is a codec for another type, one that encodes itself or has
        unexported fields. It is a struct with the methods

          Append(dst []byte, v uuid.UUID) ([]byte, error)
          Decode(src []byte) (uuid.UUID, error)

        and value receivers. Commands of its package may then hold the type;
        with module, so may the commands of all packages in the module. The type
        may be the key of a map unless it holds pointers, interfaces or floats.

        For a type with UnmarshalText, and MarshalText or AppendText, one line
        suffices:

          type uuidCodec = codec.Text[uuid.UUID, *uuid.UUID]

        codec.Binary does the same with UnmarshalBinary. Both reject bytes that
        they would not write themselves.

        A value is encoded as bytes, whose content the codec defines; it is
        never nil. The schema holds the name of the codec. omitempty leaves out
        a value for which IsZero returns true; without such a method it leaves
        out the zero value. A codec must encode equal values as equal bytes, in
        every process and release. Give it another name if its bytes change.
        Errors and panics of a codec are errors of encoding and decoding.

    //mosaik:package int=int64 uint=uint64
        This directive is above a package clause. The commands and states of
        the machines in the package may hold int, uint or both, also within
        types of other packages. They are encoded as int64 and uint64.

TYPES
    Commands may hold bool, int8 to int64, uint8 to uint64, float32, float64,
    string, []byte, [n]byte, time.Time, time.Duration, netip.Addr, netip.Prefix,
    big.Int, url.URL, named types of these, structs, slices, arrays, maps,
    pointers, interfaces with an unexported method, instances of generic types,
    types of other packages, and types with a codec. The keys of maps are
    strings, integers or types with a codec. int and uint need the tag
    mosaik:"int64" or mosaik:"uint64", or //mosaik:package. mosaik-gen reports
    any other type with its position and the reason.

    A command may hold commands through the generated interface:

      type Batch struct{ Commands []Command }

    The variants of a sealed interface are the types of its package that
    implement it, by value or by pointer. Generic types are not among them.

    Machines and commands cannot be generic, because methods are generated for
    them. Declare a type around each instance, and its method:

      type Prices struct{ Store[int64] }
      type PutPrice struct{ Put[int64] }
      func (p PutPrice) ApplyTo(m *Prices, at sm.ApplyContext) (int64, error) {
          return p.Put.ApplyTo(&m.Store, at)
      }

    The constants of a named number or string type are part of the schema,
    including unexported ones and those of other modules in the version of
    go.mod. Constants of the standard library are not, because Go releases add
    to them.

    Struct tags are those of github.com/vmihailenco/msgpack: a name, omitempty,
    noinline and "-". The fields of an embedded struct, or of a struct that is
    embedded by pointer, are encoded in its place; of fields with the same name,
    the least deeply embedded one counts. The tag mosaik:"max=n" bounds the
    bytes of a string, of a []byte or of a value with a codec, and the elements
    of a slice or map. mosaik:"max=n,int64" combines two options.

    Unexported fields of commands are errors, because they would be zero in
    ApplyTo. Blank fields and fields with the tag msgpack:"-" are not. In a
    state unexported fields are encoded, omitempty, max= and msgpack:"-" have no
    effect, and strings may hold any bytes.

EXIT STATUS
    0   success
    1   -check found files that are not up to date
    2   the source has errors, or an operation failed
`
