package mosaik

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// tearDownTime bounds how long Close waits, once the groups were left, for what the
// network started. It takes milliseconds unless something does not return.
const tearDownTime = 5 * time.Second

// closeGroup ends this process's part in a group without leaving it.
func (n *Network) closeGroup(j *joined) {
	if err := j.core.Close(); err != nil {
		n.log.Error("a group has not ended", "group", j.id.Short(), "error", err)
	}
}

// tearDown ends everything that the network started, once its groups were left. It
// waits no longer than tearDownTime for what does not end, and then returns
// [ErrNotStopped].
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
		// The engine waits for an Apply or a disk. The address is free all the same.
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

// release waits until the groups, and the joins that were opening others, have ended,
// and gives back what they used.
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

// notStopped names the groups of which something still runs.
func notStopped(groups []*joined, openings []*opening) error {
	var running []string
	check := func(id GroupID, done <-chan struct{}) {
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
	return fmt.Errorf("mosaik: close the network: %w after %v: groups %s: an Apply or a query of their machines, "+
		"or the disk of their logs, does not return", ErrNotStopped, tearDownTime, strings.Join(running, ", "))
}
