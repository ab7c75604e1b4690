package program

import "github.com/mosaik-go/mosaik/mosaik"

func run(b mosaik.KeyedBuilder) {
	_ = b.WithHistory(1 << 20)         // want `WithHistory undefined`
	_ = b.WithSnapshots(1_000, 64<<20) // want `WithSnapshots undefined`
}
