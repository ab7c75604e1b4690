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
	var b strings.Builder
	for i, command := range commandNames {
		fmt.Fprintf(&b, "\n| %s | bytes | encode ns | / hand-written | vm sorted / | B | allocs | decode ns | / hand-written | vm Unmarshal / | B | allocs |\n", command)
		b.WriteString("|---|" + strings.Repeat("--:|", 11) + "\n")
		for p := range r.peers {
			of := &r.results[p][i]
			fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", r.peers[p].name, of.encoded,
				r.cells(of.encode, r.of(nameHand, i).encode, r.of(nameSorted, i).encode),
				r.cells(of.decode, r.of(nameHand, i).decode, r.of(namePlain, i).decode))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// summaryNames are the columns of the summary.
var summaryNames = [...]string{nameHand, nameGenerated, nameMsgp, namePlain}

// summary writes one table of the nanoseconds that encoding and decoding take.
// vmihailenco/msgpack stands there as the ratios of the other tables compare with
// it: with sorted maps when it encodes.
func (r report) summary(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\n| encode / decode, ns | " + strings.Join(summaryNames[:], " | ") + " (sorted maps / Unmarshal) |\n|" + strings.Repeat("---|", 1+len(summaryNames)) + "\n")
	for i, contents := range commandContents {
		b.WriteString("| " + contents)
		for _, name := range summaryNames {
			encoder := name
			if name == namePlain {
				encoder = nameSorted
			}
			fmt.Fprintf(&b, " | %s / %s", short(r.time(r.of(encoder, i).encode)), short(r.time(r.of(name, i).decode)))
		}
		b.WriteString(" |\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// short returns a time with two digits at least.
func short(time float64) string {
	if time < 9.95 {
		return fmt.Sprintf("%.1f", time)
	}
	return fmt.Sprintf("%.0f", time)
}

// of returns what the named codec costs on command i; it is empty when that was
// not measured.
func (r report) of(name string, i int) *result {
	at := slices.IndexFunc(r.peers, func(p peer) bool { return p.name == name })
	if at < 0 {
		return &result{}
	}
	return &r.results[at][i]
}

func (r report) cells(f, hand, vm figures) string {
	return fmt.Sprintf("%.4g | %.2f | %.1f | %.0f | %.0f", r.time(f), r.ratio(f, hand), r.ratio(vm, f), f.bytes, f.allocs)
}

// time returns nanoseconds per call, 0 when none were measured.
func (r report) time(f figures) float64 {
	if len(f.times) == 0 {
		return 0
	}
	if r.fastest {
		return slices.Min(f.times)
	}
	return median(f.times)
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
