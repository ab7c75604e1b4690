package group

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/sm"
)

var update = flag.Bool("update", false, "rewrite the expected output of the scenarios")

// TestScenarios runs the scripts in testdata: a paragraph of statements, a line
// of four dashes, and the decisions that follow. testdata/README.md
// lists the statements.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("the scenario's output changed (-want +got):\n%s", diff)
			}
		})
	}
}

func runScript(t *testing.T, script string) string {
	s := newScenario()
	var out []string
	for _, paragraph := range strings.Split(strings.TrimSpace(script), "\n\n") {
		statements, _, asked := strings.Cut(paragraph+"\n", "----\n")
		var said strings.Builder
		for _, line := range strings.Split(strings.TrimSpace(statements), "\n") {
			if strings.HasPrefix(line, "#") {
				continue
			}
			if err := s.do(&said, strings.Fields(line)); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		text := strings.TrimSpace(statements)
		if asked {
			text += "\n----\n" + strings.TrimSpace(said.String())
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n\n") + "\n"
}

// scenario is the world that a script describes: one member's view.
type scenario struct {
	now      time.Time
	self     string
	selfRole Role
	policy   Policy
	since    time.Time
	ended    map[Epoch]sm.Index
	unaware  map[sm.PeerID]bool // voters that do not know it yet
	lead     reconciler
}

func newScenario() *scenario {
	now := time.Unix(1_000_000, 0)
	return &scenario{
		now: now, since: now, self: "a", selfRole: Role{},
		policy: Policy{MaximumVoters: 5, MinimumVoters: 1, Grace: 30 * time.Second},
		ended:  map[Epoch]sm.Index{}, unaware: map[sm.PeerID]bool{},
		lead: reconciler{
			epoch: epochOf("E"),
			members: engine.Membership{
				Voters: map[uint64]sm.PeerID{}, NonVoting: map[uint64]sm.PeerID{}, Removed: map[uint64]struct{}{},
			},
			peers:    map[sm.PeerID]Announcement{},
			lastSeen: map[sm.PeerID]time.Time{},
			gone:     map[uint64]string{},
		},
	}
}

// Peers, epochs and incarnations have one-character names; a member may be
// written b2 for peer b's second incarnation.
func peerOf(name string) (p sm.PeerID) { p[0], p[1] = name[0], 0; return p }
func epochOf(name string) (e Epoch)    { e[0] = name[0]; return e }
func incarnationOf(n int) (i Incarnation) {
	i[0] = byte(n)
	return i
}

func replicaOf(e Epoch, name string) (uint64, sm.PeerID) {
	n := 1
	if len(name) > 1 {
		n, _ = strconv.Atoi(name[1:])
	}
	return replicaID(peerOf(name), e, incarnationOf(n)), peerOf(name)
}

func (s *scenario) do(out *strings.Builder, words []string) error {
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	switch words[0] {
	case "policy":
		for k, v := range args {
			n, _ := strconv.Atoi(v)
			switch k {
			case "expected":
				s.policy.Expected = n
			case "minimum":
				s.policy.MinimumVoters = n
			case "maximum":
				s.policy.MaximumVoters = n
			case "remove-after":
				s.policy.RemoveAfter = time.Duration(n) * time.Second
			default:
				return fmt.Errorf("unknown policy %q", k)
			}
		}
	case "self":
		s.self = words[1]
		if _, ok := args["observer"]; ok {
			s.selfRole.Observer = true
		}
		if _, ok := args["reluctant"]; ok {
			s.selfRole.Reluctance = 3
		}
	case "members":
		m := s.lead.members
		clear(m.Voters)
		clear(m.NonVoting)
		clear(m.Removed)
		clear(s.lead.gone)
		for _, name := range names(args["voters"]) {
			r, p := replicaOf(s.lead.epoch, name)
			m.Voters[r] = p
		}
		for _, name := range names(args["nonvoting"]) {
			r, p := replicaOf(s.lead.epoch, name)
			m.NonVoting[r] = p
		}
		for _, name := range names(args["removed"]) {
			r, _ := replicaOf(s.lead.epoch, name)
			m.Removed[r] = struct{}{}
		}
	case "bond":
		delete(args, words[1])
		return s.bond(words[1], args)
	case "lost":
		p := peerOf(words[1])
		ago, err := time.ParseDuration(words[2])
		if err != nil {
			return err
		}
		delete(s.lead.peers, p)
		s.lead.lastSeen[p] = s.now.Add(-ago)
	case "pass":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err
		}
		s.now = s.now.Add(d)
	case "opened":
		s.lead.opened = true
	case "level":
		level, err := strconv.ParseUint(words[1], 10, 32)
		if err != nil {
			return err
		}
		supports, err := strconv.ParseUint(args["supports"], 10, 32)
		s.lead.level, s.lead.supportedLevel = uint32(level), uint32(supports)
		return err
	case "commands":
		s.lead.empty = false
	case "empty":
		s.lead.empty = true
	case "resigns":
		s.lead.stepDownReason = strings.Join(words[1:], " ")
	case "sealed":
		s.ended[epochOf(words[1])] = 0
	case "seek":
		fmt.Fprintln(out, s.seek())
	case "next":
		fmt.Fprintln(out, s.show(s.reconciler().next()))
	case "reconcile":
		s.reconcile(out)
	case "kept":
		s.lead.peers[peerOf(s.self)] = Announcement{Role: s.selfRole, ProcessInfo: ProcessInfo{Incarnation: incarnationOf(1)}, Epoch: s.lead.epoch, Phase: Leaving}
		fmt.Fprintln(out, s.reconciler().voteNeeded())
		delete(s.lead.peers, peerOf(s.self))
	case "gone":
		r, _ := replicaOf(s.lead.epoch, words[1])
		s.lead.gone[r] = "its process has ended"
	case "expel":
		s.expel(out, peerOf(words[1]))
	case "settled":
		fmt.Fprintln(out, s.reconciler().unsettled() == "")
	case "show":
		s.showMembers(out)
	default:
		return fmt.Errorf("unknown statement %q", words[0])
	}
	return nil
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func (s *scenario) bond(name string, args map[string]string) error {
	n := 1
	if len(name) > 1 {
		n, _ = strconv.Atoi(name[1:])
	}
	a := Announcement{Role: Role{}, ProcessInfo: ProcessInfo{Incarnation: incarnationOf(n)}, Policy: s.policy, Epoch: s.lead.epoch, Phase: CaughtUp}
	delete(s.unaware, peerOf(name))
	for k, v := range args {
		switch k {
		case "seeking":
			a.Phase, a.Epoch = Seeking, Epoch{}
		case "catching-up":
			a.Phase = CatchingUp
		case "leaving":
			a.Phase = Leaving
		case "observer":
			a.Role.Observer = true
		case "reluctant":
			a.Role.Reluctance = 3
		case "poisoned":
			a.Poisoned = true
		case "unaware":
			s.unaware[peerOf(name)] = true
		case "epoch":
			a.Epoch = epochOf(v)
		case "commands":
			a.AppliedIndex = 1
		default:
			return fmt.Errorf("unknown attribute %q", k)
		}
	}
	s.lead.peers[peerOf(name)] = a
	delete(s.lead.lastSeen, peerOf(name))
	return nil
}

func (s *scenario) seek() string {
	m := bootstrapper{
		now: s.now, self: peerOf(s.self), role: s.selfRole, policy: s.policy,
		seekingSince: s.since, delay: 3 * time.Second, endedEpochs: s.ended, peers: s.lead.peers,
	}.next()
	switch {
	case !m.join.IsZero():
		return fmt.Sprintf("join epoch %c", m.join[0])
	case m.bootstrap:
		return "bootstrap"
	case m.wait > 0:
		return fmt.Sprintf("wait %v", m.wait)
	}
	return "wait for an event"
}

func (s *scenario) reconciler() reconciler {
	lead := s.lead
	lead.now, lead.self, lead.policy = s.now, peerOf(s.self), s.policy
	lead.peers = maps.Clone(s.lead.peers)
	if _, ok := lead.peers[lead.self]; !ok {
		lead.peers[lead.self] = Announcement{Role: s.selfRole, ProcessInfo: ProcessInfo{Incarnation: incarnationOf(1)}, Epoch: s.lead.epoch, Phase: CaughtUp}
	}
	for peer, a := range lead.peers {
		if _, votes := lead.members.Voters[a.replica(peer)]; votes && !s.unaware[peer] {
			a.Votes = true
			lead.peers[peer] = a
		}
	}
	return lead
}

// show formats a change with the scenario's names.
func (s *scenario) show(c change) string { return s.words(c.String()) }

func (s *scenario) words(text string) string {
	for name := byte('a'); name <= 'z'; name++ {
		text = strings.ReplaceAll(text, peerOf(string(name)).Short(), string(name))
	}
	return text
}

// reconcile makes the changes that the reconciler decides on, until there is none.
func (s *scenario) reconcile(out *strings.Builder) {
	for range 50 {
		c := s.reconciler().next()
		fmt.Fprintln(out, s.show(c))
		m := s.lead.members
		switch c.kind {
		case changeNone, changeSeal, changeTransfer:
			return
		case changeOpen:
			s.lead.opened = true
		case changeRaise:
			s.lead.level = c.level
		case changeAdd:
			m.NonVoting[c.replica] = c.peer
		case changePromote, changeRemove:
			s.change(c)
		}
	}
	fmt.Fprintln(out, "never content")
}

// change carries out a promotion or a removal.
func (s *scenario) change(c change) {
	m := s.lead.members
	delete(m.NonVoting, c.replica)
	if c.kind == changePromote {
		m.Voters[c.replica] = c.peer
		return
	}
	delete(m.Voters, c.replica)
	m.Removed[c.replica] = struct{}{}
	if a := s.lead.peers[c.peer]; a.Phase == Leaving {
		delete(s.lead.peers, c.peer)
	}
}

// expel makes the changes that an operator's removal of a peer needs.
func (s *scenario) expel(out *strings.Builder, peer sm.PeerID) {
	for {
		c, err := s.reconciler().removal(peer)
		switch {
		case err != nil:
			text, _ := strings.CutPrefix(err.Error(), ErrCannotRemove.Error()+": ")
			fmt.Fprintln(out, s.words("refused: "+text))
			return
		case c.kind == changeNone:
			fmt.Fprintln(out, "done")
			return
		}
		fmt.Fprintln(out, s.show(c))
		s.change(c)
	}
}

func (s *scenario) showMembers(out *strings.Builder) {
	show := func(what string, m map[uint64]sm.PeerID) {
		list := make([]string, 0, len(m))
		for r, p := range m {
			name := string(p[0])
			for n := 2; n < 9; n++ {
				if replicaID(p, s.lead.epoch, incarnationOf(n)) == r {
					name += strconv.Itoa(n)
				}
			}
			list = append(list, name)
		}
		slices.Sort(list)
		fmt.Fprintln(out, strings.TrimSpace(what+" "+strings.Join(list, ",")))
	}
	show("voters", s.lead.members.Voters)
	show("nonvoting", s.lead.members.NonVoting)
}
