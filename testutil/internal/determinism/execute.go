package determinism

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Execution is what one instance did with a script.
type Execution struct {
	Process  string   // where it ran
	How      string   // in which way the commands were applied
	Outcomes []string // of each command up to the first one that panicked
	Panicked bool     // the last outcome is a panic
	Aliased  int      // the position of a result that changed after it was returned, or -1
	Now      string   // the text of that result at the end
	Failed   string   // a snapshot that could not be written or restored
	Saved    bool     // State is the snapshot at the end
	State    []byte
	Dump     string // the fields at the end; "" after a panic
}

// Execute applies the script in this process in every way in which a replica may come to apply
// it: command by command; as part of a replica that starts from snapshots; beside views of earlier
// states; in batches. The first way is taken twice, since one process has one value of each
// package variable.
func Execute(m Machine, s Script, process string) []Execution {
	r := rand.New(rand.NewPCG(s.Seed, uint64(len(s.Commands))))
	out := []Execution{run(m, s, "one by one", one), run(m, s, "one by one again", one)}
	if m.Snapshots {
		out = append(out, run(m, s, "", func(x *Execution, i Instance, c []Command) (Instance, []Outcome) {
			return restoring(m, r, x, i, c)
		}))
	}
	if m.Freezes {
		out = append(out, run(m, s, "beside frozen views", freezing()))
	}
	if m.Batches {
		out = append(out, run(m, s, "in batches", func(_ *Execution, i Instance, c []Command) (Instance, []Outcome) {
			return i, i.ApplyBatch(c[:1+r.IntN(len(c))])
		}))
	}
	for i := range out {
		out[i].Process = process
	}
	return out
}

// step applies at least one of the commands, perhaps to another instance with the same state,
// which it returns.
type step func(*Execution, Instance, []Command) (Instance, []Outcome)

func one(_ *Execution, i Instance, c []Command) (Instance, []Outcome) {
	return i, []Outcome{i.Apply(c[0])}
}

// restoring moves the state to a new instance before about every fourth command.
func restoring(m Machine, r *rand.Rand, x *Execution, i Instance, c []Command) (Instance, []Outcome) {
	if r.IntN(4) == 0 {
		if next, err := move(m, i); err != nil {
			x.Failed = err.Error()
		} else {
			i = next
			if x.How == "" {
				x.How = "restored from snapshots before commands"
			}
			x.How += fmt.Sprintf(" %d", len(x.Outcomes)+1)
		}
	}
	return one(x, i, c)
}

func move(m Machine, from Instance) (Instance, error) {
	snapshot, err := from.Snapshot()
	if err != nil {
		return nil, err
	}
	to := m.New()
	return to, to.Restore(snapshot)
}

func run(m Machine, s Script, how string, next step) Execution {
	x := Execution{How: how, Aliased: -1}
	i := m.New()
	var results []Outcome
	for rest := s.Commands; len(rest) > 0 && !x.Panicked; rest = s.Commands[len(results):] {
		var outcomes []Outcome
		if i, outcomes = next(&x, i, rest); len(outcomes) == 0 {
			break
		}
		for _, o := range outcomes {
			results = append(results, o)
			x.Outcomes = append(x.Outcomes, o.Text)
			x.Panicked = x.Panicked || o.Panicked
		}
	}
	if x.How == "" {
		x.How = "restored from no snapshot"
	}
	if x.Panicked {
		return x
	}
	x.Aliased = slices.IndexFunc(results, func(o Outcome) bool { return o.Again != nil && o.Again() != o.Text })
	if x.Aliased >= 0 {
		x.Now = results[x.Aliased].Again()
	}
	x.Dump = i.Dump()
	if m.Snapshots {
		var err error
		if x.State, err = i.Snapshot(); err != nil {
			x.Failed = err.Error()
		}
		x.Saved = err == nil
	}
	return x
}
