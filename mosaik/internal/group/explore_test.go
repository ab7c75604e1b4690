package group

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var exploreDeviations = flag.Int("explore", 1, "how often histories in TestExplore deviate from the fair one")

// TestExplore explores the histories of three members that form a group. Members crash and lose
// their logs, return as the same or as another peer, or end with a goodbye, and messages are late.
// In the fair history, everything that can happen happens in turn. The test follows every history
// that deviates from it a few times, by another event or a fault, and long random histories. Both
// begin with the start of all members, and with a group that has formed.
//
// It checks three properties. If the number of members is expected, no second epoch opens while the
// first can still commit. No epoch that holds a command is ended. From every state, once faults
// end, the members come together, unless an epoch that opened has lost most of its voters for good,
// for which there is [Group.Recover].
//
//	go test ./mosaik/internal/group -run TestExplore -explore 3 -v
func TestExplore(t *testing.T) {
	deviations, walks := *exploreDeviations, 50
	if testing.Short() {
		walks = 10
	}
	for _, expected := range []int{2, 3} {
		for _, crashes := range []uint8{1, 2} {
			for _, elects := range []bool{false, true} {
				t.Run(fmt.Sprintf("expected %d, %d crashes, elects %v", expected, crashes, elects), func(t *testing.T) {
					t.Parallel()
					formed := newSearch(t, expected, crashes, elects).formed()
					newSearch(t, expected, crashes, elects).deviate(newWorld(), deviations)
					newSearch(t, expected, crashes, elects).walk(newWorld(), walks, 150)
					// Fewer events are possible here.
					newSearch(t, expected, crashes, elects).deviate(formed, deviations+1)
					newSearch(t, expected, crashes, elects).walk(formed, walks, 150)
				})
			}
		}
	}
}

// search follows histories and records how it reached each state.
type search struct {
	t    *testing.T
	x    *explorer
	from map[world]origin
	left map[world]int // the largest number of deviations that were left in the state
}

type origin struct {
	before world
	step   step
}

func newSearch(t *testing.T, expected int, crashes uint8, elects bool) *search {
	return &search{t, newExplorer(expected, crashes, elects), map[world]origin{}, map[world]int{}}
}

// newWorld returns the world in which all members have just started.
func newWorld() (w world) {
	for p := range w.members {
		w.members[p] = modelMember{up: true, process: 1, life: 1}
	}
	return w
}

// formed returns the world in which the members have come together.
func (s *search) formed() world {
	w := newWorld()
	for {
		steps, faults := s.x.steps(&w)
		next := s.x.fair(steps[:faults])
		if next < 0 {
			return w
		}
		w = steps[next].then
	}
}

// deviate follows every history that deviates from the fair one at most n times.
func (s *search) deviate(w world, n int) {
	s.left[w] = n
	queue, ends := []world{w}, 0
	for len(queue) > 0 {
		w := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		left := s.left[w]
		steps, faults := s.x.steps(&w)
		next := s.x.fair(steps[:faults])
		if next < 0 {
			ends++
			s.wantTogether(w)
		}
		for i, step := range steps {
			remain := left
			if i != next {
				remain--
			}
			if was, seen := s.left[step.then]; remain < 0 || seen && was >= remain {
				continue
			} else if !seen {
				s.from[step.then] = origin{w, step}
			}
			s.left[step.then] = remain
			queue = append(queue, step.then)
			s.check(step.then)
		}
		s.check(w)
	}
	s.t.Logf("%d states, %d of them ends, with at most %d deviations; %d steps not followed", len(s.left), ends, n, s.x.cut)
}

// walk follows histories of random steps, and then the fair one to its end.
func (s *search) walk(begin world, histories, steps int) {
	for seed := range histories {
		draw := rand.New(rand.NewPCG(uint64(seed), 0))
		w := begin
		clear(s.from)
		for n := 0; ; n++ {
			all, faults := s.x.steps(&w)
			next := s.x.fair(all[:faults])
			if next < 0 || n > 10*steps {
				break
			}
			switch {
			case n >= steps:
			case len(all) > faults && draw.IntN(15) == 0:
				next = faults + draw.IntN(len(all)-faults)
			default:
				next = draw.IntN(faults)
			}
			if _, seen := s.from[all[next].then]; !seen {
				s.from[all[next].then] = origin{w, all[next]}
			}
			w = all[next].then
			s.check(w)
		}
		s.wantTogether(w)
	}
}

// fair returns the index of the next step of the fair history: messages come before decisions, and
// timeouts last. It returns -1 if no step is left.
func (x *explorer) fair(steps []step) int {
	patience := -1
	for i := range steps {
		switch what := steps[i].what; {
		case strings.Contains(what, "a command"): // it may never happen
		case strings.Contains(what, "miss"), strings.Contains(what, "gives up its epoch"), strings.Contains(what, "delay"):
			if patience < 0 {
				patience = i
			}
		default:
			return i
		}
	}
	return patience
}

func (s *search) check(w world) {
	if s.x.broken != "" {
		s.t.Fatalf("%s:\n%s", s.x.broken, s.history(w))
	}
}

func (s *search) wantTogether(w world) {
	if why := s.x.unsettled(&w); why != "" {
		s.t.Fatalf("%s:\n%s\n%+v", why, s.history(w), w)
	}
}

// history lists the steps to a world.
func (s *search) history(w world) string {
	var steps []string
	for o := s.from[w]; o.step.what != "" && len(steps) < 500; o = s.from[o.before] {
		steps = append([]string{o.step.String()}, steps...)
	}
	return strings.Join(steps, "\n")
}

// unsettled describes why the members are not together at the end of a history, "" if they
// are or need not be.
func (x *explorer) unsettled(w *world) string {
	if int(w.made) == modelEpochs {
		return "" // the history may have been cut short
	}
	for e := range int(w.made) {
		if w.all(e).opened && w.gone(e) || w.epochs[e].size == modelEntries {
			return ""
		}
	}
	for p := range w.members {
		if w.members[p].life >= modelLives {
			return ""
		}
	}
	in := w.members[0].in
	if in == 0 {
		return "member 0 is in no epoch"
	}
	if !w.all(int(in) - 1).opened {
		return fmt.Sprintf("epoch %d is not open", in-1)
	}
	for p := range w.members {
		if m := &w.members[p]; m.in != in || !m.caughtUp {
			return fmt.Sprintf("member %d is not in epoch %d, or has not caught up", p, in-1)
		}
	}
	return ""
}
