package mosaik

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// tearDownTime bounds how long Close waits for the network's goroutines after its groups
// were left. They end within milliseconds unless user code or a disk does not return.
const tearDownTime = 5 * time.Second

// closeGroup ends this process's part in a group without leaving it.
func (n *Network) closeGroup(j *joined) {
	if err := j.core.Close(); err != nil {
		n.log.Error("a group has not ended", "group", j.id.Short(), "error", err)
	}
}

// tearDown stops everything that the network started. Its groups have been left before. If
// something still runs after tearDownTime, tearDown returns [ErrNotStopped], and a goroutine
// frees the rest when that ends.
func (n *Network) tearDown(groups []*joined, openings []*opening) error {
	late := time.NewTimer(tearDownTime)
	defer late.Stop()
	err := n.bonds.Close()

	engine := make(chan error, 1)
	go func() { engine <- n.engine.Close() }()
	rest := make(chan error, 1)
	select {
	case stopped := <-engine:
		err = errors.Join(err, stopped, n.link.Close())
		go func() { rest <- n.release(groups, openings) }()
	case <-late.C:
		// The engine waits for an Apply or a disk. Close the link now, to free the address.
		err = errors.Join(err, n.link.Close())
		go func() { rest <- errors.Join(<-engine, n.release(groups, openings)) }()
		return errors.Join(err, notStopped(groups, openings))
	}
	select {
	case released := <-rest:
		return errors.Join(err, released)
	case <-late.C:
		return errors.Join(err, notStopped(groups, openings))
	}
}

// release waits until the groups, and the joins that were opening others, have ended, and
// frees what they used.
func (n *Network) release(groups []*joined, openings []*opening) error {
	for _, o := range openings {
		<-o.done
	}
	for _, j := range groups {
		<-j.core.Done()
	}
	n.ending.Wait()
	return errors.Join(n.telemetry.close(), n.closeDir())
}

// notStopped returns the error that names the groups of which something still runs.
func notStopped(groups []*joined, openings []*opening) error {
	var running []string
	check := func(id sm.Digest, done <-chan struct{}) {
		select {
		case <-done:
		default:
			running = append(running, id.Short())
		}
	}
	for _, j := range groups {
		check(j.id, j.core.Done())
	}
	for _, o := range openings {
		check(o.id, o.done)
	}
	return fmt.Errorf("mosaik: close the network: %w after %v: groups %s: an Apply or a query of their "+
		"machines, or the disk of their logs, does not return",
		ErrNotStopped, tearDownTime, strings.Join(running, ", "))
}
