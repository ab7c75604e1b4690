package transport

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/config"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// owner is a replica whose leader, and whose end, the test decides.
type owner struct {
	leader   uint64
	term     sm.Term
	failed   bool
	behind   bool
	failures []error
}

func (o *owner) Leader() (uint64, sm.Term) { return o.leader, o.term }
func (o *owner) IsFailed() bool            { return o.failed }
func (o *owner) IsEnding() bool            { return o.failed }
func (o *owner) IsBehind() bool            { return o.behind }
func (o *owner) Fail(err error)            { o.failed, o.failures = true, append(o.failures, err) }
func (o *owner) Repeat(pb.Message)         {}

// deadEnd is a network on which no peer can be reached.
type deadEnd struct{ dials int }

func (d *deadEnd) Connect(context.Context, sm.PeerID, link.Protocol) (*link.Conn, error) {
	d.dials++
	return nil, errors.New("dead end")
}

// sender is a transport without dragonboat: replica 1 of the shard sends to replica 2 of the
// peer. It keeps the messages and counts the chunks that dragonboat would receive.
type sender struct {
	*Transport
	network *deadEnd
	peer    sm.PeerID
	router  *raftlog.Router
	ep      *Endpoint
	owner   *owner
	told    []pb.Message
	chunks  int
}

func newSender(t testing.TB) *sender {
	t.Helper()
	s := &sender{network: &deadEnd{}, peer: sm.PeerID{2}, router: raftlog.NewRouter(1), owner: &owner{}}
	s.Transport = New(t.Context(), s.network, slog.New(slog.DiscardHandler))
	s.Create(config.NodeHostConfig{},
		func(b pb.MessageBatch) { s.told = append(s.told, b.Requests...) },
		func(pb.Chunk) bool { s.chunks++; return false })
	log, err := s.router.Register(enginetest.Shard, 1, enginetest.MemoryLog(t), nil, s.owner.Fail)
	if err != nil {
		t.Fatal(err)
	}
	s.ep = &Endpoint{Shard: enginetest.Shard, Replica: 1, Election: time.Second, Log: log, Owner: s.owner}
	s.Attach(s.ep)
	s.Admit(enginetest.Shard, s.peer, 2)
	return s
}
