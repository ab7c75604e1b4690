package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestTmpStalls(t *testing.T) {
	if os.Getenv("TMP") != "stalls" {
		t.Skip()
	}
	for r := 0; r < 2; r++ {
		for _, s := range systems()[:2] {
			for _, rd := range []bool{false, true} {
				c, err := s.open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l, _ := awaitLeader(t.Context(), c)
				call := c.execute(l)
				if rd {
					call = c.read(l)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				begin := time.Now()
				var slow []time.Duration
				n := 0
				var max time.Duration
				for time.Since(begin) < 6*time.Second {
					a := time.Now()
					if err := call(ctx); err != nil {
						t.Fatal(err)
					}
					d := time.Since(a)
					n++
					if d > max {
						max = d
					}
					if d > 30*time.Millisecond {
						slow = append(slow, d.Round(time.Millisecond))
					}
				}
				cancel()
				fmt.Println(s.name, "read", rd, "calls", n, "max", max, "slow", slow)
				c.close()
			}
		}
	}
}

func TestTmpGap(t *testing.T) {
	if os.Getenv("TMP") != "gap" {
		t.Skip()
	}
	fwd := func(d time.Duration) timing { x := fastTiming(); x.config = x.config.WithForwardTimeout(d); x.name += " fwd " + d.String(); return x }
	for _, tm := range []timing{fwd(200 * time.Millisecond), fwd(2 * time.Second)} {
		for r := 0; r < 5; r++ {
			c, err := openMosaik(t.Context(), tm)
			if err != nil {
				t.Fatal(err)
			}
			leader, _ := awaitLeader(t.Context(), c)
			g := c.members[(leader+1)%members].group
			w := newWriter(g)
			go w.run(t.Context())
			<-w.flowing
			began := time.Now()
			lead := make(chan time.Duration, 1)
			bond := make(chan time.Duration, 1)
			go func() {
				old := c.members[leader].net.Self()
				for l := range g.When().Leaders(t.Context()) {
					if !l.IsZero() && l != old {
						lead <- time.Since(began)
						return
					}
				}
			}()
			_ = bond
			c.members[leader].net.Close()
			closed := time.Since(began)
			w.crashed.Store(true)
			at := <-w.acknowledged
			fmt.Println(tm.name, "closed", closed.Round(time.Millisecond), "new leader", (<-lead).Round(time.Millisecond), "ack", at.Sub(began).Round(time.Millisecond))
			c.close()
		}
	}
}
