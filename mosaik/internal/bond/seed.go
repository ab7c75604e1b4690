package bond

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// maxSeedPause bounds the pause before a seed is tried again. A seed that comes back may
	// know no other peer, and bootstraps a group of its own unless it is dialled within the
	// bootstrap delay, 3 s by default. There are few seeds, so short pauses cost little.
	maxSeedPause = 2 * time.Second
	// settledSeedPause replaces maxSeedPause while a peer is connected and every address of
	// the seed leads to a connected peer or to this peer itself. A name is resolved again at
	// the end of each pause.
	settledSeedPause = 30 * time.Second
	// maxSeedAddrs bounds the addresses of one seed that are dialled in one round. If a name
	// has more, each round chooses some at random.
	maxSeedAddrs = 16
)

// seed is an address at which any peer may be: a configured address, whose host may be a name
// with many IP addresses, or the last known addresses of a peer (knownpeers.go). Its goroutine
// dials, in rounds, every address whose peer is not connected. An address that leads to this
// peer itself is tried again like one that fails: it may be a load balancer, or a name that
// will move to another machine.
type seed struct {
	m *Manager
	// name is the configured address, "" for a known peer.
	name string
	// list returns the addresses to dial. The seed ends when the error is errSeedOver.
	list   func(ctx context.Context) ([]string, error)
	check  func(addr string) link.Check // nil for no check
	pauses rate.Backoff

	// The seed's goroutine owns the fields below, except for peers.

	failures dialler.FailureLog
	failing  time.Time // when the seed began to fail, zero while it does not
	alarmed  bool      // the failure was logged as a warning
	settled  time.Time // when the seed became calm, zero while it is not

	// peers holds the peer that answered last at each address. The manager's mutex
	// guards it.
	peers map[string]sm.PeerID
}

// errSeedOver ends the goroutine of a seed that is no longer needed.
var errSeedOver = errors.New("the seed is no longer needed")

func (m *Manager) newSeed(name string, longest time.Duration) *seed {
	longest = max(m.cfg.Redial.Min, min(m.cfg.Redial.Max, longest))
	return &seed{
		m:      m,
		name:   name,
		list:   func(ctx context.Context) ([]string, error) { return m.cfg.Link.Resolve(ctx, name) },
		pauses: rate.NewBackoff(rate.Bounds{Min: m.cfg.Redial.Min, Max: longest}),
		peers:  map[string]sm.PeerID{},
	}
}

// run dials the seed until the manager closes or the seed is over. A custom dialer is given
// the name first. The addresses that the name resolves to are dialled if that leads to no
// other peer.
func (s *seed) run() {
	byName := s.name != "" && s.m.cfg.Link.DialsNames(s.name)
	for {
		var o roundResult
		if byName {
			o = s.round([]string{s.name})
		}
		if o.reached == 0 {
			addrs, err := s.addrs()
			switch {
			case errors.Is(err, errSeedOver):
				return
			case err != nil && !byName:
				o.errs = append(o.errs, err)
			}
			// If all addresses lead to a peer, the failure of the name does not count.
			if more := s.round(addrs); len(addrs) > 0 && more.good() {
				o = more
			} else {
				o.add(more)
			}
		}
		s.report(o)
		if !s.rest(o.good()) {
			return
		}
	}
}

// roundResult is the result of a round.
type roundResult struct {
	reached int     // addresses whose peers are connected
	errs    []error // of the others
}

func (o *roundResult) add(more roundResult) {
	o.reached += more.reached
	o.errs = append(o.errs, more.errs...)
}

// good reports whether every address led to a peer, this one included.
func (o roundResult) good() bool {
	return !slices.ContainsFunc(o.errs, func(err error) bool { return !errors.Is(err, link.ErrSelf) })
}

// addrs returns the addresses of the next round.
func (s *seed) addrs() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.m.cfg.HandshakeTimeout)
	defer cancel()
	s.m.mu.Lock()
	if s.m.closing {
		s.m.mu.Unlock()
		return nil, ErrClosed
	}
	s.m.dials[&cancel] = sm.PeerID{}
	s.m.mu.Unlock()
	addrs, err := s.list(ctx)
	s.m.mu.Lock()
	delete(s.m.dials, &cancel)
	s.m.mu.Unlock()
	if len(addrs) > maxSeedAddrs {
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		addrs = addrs[:maxSeedAddrs]
	}
	return addrs, err
}

