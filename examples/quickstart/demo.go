package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// member is one of the three nodes. Its private key outlives its network, so it restarts
// as the same peer.
type member struct {
	name  string
	key   ed25519.PrivateKey
	net   *mosaik.Network
	group *group
}

// show is a running demonstration.
type show struct {
	*timeline
	key     mosaik.GroupKey
	members []*member
}

// demo runs three nodes in this process, prints what happens to them, and returns the
// accounts of each node at the end, by its name.
func demo(ctx context.Context, out io.Writer) (_ map[string][]ledger.Account, err error) {
	s := &show{timeline: newTimeline(out), key: mosaik.RandomKey()}
	for _, name := range []string{"ada", "ben", "cleo"} {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		s.members = append(s.members, &member{name: name, key: key})
	}
	defer func() {
		for _, m := range s.members {
			err = errors.Join(err, m.stop())
		}
	}()

	if err := s.form(ctx); err != nil {
		return nil, err
	}
	if err := s.work(ctx); err != nil {
		return nil, err
	}
	killed, err := s.crash(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.comeBack(ctx, killed); err != nil {
		return nil, err
	}
	return s.compare(ctx)
}

// form starts the nodes and waits until they have formed a group.
func (s *show) form(ctx context.Context) error {
	s.chapter("Three nodes that share a key find each other and form a group.")
	for _, m := range s.members {
		if err := s.run(ctx, m); err != nil {
			return err
		}
	}
	for _, m := range s.members {
		if err := m.group.When().Settled(ctx); err != nil {
			return err
		}
	}
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	s.say("all", "group %s has settled, %s leads", leader.group.ID().Short(), leader.name)
	return nil
}

// work executes commands and queries on every node.
func (s *show) work(ctx context.Context) error {
	s.chapter("Every node takes commands; each gets its own typed result.")
	for i, m := range s.members {
		if err := s.deposit(ctx, m, "alice", int64(100*(i+1))); err != nil {
			return err
		}
	}
	leader, err := s.leader(ctx)
	if err != nil {
		return err
	}
	m := s.others(leader)[0]
	after, err := mosaik.Execute(ctx, m.group, ledger.Transfer{From: "alice", To: "bob", Amount: 250})
	if err != nil {
		return err
	}
	s.say(m.name, "moves 250 from alice to bob: they hold %d and %d", after.Value.From, after.Value.To)
	_, err = mosaik.Execute(ctx, m.group, ledger.Transfer{From: "alice", To: "bob", Amount: 1000})
	if !errors.Is(err, ledger.ErrInsufficient) {
		return fmt.Errorf("a transfer of too much: %v, want %v", err, ledger.ErrInsufficient)
	}
	s.say(m.name, "is refused a transfer of 1000: %v", err)

	s.chapter("Strong reads see all that was acknowledged anywhere; weak ones what the node has applied.")
	for _, c := range []mosaik.Consistency{mosaik.Strong, mosaik.Weak} {
		answer, err := mosaik.Query(ctx, m.group, ledger.Balance{Account: "bob"}, c)
		if err != nil {
			return err
		}
		s.say(m.name, "%-6v read: bob holds %d, as of command %d", c, answer.Value, answer.Index)
	}
	return nil
}

// crash kills the leader, waits until the others have a new one, and returns the killed
// node.
func (s *show) crash(ctx context.Context) (*member, error) {
	s.chapter("The leader is killed; the others elect a new one and lose nothing.")
	old, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	survivor, peer, killed := s.others(old)[0], old.net.Self(), time.Now()
	if err := old.stop(); err != nil {
		return nil, err
	}
	s.say(old.name, "is gone, without a goodbye")
	status, err := survivor.group.When().Until(ctx, func(status consensus.Status) bool {
		return status.Leader != peer && s.find(status.Leader) != nil
	})
	if err != nil {
		return nil, err
	}
	s.say(survivor.name, "sees that %s leads now", s.find(status.Leader).name)
	if err := s.deposit(ctx, survivor, "bob", 50); err != nil {
		return nil, err
	}
	s.say("all", "the crash blocked commands for %d ms", time.Since(killed).Milliseconds())
	return old, nil
}

// comeBack restarts a killed node.
func (s *show) comeBack(ctx context.Context, m *member) error {
	s.chapter("The killed node returns with an empty memory and catches up.")
	if err := s.run(ctx, m); err != nil {
		return err
	}
	for _, m := range s.members {
		if err := m.group.When().Settled(ctx); err != nil {
			return err
		}
	}
	s.say(m.name, "has caught up; the group has settled again")
	return s.deposit(ctx, m, "carol", 7)
}

// compare reads all accounts on every node.
func (s *show) compare(ctx context.Context) (map[string][]ledger.Account, error) {
	s.chapter("Every balance agrees.")
	last, err := mosaik.Query(ctx, s.members[0].group, ledger.Accounts{}, mosaik.Strong)
	if err != nil {
		return nil, err
	}
	held := map[string][]ledger.Account{}
	for _, m := range s.members {
		if err := m.group.When().Applied(ctx, last.Index); err != nil {
			return nil, err
		}
		own, err := mosaik.Query(ctx, m.group, ledger.Accounts{}, mosaik.Weak)
		if err != nil {
			return nil, err
		}
		held[m.name] = own.Value
		s.say(m.name, "%s", list(own.Value))
	}
	for name, accounts := range held {
		if !slices.Equal(accounts, last.Value) {
			return held, fmt.Errorf("%s says %s where the group says %s", name, list(accounts), list(last.Value))
		}
	}
	s.chapter(fmt.Sprintf("%d nodes, %d commands, no disagreement.", len(held), last.Index))
	return held, nil
}

// list prints accounts in one line.
func list(accounts []ledger.Account) string {
	texts := make([]string, len(accounts))
	for i, a := range accounts {
		texts[i] = fmt.Sprintf("%s %d", a.Name, a.Balance)
	}
	return strings.Join(texts, ", ")
}

// run starts a node. It finds the others through the running ones.
func (s *show) run(ctx context.Context, m *member) error {
	var seeds []string
	for _, other := range s.running() {
		seeds = append(seeds, other.net.Addr().String())
	}
	net, err := mosaik.Open(ctx, mosaik.NetworkID("quickstart"),
		mosaik.WithIdentity(m.key),
		mosaik.WithSeeds(seeds...),
		mosaik.WithTick(tick),
		mosaik.WithLeaveTimeout(0), // closing it must be like a crash
	)
	if err != nil {
		return err
	}
	m.net = net
	s.say(m.name, "is peer %s on %s", net.Self().Short(), net.Addr())
	m.group, err = join(ctx, net, s.key, len(s.members))
	return err
}

// stop stops a node immediately.
func (m *member) stop() error {
	if m.net == nil {
		return nil
	}
	err := m.net.Close()
	m.net, m.group = nil, nil
	return err
}

// deposit pays into an account through the given node.
func (s *show) deposit(ctx context.Context, m *member, account string, amount int64) error {
	balance, err := mosaik.Execute(ctx, m.group, ledger.Deposit{Account: account, Amount: amount})
	if err != nil {
		return err
	}
	s.say(m.name, "deposits %d: %s holds %d", amount, account, balance.Value)
	return nil
}

// running returns the running nodes.
func (s *show) running() []*member {
	return slices.DeleteFunc(slices.Clone(s.members), func(m *member) bool { return m.group == nil })
}

// others returns the running nodes except one.
func (s *show) others(m *member) []*member {
	return slices.DeleteFunc(s.running(), func(o *member) bool { return o == m })
}

// find returns the running node with the peer id, or nil.
func (s *show) find(peer sm.PeerID) *member {
	for _, m := range s.running() {
		if m.net.Self() == peer {
			return m
		}
	}
	return nil
}

// leader waits until there is a leader, and returns it.
func (s *show) leader(ctx context.Context) (*member, error) {
	status, err := s.members[0].group.When().Until(ctx, func(status consensus.Status) bool { return s.find(status.Leader) != nil })
	if err != nil {
		return nil, err
	}
	return s.find(status.Leader), nil
}
