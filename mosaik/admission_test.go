package mosaik

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// obedient does what the ticket says.
type obedient struct {
	release chan struct{} // ends hanging
	watched chan func()   // receives what Watch gets, if it is not nil
}

func (obedient) Class() sm.Digest     { return sm.ID("obedient") }
func (obedient) Signature() sm.Digest { return sm.ID("obedient") }
func (o obedient) Validate(now time.Time, _ sm.PeerID, t ticket.Ticket) (time.Time, error) {
	switch string(t.Data) {
	case "hang":
		<-o.release
	case "dawdle":
		time.Sleep(examTime - 1) // of the bubble
	case "panic":
		panic("out of order")
	case "end":
		runtime.Goexit()
	case "refuse":
		return time.Time{}, errors.New("not today")
	case "hour":
		return now.Add(time.Hour), nil
	}
	return time.Time{}, nil
}

func (o obedient) Watch(f func()) (stop func()) {
	o.watched <- f
	return func() { o.watched <- nil }
}

// exams is an examiner with what it was told to do and what it told.
type exams struct {
	*examiner
	t        *testing.T
	release  chan struct{}
	shown    sync.Map // text by peer
	start    time.Time
	verdicts []string
}

func newExams(t *testing.T) *exams {
	e := &exams{t: t, release: make(chan struct{}), start: time.Now()}
	e.examiner = &examiner{
		validators: []ticket.Validator{obedient{release: e.release}},
		tickets: func(peer sm.PeerID) ([]ticket.Ticket, bool) {
			text, known := e.shown.Load(peer)
			return []ticket.Ticket{{Class: sm.ID("obedient"), Data: fmt.Append(nil, text)}}, known
		},
		log:   slog.New(slog.DiscardHandler),
		exams: map[sm.PeerID]*exam{},
	}
	return e
}

// ask asks about a peer that shows a ticket; the verdict carries the label.
func (e *exams) ask(label string, peer byte, purpose group.Purpose, shown string) {
	e.shown.Store(sm.PeerID{peer}, shown)
	e.Admit(sm.PeerID{peer}, purpose, func(code consensus.CloseCode, expiry time.Time) { // the examiner's mutex guards this
		text := fmt.Sprintf("%s: %v after %v", label, code, time.Since(e.start))
		if !expiry.IsZero() {
			text += fmt.Sprintf(", until %v", expiry.Sub(e.start))
		}
		e.verdicts = append(e.verdicts, text)
	})
}

// want waits until nothing moves and compares the verdicts since the last time.
func (e *exams) want(verdicts ...string) {
	e.t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if diff := cmp.Diff(verdicts, e.verdicts); diff != "" {
		e.t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	e.verdicts = nil
}

func TestExamVerdicts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newExams(t)
		for shown, want := range map[string]string{
			"":       "x: accepted after 0s",
			"hour":   "x: accepted after 0s, until 1h0m0s",
			"refuse": "x: ticket refused after 0s",
			"panic":  "x: ticket refused after 0s",
			"end":    "x: ticket refused after 0s",
		} {
			e.ask("x", 1, group.Handshake, shown)
			e.want(want)
		}
		e.Admit(sm.PeerID{9}, group.Review, func(code consensus.CloseCode, _ time.Time) {
			if code != consensus.CodeUnknownPeer {
				t.Errorf("a peer without an entry: %v", code)
			}
			e.verdicts = append(e.verdicts, "unknown")
		})
		e.want("unknown")
		e.Close()
	})
}

// A validator that hangs on one peer refuses that peer and nothing more, until
// it returns.
func TestExamThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newExams(t)
		e.ask("hanging", 1, group.Handshake, "hang")
		e.ask("review", 1, group.Review, "hang")
		e.ask("other", 2, group.Handshake, "hour")
		e.want("other: accepted after 0s, until 1h0m0s")
		time.Sleep(examTime)
		e.want("hanging: ticket refused after 1s", "review: ticket refused after 1s")
		e.ask("again", 1, group.Handshake, "hour")
		e.want("again: ticket refused after 1s")

		close(e.release)
		e.want()
		e.ask("after it returned", 1, group.Handshake, "")
		e.want("after it returned: accepted after 1s")
		e.Close()
	})
}

// A refusal of tickets that are not shown any more does not count, a bounded
// number of times.
func TestExamOfReplacedTickets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for replaced, want := range map[int]string{1: "x: accepted after 0s", maxTries - 1: "x: accepted after 0s", maxTries: "x: ticket refused after 0s"} {
			e := newExams(t)
			looks := 0
			e.tickets = func(sm.PeerID) ([]ticket.Ticket, bool) {
				if looks++; looks > replaced {
					return []ticket.Ticket{{Class: sm.ID("obedient")}}, true
				}
				return []ticket.Ticket{{Class: sm.ID("obedient"), Data: []byte("refuse")}, {Class: sm.ID("other"), Data: []byte{byte(looks)}}}, true
			}
			e.ask("x", 1, group.Review, "")
			e.want(want)
			e.Close()
		}
	})
}

