package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// report is all that was measured.
type report struct {
	peers   []peer
	results [][len(commandNames)]result
	fastest bool // the fastest rounds count, not the medians
}

// markdown writes one table for each command. Each time is followed by how it
// compares: with the hand-written codec's, as a multiple, and with that of
// vmihailenco/msgpack as its users call it, as how many times faster.
func (r report) markdown(w io.Writer) error {
	base := func(name string, i int) *result {
		at := slices.IndexFunc(r.peers, func(p peer) bool { return p.name == name })
		if at < 0 {
			return &result{}
		}
		return &r.results[at][i]
	}
	var b strings.Builder
	for i, command := range commandNames {
		fmt.Fprintf(&b, "\n| %s | bytes | encode ns | / hand-written | vm sorted / | B | allocs | decode ns | / hand-written | vm Unmarshal / | B | allocs |\n", command)
		b.WriteString("|---|" + strings.Repeat("--:|", 11) + "\n")
		for p := range r.peers {
			of := &r.results[p][i]
			fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", r.peers[p].name, of.encoded,
				r.cells(of.encode, base(nameHand, i).encode, base(nameSorted, i).encode),
				r.cells(of.decode, base(nameHand, i).decode, base(namePlain, i).decode))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r report) cells(f, hand, vm figures) string {
	time := median(f.times)
	if r.fastest {
		time = slices.Min(f.times)
	}
	return fmt.Sprintf("%.4g | %.2f | %.1f | %.0f | %.0f", time, r.ratio(f, hand), r.ratio(vm, f), f.bytes, f.allocs)
}

// ratio returns how many times as long as base f took, 0 when base was not
// measured.
func (r report) ratio(f, base figures) float64 {
	if len(f.times) == 0 || len(base.times) == 0 {
		return 0
	}
	if r.fastest {
		return slices.Min(f.times) / slices.Min(base.times)
	}
	ratios := make([]float64, len(f.times))
	for i := range ratios {
		ratios[i] = f.times[i] / base.times[i]
	}
	return median(ratios)
}
