package fault

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// Two pipes share a lane: together they carry what it carries, and each of them some of
// it. Once the lane has no bound, what waits for it passes at once.
func TestPipesShareALane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate, each = 10_000, 5_000
		shared := &lane{rate: rate}
		pipes := []*pipe{newPipe(false, func(int) {}), newPipe(false, func(int) {})}
		began := time.Now()
		var took [2]time.Duration
		for i, p := range pipes {
			p.lane = shared
			if _, err := p.write(make([]byte, each), nil); err != nil {
				t.Fatal(err)
			}
			p.end(io.EOF)
			go func() {
				for n, err := 0, error(nil); err == nil; {
					n, err = p.read(make([]byte, each), nil)
					if n > rate/100 {
						t.Errorf("pipe %d carries %d bytes in one turn, want %d at most", i, n, rate/100)
					}
				}
				took[i] = time.Since(began)
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		first, second := min(took[0], took[1]), max(took[0], took[1])
		if want := 2 * each * time.Second / rate; second < want-turn || second > want+turn {
			t.Errorf("%d bytes passed after %v, want %v", 2*each, second, want)
		}
		// Chance decides whose turn it is. A pipe that had the lane for itself would end after half
		// of the time.
		if first < second*11/20 {
			t.Errorf("one pipe had the lane for itself: they ended after %v and %v", first, second)
		}
	})
}

func TestLimitedLink(t *testing.T) {
	t.Parallel()
	w := newTown(t, 3)
	w.web.Limit(0, 1, 1)
	dialled, accepted := w.connect(0, 1)
	other, otherAccepted := w.connect(0, 2)
	send(t, dialled, "ping")
	send(t, accepted, "pong") // that direction has no bound
	send(t, other, "ping")
	wantText(t, dialled, "pong")
	wantText(t, otherAccepted, "ping")
	wantText(t, accepted, "p")
	wantSilence(t, accepted)
	w.web.Limit(0, 1, 0)
	wantText(t, accepted, "ing")
}