// Who asks while the peer is examined gets another look, since its tickets may
// have changed; nobody's verdict overtakes an earlier one.
func TestExamAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newExams(t)
		e.ask("first", 1, group.Review, "dawdle")
		synctest.Wait()
		e.ask("replaced", 1, group.Review, "hour")
		e.ask("third", 1, group.Review, "refuse")
		e.ask("handshake", 1, group.Handshake, "refuse")
		time.Sleep(examTime)
		e.want("first: accepted after 999.999999ms", "handshake: ticket refused after 999.999999ms", "third: ticket refused after 999.999999ms")
		e.Close()
	})
}

// More peers than there is room for wait for their turn, and when there is no
// hope of one are refused.
func TestExamsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newExams(t)
		for i := range maxExams {
			e.ask("dawdling", byte(i), group.Handshake, "dawdle")
		}
		e.ask("replaced", maxExams, group.Handshake, "hour")
		e.ask("waiting", maxExams, group.Handshake, "refuse")
		e.want()
		time.Sleep(examTime - 1)
		synctest.Wait()
		if len(e.verdicts) != maxExams+1 || !slices.Contains(e.verdicts, "waiting: ticket refused after 999.999999ms") {
			t.Errorf("the verdicts are %q", e.verdicts)
		}

		e.verdicts = nil
		for i := range maxExams {
			e.ask("hanging", byte(i), group.Handshake, "hang")
		}
		e.ask("hopeless", maxExams, group.Handshake, "")
		e.want()
		time.Sleep(examTime)
		synctest.Wait()
		if len(e.verdicts) != maxExams+1 || !slices.Contains(e.verdicts, "hopeless: ticket refused after 1.999999999s") {
			t.Errorf("the verdicts are %q", e.verdicts)
		}
		e.verdicts = nil
		e.ask("one more", maxExams, group.Handshake, "")
		e.want("one more: ticket refused after 1.999999999s")
		close(e.release)
		synctest.Wait()
		e.ask("after they returned", maxExams, group.Handshake, "")
		e.want("after they returned: accepted after 1.999999999s")
		for i := range maxExams + 1 {
			e.ask("there is room again", byte(i), group.Handshake, "dawdle")
		}
		time.Sleep(2 * examTime)
		synctest.Wait()
		if len(e.verdicts) != maxExams+1 || slices.ContainsFunc(e.verdicts, func(v string) bool { return strings.Contains(v, "refused") }) {
			t.Errorf("the verdicts are %q", e.verdicts)
		}
		e.Close()
	})
}

func TestExaminerCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newExams(t)
		e.ask("dawdling", 1, group.Handshake, "dawdle")
		e.ask("hanging", 2, group.Handshake, "hang")
		synctest.Wait()
		e.ask("dawdling again", 1, group.Handshake, "")
		e.Close() // waits for the one, and for the other until it is overdue
		if waited := time.Since(e.start); waited != examTime {
			t.Errorf("Close took %v, want %v", waited, examTime)
		}
		e.ask("too late", 3, group.Handshake, "")
		e.want("dawdling: accepted after 999.999999ms", "hanging: ticket refused after 1s")
		e.Close()
		close(e.release)
	})
}

// Whoever waits for a turn when the group ends gets none.
func TestExaminerClosesWithAQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newExams(t)
		for i := range maxExams {
			e.ask("hanging", byte(i), group.Handshake, "hang")
		}
		e.ask("waiting", maxExams, group.Handshake, "")
		e.Close()
		e.want(slices.Repeat([]string{"hanging: ticket refused after 1s"}, maxExams)...)
		close(e.release)
		e.want()
	})
}

func TestExaminerWatches(t *testing.T) {
	t.Parallel()
	watched := make(chan func(), 3)
	e := newExams(t)
	e.validators = []ticket.Validator{signedBy("not watchable"), obedient{watched: watched}}
	changes := 0
	e.watch(func() { changes++ })
	(<-watched)()
	if changes != 2 {
		t.Errorf("%d changes, want one for what was before and one since", changes)
	}
	e.Close()
	if stopped := <-watched; stopped != nil {
		t.Error("watched again instead of stopped")
	}
	e.watch(func() {}) // the group ended while it was joined
	<-watched
	if stopped := <-watched; stopped != nil {
		t.Error("watched for good after Close")
	}
}
