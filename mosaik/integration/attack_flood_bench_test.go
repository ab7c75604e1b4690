package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
)

// The parts of a round of BenchmarkFlood.
const (
	floodCallers = 2 // for each member
	floodCalm    = 2 * time.Second
	floodAttack  = 4 * time.Second
	floodAfter   = 4 * time.Second
	// floodBucket is the time in which commands are counted to see when the
	// group is calm again: as soon as two successive ones have 3/4 of the
	// commands of the calm group.
	floodBucket = 100 * time.Millisecond
)

// BenchmarkFlood measures a group of three in this process, calm, under each
// attack from another process, and afterwards: commands in a second and their
// 99th percentile, the largest memory, goroutines and descriptors, and how long
// it takes until the group is calm again. One iteration is one round of about 12
// seconds. The members and the attacker each have a processor to themselves:
//
//	taskset -c 0 go test ./mosaik/integration -run '^$' -bench Flood -benchtime 1x -count 3 -attackercpu 1
func BenchmarkFlood(b *testing.B) {
	for _, a := range attacks() {
		if *assailants > 0 {
			a.assailants = *assailants
		}
		b.Run(a.name, func(b *testing.B) {
			for b.Loop() {
				floodRound(b, a)
			}
			b.ReportMetric(0, "ns/op") // a round takes as long as its parts
		})
	}
}

func floodRound(b *testing.B, a attack) {
	g := besiege(b, a, func(int) []mosaik.Option { return nil })
	calm, gauge := calmBurden(), startGauge(b)
	l := startLoad(g)
	l.between(floodCalm / 2) // warm
	before := l.between(floodCalm)
	attacker := startAttacker(b, g.c, a, g.groups[0].ID())
	attacker.await("under way", func(r report) bool { return r.UnderWay })
	during := l.between(floodAttack)
	ended := time.Now()
	seen := attacker.stop()
	peak := gauge.peak()
	l.between(floodAfter)
	l.stop()

	b.Logf("calm %v, attack %v; burden calm %v, peak %v; attacker: %v; %d failed",
		before, during, calm, peak, seen, l.failed)
	b.ReportMetric(before.rate(), "calm-cmd/s")
	b.ReportMetric(during.rate(), "attack-cmd/s")
	b.ReportMetric(during.rate()/before.rate(), "ratio")
	b.ReportMetric(before.p99().Seconds()*1e3, "calm-p99-ms")
	b.ReportMetric(during.p99().Seconds()*1e3, "attack-p99-ms")
	b.ReportMetric(float64(peak.memory-min(peak.memory, calm.memory))/(1<<20), "MiB")
	b.ReportMetric(float64(peak.goroutines-calm.goroutines), "goroutines")
	b.ReportMetric(float64(peak.descriptors-calm.descriptors), "descriptors")
	b.ReportMetric(l.calmAgain(ended, before.rate()).Seconds(), "s-until-calm")
	if dials := seen.Counts["dials"]; dials > 0 {
		b.ReportMetric(float64(dials), "dials")
	}
}

// commanded is one command that was committed.
type commanded struct {
	at   time.Time // when it was
	took time.Duration
}

// load is callers that each execute one command after the other.
type load struct {
	end     context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	done    []commanded
	failed  int
}

func startLoad(g *besieged) *load {
	ctx, end := context.WithCancel(g.t.Context())
	l := &load{end: end}
	for _, group := range g.groups {
		for range floodCallers {
			l.running.Go(func() {
				for ctx.Err() == nil {
					begun := time.Now()
					_, err := mosaik.Execute(ctx, group, pay(1))
					now := time.Now()
					l.mu.Lock()
					if err == nil {
						l.done = append(l.done, commanded{now, now.Sub(begun)})
					} else if ctx.Err() == nil {
						l.failed++
					}
					l.mu.Unlock()
				}
			})
		}
	}
	g.t.Cleanup(l.stop)
	return l
}

func (l *load) stop() { l.end(); l.running.Wait() }

// between lets the load run for that long and returns what it did.
func (l *load) between(d time.Duration) span {
	begun := time.Now()
	time.Sleep(d) // a measurement of that length
	return l.since(begun, time.Now())
}

// span is what was done in a time.
type span struct {
	length time.Duration
	took   []time.Duration // ascending
}

func (l *load) since(from, to time.Time) span {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := span{length: to.Sub(from)}
	for _, c := range l.done {
		if !c.at.Before(from) && c.at.Before(to) {
			s.took = append(s.took, c.took)
		}
	}
	slices.Sort(s.took)
	return s
}

// rate returns the commands in a second.
func (s span) rate() float64 { return float64(len(s.took)) / s.length.Seconds() }

// p99 returns the 99th percentile, or the whole span if nothing was done.
func (s span) p99() time.Duration {
	if len(s.took) == 0 {
		return s.length
	}
	return s.took[len(s.took)*99/100]
}

func (s span) String() string { return fmt.Sprintf("%.0f/s, 99 %% in %v", s.rate(), s.p99()) }

// calmAgain returns how long after the end of an attack the load was at three
// quarters of the rate again, or floodAfter if it was not.
func (l *load) calmAgain(ended time.Time, rate float64) time.Duration {
	good := 0
	for from := time.Duration(0); from+floodBucket <= floodAfter; from += floodBucket {
		if l.since(ended.Add(from), ended.Add(from+floodBucket)).rate() < 0.75*rate {
			good = 0
			continue
		}
		if good++; good == 2 {
			return from - floodBucket
		}
	}
	return floodAfter
}
