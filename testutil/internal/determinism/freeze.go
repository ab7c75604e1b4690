package determinism

import (
	"bytes"
	"fmt"
)

// frozen is a view of a machine that is written after further commands.
type frozen struct {
	before   int    // the position of the command before which it was frozen
	snapshot []byte // what Snapshot wrote at that moment
	write    func() ([]byte, error)
}

// freezing returns a step that freezes the state before each command. After the last command it
// writes the views, which must be what Snapshot wrote when they were frozen.
func freezing() step {
	var views []frozen
	return func(x *Execution, i Instance, c []Command) (Instance, []Outcome) {
		if x.Failed == "" {
			view, err := freeze(i, len(x.Outcomes))
			if err != nil {
				x.Failed = err.Error()
			} else {
				views = append(views, view)
			}
		}
		i, outcomes := one(x, i, c)
		if len(c) == 1 && x.Failed == "" {
			for _, v := range views {
				if err := v.check(); err != nil {
					x.Failed = err.Error()
					break
				}
			}
		}
		return i, outcomes
	}
}

func freeze(i Instance, before int) (frozen, error) {
	snapshot, err := i.Snapshot()
	if err != nil {
		return frozen{}, err
	}
	write, err := i.Freeze()
	return frozen{before, snapshot, write}, err
}

func (f *frozen) check() error {
	got, err := f.write()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, f.snapshot) {
		return fmt.Errorf("the view that was frozen before command %d wrote other bytes (%d) after later commands than Snapshot did at that moment (%d): Freeze must copy what commands change",
			f.before+1, len(got), len(f.snapshot))
	}
	return nil
}