// round dials the addresses whose peers are not connected. It dials the next one when one has
// ended or has taken [dialler.Stagger].
func (s *seed) round(addrs []string) (o roundResult) {
	var left []string
	left, o.reached = s.missing(addrs)
	ended := make(chan error, len(left))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for inFlight := 0; len(left) > 0 || inFlight > 0; {
		select {
		case <-timer.C:
			if len(left) > 0 {
				addr := left[0]
				left = left[1:]
				inFlight++
				s.m.running.Go(func() { s.dial(addr, ended) })
				timer.Reset(dialler.Stagger)
			}
		case err := <-ended:
			inFlight--
			if err == nil {
				o.reached++
			} else {
				o.errs = append(o.errs, err)
			}
			timer.Reset(0)
		case <-s.m.done:
			return o
		}
	}
	return o
}

// missing returns the addresses whose peers are not connected, and the number of the others. It
// drops what is known about addresses that the seed no longer has.
func (s *seed) missing(addrs []string) (missing []string, connected int) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for addr, peer := range s.peers {
		if !slices.Contains(addrs, addr) && !s.m.isConnected(peer) {
			delete(s.peers, addr)
		}
	}
	for _, addr := range addrs {
		if s.m.isConnected(s.peers[addr]) {
			connected++
		} else {
			missing = append(missing, addr)
		}
	}
	return missing, connected
}

// dial dials one address, sends the result to ended, and serves the connection.
func (s *seed) dial(addr string, ended chan<- error) {
	var check link.Check
	if s.check != nil {
		check = s.check(addr)
	}
	lc, err := s.m.dial(addr, sm.PeerID{}, check)
	if err == nil {
		s.m.mu.Lock()
		s.peers[addr] = lc.Peer()
		s.m.mu.Unlock()
	}
	ended <- err
	if err == nil {
		s.m.serve(lc)
	}
}

// rest waits until the next round. It is false if the manager closes first.
func (s *seed) rest(good bool) bool {
	m, now := s.m, time.Now()
	m.mu.Lock()
	disconnected := m.disconnected
	m.mu.Unlock()
	var timer *time.Timer
	if good && m.reach.peers() > 0 {
		if s.settled.IsZero() {
			s.settled = now
		}
		timer = time.NewTimer(s.pauses.PauseUpTo(max(settledSeedPause, s.pauses.Bounds().Max)))
	} else {
		s.settled = time.Time{}
		timer = time.NewTimer(s.pauses.Pause())
	}
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-m.done:
			return false
		case <-disconnected:
		}
		m.mu.Lock()
		disconnected = m.disconnected
		lost := s.lost()
		m.mu.Unlock()
		if !s.settled.IsZero() && (lost || m.reach.peers() == 0) {
			s.pauses.Succeeded(time.Since(s.settled))
			s.settled = time.Time{}
			timer.Reset(s.pauses.Pause())
		}
	}
}

// lost reports whether a peer that answered at an address of the seed is not
// connected. The caller holds the mutex.
func (s *seed) lost() bool {
	for _, peer := range s.peers {
		if !s.m.isConnected(peer) {
			return true
		}
	}
	return false
}

// report records and logs the result of a round.
func (s *seed) report(o roundResult) {
	if s.name == "" {
		return
	}
	err := errors.Join(o.errs...)
	if o.reached > 0 {
		err = nil
	}
	s.m.reach.seed(s.name, err)
	if o.good() {
		err = nil // a peer's own address is often among its seeds
	}
	now := time.Now()
	changed := s.failures.Changed(unlessClosed(err))
	switch {
	case err == nil:
		s.failing, s.alarmed = time.Time{}, false
		return
	case s.failing.IsZero():
		s.failing = now
	}
	alarm := isLasting(err) || now.Sub(s.failing) >= dialler.AlarmAfter
	switch {
	case alarm && (changed || !s.alarmed):
		s.alarmed = true
		s.m.cfg.Logger.Warn("cannot reach seed", "seed", s.name, "error", err)
	case changed:
		s.m.cfg.Logger.Info("cannot reach seed", "seed", s.name, "error", err)
	}
}

// isLasting reports whether the error of a dial shows that a retry is useless until an operator
// changes something.
func isLasting(err error) bool {
	refused := new(consensus.RefusedError)
	return errors.As(err, &refused) && (refused.Code == consensus.CodeOtherNetwork || refused.Code == consensus.CodeUndecodable)
}

// isConnected reports whether there is a connection to the peer. The caller holds
// the mutex.
func (m *Manager) isConnected(id sm.PeerID) bool {
	p := m.peers[id]
	return p != nil && len(p.conns) > 0
}

// unlessClosed returns the error, or nil if it is the end of the manager, which is not a
// failure.
func unlessClosed(err error) error {
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}
