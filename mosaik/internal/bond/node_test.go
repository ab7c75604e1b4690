package bond

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// patience bounds every wait of a test. A test that reaches it fails.
const patience = 30 * time.Second

var network = sm.ID("test network")

// calm is a heartbeat too slow to end a connection in a test.
var calm = Heartbeat{Interval: patience, MaxMissed: 2}

// identity returns the n-th identity in the order of peer ids.
func identity(t testing.TB, n int) link.Identity {
	t.Helper()
	seeds := orderedSeeds()
	id, err := link.NewIdentity(ed25519.NewKeyFromSeed(seeds[n]))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// node is a peer: link, catalog and manager.
type node struct {
	t       testing.TB
	id      link.Identity
	link    *link.Link
	catalog discovery.Catalog
	manager *Manager
}

// setup is the configuration of a node, which tests can change.
type setup struct {
	network  sm.Digest
	listen   string
	listener net.Listener
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	resolver *net.Resolver
	groups   []sm.Digest
	noAddr   bool   // the entry has no address
	addr     string // in the entry, "" for the address of the listener
	raft     link.Handler
	config   Config // Link and Catalog are filled in
}

// startNode starts a node that ends with the test.
func startNode(t testing.TB, n int, change func(*setup)) *node {
	t.Helper()
	s := setup{network: network, listen: "127.0.0.1:0"}
	id := identity(t, n)
	s.config.Redial = rate.Bounds{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}
	s.config.HandshakeTimeout = patience
	s.config.Logger = testLogger(n)
	if change != nil {
		change(&s)
	}
	node := &node{t: t, id: id}
	l, err := link.Listen(link.Config{Identity: id, Network: s.network, Listen: s.listen, Listener: s.listener, Dial: s.dial, Resolver: s.resolver, HandshakeTimeout: patience,
		Admit: func(peer sm.PeerID, p link.Protocol) consensus.CloseCode { return node.manager.Admit(peer, p) }})
	if err != nil {
		t.Fatal(err)
	}
	entry := discovery.Entry{Network: s.network, Groups: s.groups}
	if !s.noAddr {
		entry.Addrs = []string{cmp.Or(s.addr, l.Addr().String())}
	}
	if s.raft != nil {
		l.Handle(link.Raft, s.raft)
	}
	catalog, err := discovery.NewCatalog(id, entry, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.config.Link, s.config.Catalog = l, catalog
	node.link, node.catalog, node.manager = l, catalog, New(s.config)
	t.Cleanup(node.stop)
	node.manager.Start()
	l.Serve()
	return node
}

// stop closes the node in the order in which a program does.
func (n *node) stop() {
	if err := n.manager.Close(); err != nil {
		n.t.Error(err)
	}
	if err := n.link.Close(); err != nil {
		n.t.Error(err)
	}
}

// crash ends the node without a GOODBYE.
func (n *node) crash() {
	if err := n.link.Close(); err != nil {
		n.t.Error(err)
	}
	n.stop()
}

func (n *node) peer() sm.PeerID { return n.id.Peer() }
func (n *node) addr() string    { return n.link.Addr().String() }

// testLogger logs to standard error if MOSAIK_LOG is set.
func testLogger(n int) *slog.Logger {
	var w io.Writer = io.Discard
	if os.Getenv("MOSAIK_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n)
}

// report is one call of a recorder.
type report struct {
	What string
	Peer sm.PeerID
	Code consensus.CloseCode
	Text string
}

func (r report) String() string {
	return fmt.Sprintf("%s %s %d %q", r.What, r.Peer.Short(), uint32(r.Code), r.Text)
}

// recorder is a Handler that passes its calls, except for Accept, to the test.
type recorder struct {
	reports chan report
	accept  func(peer sm.PeerID, hello []byte) consensus.CloseCode
	on      func(report) // called first, on the handler's goroutine
	refused func(hello []byte)
}

func newRecorder() *recorder { return &recorder{reports: make(chan report, 100_000)} }

func (r *recorder) record(what string, peer sm.PeerID, code consensus.CloseCode, payload []byte) {
	rep := report{what, peer, code, string(payload)}
	if r.on != nil {
		r.on(rep)
	}
	r.reports <- rep
}

func (r *recorder) Accept(peer sm.PeerID, hello []byte, answer func(consensus.CloseCode)) {
	code := consensus.CodeAccepted
	if r.accept != nil {
		code = r.accept(peer, hello)
	}
	answer(code)
}
func (r *recorder) Up(p sm.PeerID, hello []byte)               { r.record("up", p, 0, hello) }
func (r *recorder) Message(p sm.PeerID, b []byte)              { r.record("message", p, 0, b) }
func (r *recorder) Down(p sm.PeerID, code consensus.CloseCode) { r.record("down", p, code, nil) }
func (r *recorder) Refused(p sm.PeerID, c consensus.CloseCode, hello []byte) {
	r.record("refused", p, c, nil)
	if r.refused != nil {
		r.refused(hello)
	}
}

// next returns the next report.
func (r *recorder) next(t testing.TB) report {
	t.Helper()
	select {
	case rep := <-r.reports:
		return rep
	case <-time.After(patience):
		t.Fatal("nothing was reported in time")
		return report{}
	}
}

// want fails the test unless the next report is want.
func (r *recorder) want(t testing.TB, want report) {
	t.Helper()
	if got := r.next(t); got != want {
		t.Fatalf("reported %v, want %v", got, want)
	}
}

// await skips reports up to want.
func (r *recorder) await(t testing.TB, want report) {
	t.Helper()
	for r.next(t) != want {
	}
}

// wantNothing fails the test if there is a report.
func (r *recorder) wantNothing(t testing.TB) {
	t.Helper()
	select {
	case rep := <-r.reports:
		t.Errorf("reported %v, want nothing", rep)
	default:
	}
}

// testGroup is the group of most tests.
func testGroup(h Handler, hello string) GroupConfig {
	return GroupConfig{
		ID:        sm.ID("test group"),
		Secrets:   []sm.Digest{sm.ID("test secret")},
		Heartbeat: calm,
		Hello:     func() []byte { return []byte(hello) },
		Handler:   h,
		Post:      new(goroutine).post,
	}
}

// goroutine acts as the goroutine that owns a group. It exists while calls wait.
type goroutine struct {
	mu     sync.Mutex
	calls  []func()
	exists bool
}

func (g *goroutine) post(call func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, call)
	if !g.exists {
		g.exists = true
		go g.run()
	}
}

func (g *goroutine) run() {
	for {
		g.mu.Lock()
		if g.exists = len(g.calls) > 0; !g.exists {
			g.mu.Unlock()
			return
		}
		call := g.calls[0]
		g.calls = g.calls[1:]
		g.mu.Unlock()
		call()
	}
}

// join joins and lists the group.
func (n *node) join(g GroupConfig) *GroupBonds {
	n.t.Helper()
	ms, err := n.manager.Join(g)
	if err != nil {
		n.t.Fatal(err)
	}
	n.list(g.ID)
	return ms
}

func (n *node) list(id sm.Digest) {
	n.t.Helper()
	if _, err := n.catalog.Update(func(e *discovery.Entry) { e.Groups = append(e.Groups, id) }); err != nil {
		n.t.Fatal(err)
	}
}

// seeds makes a setup dial the node.
func seeds(nodes ...*node) func(*setup) {
	return func(s *setup) {
		for _, n := range nodes {
			s.config.Seeds = append(s.config.Seeds, n.addr())
		}
	}
}

// awaitEntry waits until the catalog holds an entry of the peer for which ok is true.
func (n *node) awaitEntry(peer sm.PeerID, ok func(discovery.Signed) bool) discovery.Signed {
	n.t.Helper()
	news := make(chan discovery.Signed, 1000)
	defer n.catalog.Watch(func(s, _ discovery.Signed) { news <- s })()
	if s, known := n.catalog.Get(peer); known && ok(s) {
		return s
	}
	for timeout := time.After(patience); ; {
		select {
		case s := <-news:
			if s.Peer == peer && ok(s) {
				return s
			}
		case <-timeout:
			n.t.Fatalf("no such entry of peer %s arrived in time", peer.Short())
		}
	}
}

func anyEntry(discovery.Signed) bool { return true }

// awaitConn waits for a current connection to the peer for which ok is true and returns it.
func (n *node) awaitConn(peer sm.PeerID, ok func(*conn) bool) *conn {
	n.t.Helper()
	return n.awaitConnFor(patience, peer, ok)
}

// awaitConnFor is awaitConn with the given time limit.
func (n *node) awaitConnFor(patience time.Duration, peer sm.PeerID, ok func(*conn) bool) *conn {
	n.t.Helper()
	for timeout := time.After(patience); ; {
		n.manager.mu.Lock()
		p := n.manager.peers[peer]
		if p == nil {
			n.manager.mu.Unlock()
			n.t.Fatalf("peer %s is not known", peer.Short())
		}
		c, changed := p.current, p.changed
		good := c != nil && ok(c)
		n.manager.mu.Unlock()
		if good {
			return c
		}
		select {
		case <-changed:
		case <-timeout:
			n.t.Fatalf("no such connection to peer %s in time", peer.Short())
		}
	}
}

func anyConn(*conn) bool { return true }

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func wantText(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that names %q", err, want)
	}
}
