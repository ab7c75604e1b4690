//go:build unix

package integration_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// processorTime returns how long the process has used processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkStartGroups measures the processor time for each of many groups that
// three members, in one process, start one after the other until all are settled.
//
//	go test ./mosaik/integration -run - -bench StartGroups/groups=100 -benchtime 1x
func BenchmarkStartGroups(b *testing.B) {
	for _, groups := range []int{10, 100, 300, 500} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			for b.Loop() {
				id := mosaik.NetworkID(b.Name())
				var nets []*mosaik.Network
				var seeds []string
				for range 3 {
					n, err := mosaik.Open(b.Context(), id, mosaik.WithSeeds(seeds...), mosaik.WithLeaveTimeout(0))
					if err != nil {
						b.Fatal(err)
					}
					nets, seeds = append(nets, n), append(seeds, n.Addr().String())
				}
				for _, n := range nets {
					if err := n.Connected(soon(b)); err != nil {
						b.Fatal(err)
					}
				}
				before := processorTime(b)
				var all []tillGroup
				for range groups {
					key := mosaik.RandomKey()
					for _, n := range nets {
						g, err := mosaik.WithStateMachine(n.Groups().WithKey(key), newTill).
							WithMembership(consensus.Policy{Expected: 3}).Join(b.Context())
						if err != nil {
							b.Fatal(err)
						}
						all = append(all, g)
					}
				}
				for _, g := range all {
					if err := g.When().Settled(soon(b)); err != nil {
						b.Fatal(err)
					}
				}
				used := processorTime(b) - before
				b.ReportMetric(float64(used.Microseconds())/1000/float64(groups), "cpu-ms/group")
				for _, n := range nets {
					if err := n.Close(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
