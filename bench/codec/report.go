package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// markdown writes one table for each command. Each time is followed by how it
// compares: with the hand-written codec's, as a multiple, and with that of
// vmihailenco/msgpack as its users call it, as how many times faster.
func markdown(w io.Writer, peers []peer, results [][len(commandNames)]result) error {
	base := func(name string, i int) *result {
		at := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
		if at < 0 {
			return &result{}
		}
		return &results[at][i]
	}
	var b strings.Builder
	for i, command := range commandNames {
		fmt.Fprintf(&b, "\n| %s | bytes | encode ns | / hand-written | vm sorted / | B | allocs | decode ns | / hand-written | vm Unmarshal / | B | allocs |\n", command)
		b.WriteString("|---|" + strings.Repeat("--:|", 11) + "\n")
		for p := range peers {
			r := &results[p][i]
			fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", peers[p].name, r.encoded,
				cells(r.encode, base(nameHand, i).encode, base(nameSorted, i).encode),
				cells(r.decode, base(nameHand, i).decode, base(namePlain, i).decode))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cells(f, hand, vm figures) string {
	return fmt.Sprintf("%.3g | %.2f | %.1f | %.0f | %.0f", median(f.times), f.ratio(hand), vm.ratio(f), f.bytes, f.allocs)
}
