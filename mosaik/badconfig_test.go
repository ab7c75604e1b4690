package mosaik_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/apitest"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestOpenRefusesBadOptions(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("bad options")
	many := make([]string, 70)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.0.1:%d", i+1)
	}
	for name, tc := range map[string]struct {
		opt   mosaik.Option
		parts []string
	}{
		"identity":           {mosaik.WithIdentity(make(ed25519.PrivateKey, 12)), []string{"identity", "64 bytes, not 12"}},
		"nil identity":       {mosaik.WithIdentity(nil), []string{"identity", "64 bytes, not 0"}},
		"listen":             {mosaik.WithListen("localhost"), []string{`listen address "localhost"`, "must be host:port"}},
		"listen port":        {mosaik.WithListen("localhost:http"), []string{`listen address "localhost:http"`, "a number from 0 to 65535"}},
		"high port":          {mosaik.WithListen("localhost:65536"), []string{`"localhost:65536"`, "a number from 0 to 65535"}},
		"unknown host":       {mosaik.WithListen("256.1.1.1:0"), []string{"256.1.1.1:0"}},
		"listener":           {mosaik.WithListener(nil), []string{"listener", "nil"}},
		"advertise":          {mosaik.WithAdvertise("10.0.0.1:1", "there"), []string{`advertised address "there"`, "must be host:port"}},
		"advertised port":    {mosaik.WithAdvertise("10.0.0.1:0"), []string{`advertised address "10.0.0.1:0"`, "a number from 1 to 65535"}},
		"advertised number":  {mosaik.WithAdvertise(many[:17]...), []string{"advertise", "17 addresses", "at most 16"}},
		"advertised nothing": {mosaik.WithAdvertise(":80"), []string{`advertised address ":80"`, "the host is missing"}},
		"seed":               {mosaik.WithSeeds("10.0.0.1:1", "10.0.0.2"), []string{`seed "10.0.0.2"`, "must be host:port"}},
		"seed port":          {mosaik.WithSeeds("10.0.0.1:-1"), []string{`seed "10.0.0.1:-1"`, "a number from 1 to 65535"}},
		"tags":               {mosaik.WithTags(many...), []string{"tags", "70", "64"}},
		"long tag":           {mosaik.WithTags(strings.Repeat("x", 65)), []string{"tag", "is not 1 to 64 bytes of printable UTF-8"}},
		"empty tag":          {mosaik.WithTags(""), []string{`tag "" is not 1 to 64 bytes of printable UTF-8`}},
		"nothing":            {nil, []string{"option 1 of 1 is nil"}},
		"logger":             {mosaik.WithLogger(nil), []string{"logger", "nil"}},
		"tick":               {mosaik.WithTick(0), []string{"tick", "0s", "1ms to 1s"}},
		"fraction of a tick": {mosaik.WithTick(1500 * time.Microsecond), []string{"tick", "1.5ms", "whole milliseconds"}},
		"few connections":    {mosaik.WithConnectionLimits(100, 31), []string{"connection limits", "31 per address", "at least 32"}},
		"more per address":   {mosaik.WithConnectionLimits(100, 101), []string{"connection limits", "100 in all", "at most the first"}},
		"long tick":          {mosaik.WithTick(2 * time.Second), []string{"tick", "2s", "1ms to 1s"}},
		"leave timeout":      {mosaik.WithLeaveTimeout(-1), []string{"leave timeout", "-1ns", "negative"}},
	} {
		n, err := mosaik.Open(t.Context(), id, tc.opt)
		if err == nil {
			n.Close()
		}
		apitest.WantMessage(t, name, err, append(tc.parts, "mosaik: open network "+id.Short()+": ")...)
	}

	_, err := mosaik.Open(t.Context(), sm.Digest{})
	apitest.WantMessage(t, "zero id", err, "the network id is zero", "NetworkID")
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err = mosaik.Open(ended, id); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: error %v, want %v", err, context.Canceled)
	}
}

func TestOpenOnAPortInUse(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("port in use")
	first := apitest.OpenNetwork(t, id)
	addr := first.Addr().String()
	second, err := mosaik.Open(t.Context(), id, mosaik.WithListen(addr))
	if err == nil {
		second.Close()
	}
	apitest.WantMessage(t, "second", err, "mosaik: open network "+id.Short()+": ", addr, "in use")
}

// idle is a machine that does nothing.
type idle struct{}

func newIdle() *idle { return &idle{} }

func (idle) Spec() sm.Spec[step]                      { return sm.Define[step]("idle", 1) }
func (idle) Apply(sm.ApplyContext, step) (any, error) { return nil, nil }

// step is the command of an idle machine.
type step struct{ Verb string }

// unnamed, and those that follow, are machines with something wrong.
type unnamed struct{ idle }

func (unnamed) Spec() sm.Spec[step] { return sm.Spec[step]{} }

type unsigned struct{ idle }

func (unsigned) Spec() sm.Spec[step] { return sm.Spec[step]{Name: "unsigned"} }

type uncoded struct{ idle }

