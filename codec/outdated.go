package codec

// IsAtLeastVersion1 keeps code that an older mosaik-gen wrote from compiling. Such
// code needs a constant of this name. The compiler reports that it is a variable. The
// name of its type tells the user to run go generate.
//
// The present handshake is codecimpl.IsAtLeastVersion2.
var IsAtLeastVersion1 run_go_generate

type run_go_generate struct{}
