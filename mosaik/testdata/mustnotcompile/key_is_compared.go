package program

import "github.com/mosaik-go/mosaik/mosaik"

func run(a, b mosaik.GroupKey) bool {
	return a == b // want `struct containing func\(\) .* cannot be compared`
}