func (uncoded) Spec() sm.Spec[step] {
	return sm.Spec[step]{Name: "uncoded", Signature: sm.ID("uncoded")}
}

type listener struct{}

func (listener) Spec() sm.Spec[chan int]                      { return sm.Define[chan int]("listener", 1) }
func (listener) Apply(sm.ApplyContext, chan int) (any, error) { return nil, nil }

type hasty struct{ idle }

func (*hasty) ConsensusDefaults() consensus.Config {
	return consensus.Config{HeartbeatInterval: 1}
}

// nobody is a validator that admits no peer.
type nobody struct{}

func (nobody) Class() sm.Digest     { return sm.ID("nobody") }
func (nobody) Signature() sm.Digest { return sm.ID("nobody") }
func (nobody) Validate(time.Time, sm.PeerID, ticket.Ticket) (time.Time, error) {
	return time.Time{}, errors.New("nobody is admitted")
}

type brokenStorage struct{}

func (brokenStorage) Open(logstore.OpenOptions[step]) (logstore.Log, error) {
	return nil, errors.New("the disk is on fire")
}

func TestJoinRefusesBadSettings(t *testing.T) {
	t.Parallel()
	n := apitest.OpenNetwork(t, mosaik.NetworkID("bad settings"))
	keyed := n.Groups().WithKey(mosaik.RandomKey())
	base := mosaik.WithStateMachine(keyed, newIdle)
	timing := func(c consensus.Config) func(context.Context) error {
		return join(base.WithConsensusConfig(c))
	}
	membership := func(p consensus.Policy) func(context.Context) error { return join(base.WithMembership(p)) }
	for name, tc := range map[string]struct {
		join  func(context.Context) error
		parts []string
	}{
		"zero key":           {join(mosaik.WithStateMachine(n.Groups().WithKey(mosaik.GroupKey{}), newIdle)), []string{"the group key is zero", "KeyFromText"}},
		"zero key, no-op":    {join(n.Groups().WithKey(mosaik.GroupKey{})), []string{"the group key is zero"}},
		"no constructor":     {join(mosaik.WithStateMachine[step, *idle](keyed, nil)), []string{"the machine's constructor is nil"}},
		"nil machine":        {join(mosaik.WithStateMachine(keyed, func() *idle { return nil })), []string{"constructor returned nil"}},
		"nil storage":        {join(base.WithLogStorage(nil)), []string{"the log storage is nil"}},
		"nil memory":         {join(base.WithLogStorage((*logstore.Memory[step])(nil))), []string{"the log storage is nil"}},
		"machine's name":     {join(mosaik.WithStateMachine(keyed, func() *unnamed { return &unnamed{} })), []string{"spec has no name", "Spec.Name"}},
		"signature":          {join(mosaik.WithStateMachine(keyed, func() *unsigned { return &unsigned{} })), []string{`machine "unsigned"`, "zero signature", "sm.Define"}},
		"codec":              {join(mosaik.WithStateMachine(keyed, func() *uncoded { return &uncoded{} })), []string{`machine "uncoded"`, "no codec", "sm.Define"}},
		"commands":           {join(mosaik.WithStateMachine(keyed, func() listener { return listener{} })), []string{`machine "listener"`, "a chan cannot be encoded"}},
		"machine's config":   {join(mosaik.WithStateMachine(keyed, func() *hasty { return &hasty{} })), []string{"heartbeat_interval is 1ns", "from 1ms"}},
		"validator":          {join(base.RequireTicket(nobody{}).RequireTicket(nil)), []string{"ticket validator 2 is nil"}},
		"broken storage":     {join(base.WithLogStorage(brokenStorage{})), []string{"open its log: the disk is on fire"}},
		"rare snapshots":     {join(base.WithSnapshots(1e9+1, 1<<20)), []string{"snapshots every 1000000001 entries", "from 10 to 1000000000"}},
		"frequent snapshots": {join(base.WithSnapshots(9, 1<<20)), []string{"snapshots every 9 entries", "from 10"}},
		"large logs":         {join(base.WithSnapshots(10, 1<<40+1)), []string{"snapshots every 1099511627777 bytes", "to 1099511627776"}},
		"small logs":         {join(base.WithSnapshots(10, 4095)), []string{"snapshots every 4095 bytes", "from 4096"}},
		"short history":      {join(base.WithHistory(4<<10 - 1)), []string{"history of 4095 bytes", "from 4096"}},
		"long history":       {join(base.WithHistory(1<<30 + 1)), []string{"history", "to 1073741824"}},
		"reluctance":         {join(base.WithRole(consensus.Role{Reluctance: 1})), []string{"validate role: reluctance is 1", "from 2 to 100"}},
		"negative config":    {timing(consensus.Config{HeartbeatInterval: -1}), []string{"validate consensus config: heartbeat_interval is -1ns", "from 1ms to 1h0m0s"}},
		"heartbeat":          {timing(consensus.Config{HeartbeatInterval: 1500 * time.Microsecond}), []string{"heartbeat_interval is 1.5ms", "whole milliseconds"}},
		"jitter":             {timing(consensus.Config{HeartbeatJitter: 500 * time.Millisecond}), []string{"heartbeat_jitter is 500ms", "less than heartbeat_interval, which is 500ms, the default"}},
		"misses":             {timing(consensus.Config{MaxMissedHeartbeats: -1}), []string{"max_missed_heartbeats is -1", "from 1 to 1000"}},
		"election":           {timing(consensus.Config{ElectionTimeout: 500 * time.Millisecond}), []string{"election_timeout is 500ms", "more than heartbeat_interval, which is 500ms"}},
		"election jitter":    {timing(consensus.Config{ElectionJitter: -2}), []string{"election_jitter is -2ns", "from 0s", "consensus.None"}},
		"bootstrap delay":    {timing(consensus.Config{BootstrapDelay: 2 * time.Hour}), []string{"bootstrap_delay is 2h0m0s", "to 1h0m0s"}},
		"forward timeout":    {timing(consensus.Config{ForwardTimeout: -1}), []string{"forward_timeout is -1ns", "from 1ms"}},
		"query timeout":      {timing(consensus.Config{QueryTimeout: -1}), []string{"query_timeout is -1ns", "from 1ms"}},
		"few election ticks": {timing(consensus.Config{HeartbeatInterval: 20 * time.Millisecond, HeartbeatJitter: consensus.None, ElectionTimeout: 100 * time.Millisecond}), []string{"election_timeout is 100ms", "3 ticks of 50ms", "WithTick"}},
		"few forward ticks":  {timing(consensus.Config{ForwardTimeout: 149 * time.Millisecond}), []string{"forward_timeout is 149ms", "3 ticks of 50ms", "WithTick"}},
		"few query ticks":    {timing(consensus.Config{QueryTimeout: time.Millisecond}), []string{"query_timeout is 1ms", "3 ticks of 50ms", "WithTick"}},
		"negative policy":    {membership(consensus.Policy{MaximumVoters: -1}), []string{"validate membership policy: maximum_voters is -1", "from 1 to 99"}},
		"expected":           {membership(consensus.Policy{Expected: 198}), []string{"expected is 198", "0 to 197"}},
		"expected, maximum":  {membership(consensus.Policy{Expected: 11}), []string{"expected is 11", "its majority, 6", "maximum_voters, which is 5"}},
		"minimum":            {membership(consensus.Policy{Expected: 5, MinimumVoters: 2}), []string{"minimum_voters is 2", "at least 3", "expected, which is 5"}},
		"minimum, maximum":   {membership(consensus.Policy{MinimumVoters: 6}), []string{"minimum_voters is 6", "maximum_voters, which is 5"}},
		"grace":              {membership(consensus.Policy{Grace: -1}), []string{"grace is -1ns", "from 1ms to 720h0m0s"}},
	} {
		err := tc.join(t.Context())
		apitest.WantMessage(t, name, err, append(tc.parts, "mosaik: join group")...)
		if strings.Count(fmt.Sprint(err), "mosaik: ") != 1 {
			t.Errorf("%s: the package is not named once: %v", name, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := join(base)(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: error %v, want %v", err, context.Canceled)
	}
	if peers := n.Peers(); len(peers) != 0 {
		t.Errorf("peers %+v out of nowhere", peers)
	}
	// None of it is left behind: the same key can be joined.
	if err := join(base)(t.Context()); err != nil {
		t.Error(err)
	}
}

func join[C any, M sm.StateMachine[C]](b testutil.Joiner[C, M]) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := b.Join(ctx)
		return err
	}
}

func TestAddTicketRefusesBadTickets(t *testing.T) {
	t.Parallel()
	n := apitest.OpenNetwork(t, mosaik.NetworkID("bad tickets"))
	class := sm.ID("door")
	apitest.WantMessage(t, "no class", n.AddTicket(ticket.Ticket{Data: []byte("x")}), "mosaik: add ticket", "the class is zero")
	apitest.WantMessage(t, "large", n.AddTicket(ticket.Ticket{Class: class, Data: make([]byte, ticket.MaxData+1)}), "mosaik: add ticket of class "+class.Short(), "4097 bytes", "at most 4096")
	for i := range ticket.MaxTickets {
		if err := n.AddTicket(ticket.Ticket{Class: class, Data: []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	apitest.WantMessage(t, "many", n.AddTicket(ticket.Ticket{Class: class, Data: []byte("more")}), "mosaik: add ticket of class "+class.Short(), "17", "16")
	if err := n.RemoveTicket(ticket.Ticket{Class: class, Data: []byte("never added")}); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestConnectedWithoutSeeds(t *testing.T) {
	t.Parallel()
	n := apitest.OpenNetwork(t, mosaik.NetworkID("hermit"))
	ended, end := context.WithCancel(t.Context())
	end()
	err := n.Connected(ended)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("connected: error %v, want %v", err, context.Canceled)
	}
	apitest.WantMessage(t, "connected", err, "there are no seeds")
}
