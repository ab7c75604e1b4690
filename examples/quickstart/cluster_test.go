package main

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// The leader of three processes is killed while another node deposits. Every
// acknowledged deposit must be applied exactly once.
func TestKilledLeaderUnderLoad(t *testing.T) {
	t.Parallel()
	ada := start(t, "ada", "-listen", "127.0.0.1:0")
	seed := ada.next(`^listening on (\S+) as peer`)[1]
	nodes := []*process{ada, start(t, "ben", "-seed", seed), start(t, "cleo", "-seed", seed)}
	for _, p := range nodes {
		p.next(`^\* the group has settled: 3 members$`)
	}
	ada.send("leader")
	name := ada.next(`^(\w+) \(.*\) leads$`)[1]
	var leader *process
	var rest []*process
	for _, p := range nodes {
		if p.name == name {
			leader = p
		} else {
			rest = append(rest, p)
		}
	}

	acknowledged, unknown := deposits(t, rest[0], leader.kill)
	for _, p := range rest {
		p.send("balance alice")
		balance := number(t, p.next(`^alice holds (\d+), as of command \d+ \(strong\)$`)[1])
		if balance < acknowledged || balance > acknowledged+unknown {
			t.Errorf("%s: alice holds %d after %d acknowledged deposits of 1 and %d of unknown outcome",
				p.name, balance, acknowledged, unknown)
		}
	}
	rest[0].quit()
}

func TestInterruptedNodeLeaves(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be interrupted by another on Windows")
	}
	p := start(t, "ada", "-listen", "127.0.0.1:0", "-members", "1")
	p.next(`^\* ada \(this node\) leads$`)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.next(`^left the group$`)
	p.end()
}

// deposits makes a node deposit 1 repeatedly and calls kill in between. It continues
// until deposits that began after the kill are acknowledged, and counts them.
func deposits(t *testing.T, p *process, kill func()) (acknowledged, unknown int) {
	t.Helper()
	const (
		before = 100 // acknowledged before the kill
		after  = 100 // acknowledged after it
		ahead  = 8   // typed but not answered yet
	)
	room := make(chan struct{}, ahead)
	stopped := make(chan struct{})
	stop := sync.OnceFunc(func() { close(stopped) })
	var typing sync.WaitGroup
	typing.Go(func() {
		defer p.send("help") // its answer ends the count
		for {
			select {
			case room <- struct{}{}:
				p.send("deposit alice 1")
			case <-stopped:
				return
			}
		}
	})
	defer typing.Wait()
	defer stop()
	last, killed := 0, false
	for {
		line := p.next(`^(?:alice holds (\d+)|(unknown|error): .*|  quit .*)$`)
		switch {
		case line[1] != "":
			balance := number(t, line[1])
			if balance <= last {
				t.Errorf("alice holds %d after she held %d", balance, last)
			}
			last = balance
			acknowledged++
		case line[2] == "unknown":
			unknown++
			t.Log(line[0])
		case line[2] == "error":
			t.Log(line[0])
		default:
			return acknowledged, unknown
		}
		<-room
		switch {
		case !killed && acknowledged == before:
			kill()
			killed = true
		case acknowledged == before+ahead+after:
			stop()
		}
	}
}

func number(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
