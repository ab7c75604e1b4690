package integration_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// BenchmarkDistance issues commands at the leader of three members that are far
// from each other, whose callers think between two commands for up to a round
// trip. It reports how long they wait, in round trips:
//
//	go test ./mosaik/integration -run '^$' -bench Distance -benchtime 20000x
func BenchmarkDistance(b *testing.B) {
	for _, trip := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
		b.Run(fmt.Sprint(trip), func(b *testing.B) {
			c := testutil.NewCluster(b, 3)
			groups := make([]tillGroup, c.Len())
			for i := range groups {
				builder := c.Node(i).Builder().WithConsensusConfig(consensus.Config{})
				groups[i] = testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(builder, newTill).WithLogStorage(logstore.NewMemory[step]()))
			}
			testutil.Settle(b, groups...)
			leader := groups[c.NodeOf(groups[0].Status().Leader).Index()]
			for i := range c.Len() {
				for j := range i {
					c.Delay(i, j, trip/2)
				}
			}
			const callers = 256
			var mu sync.Mutex
			var waited []time.Duration
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						time.Sleep(rand.N(trip))
						began := time.Now()
						if _, err := mosaik.Execute(b.Context(), leader, pay(1)); err != nil {
							b.Error(err)
							return
						}
						took := time.Since(began)
						mu.Lock()
						waited = append(waited, took)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			if len(waited) == 0 {
				return
			}
			slices.Sort(waited)
			b.ReportMetric(float64(waited[len(waited)/2])/float64(trip), "trips-p50")
			b.ReportMetric(float64(waited[len(waited)*99/100])/float64(trip), "trips-p99")
			b.ReportMetric(float64(len(waited))/b.Elapsed().Seconds(), "commands/s")
		})
	}
}
