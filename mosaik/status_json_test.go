package mosaik_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// A status in JSON is for people and their tools: ids, epochs and codes are text.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	const file = "testdata/status.json"
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := consensus.Status{
		Epoch: consensus.Epoch{1, 2, 15: 3}, Recoveries: 1, Leader: sm.PeerID{4, 31: 5}, Term: 6, Level: 2,
		AcceptsCommands: true, Online: true, Settled: true, Stalled: true, Waits: "voter 0400000000, which cannot be reached",
		Diverged: []consensus.Epoch{{7}},
		Members: []consensus.Member{
			{Peer: sm.PeerID{4, 31: 5}, Incarnation: consensus.Incarnation{8}, Voter: true, CaughtUp: true, Bonded: true, Level: 2,
				RTT: 250 * time.Microsecond, Addrs: []string{"127.0.0.1:7000"}},
			{Peer: sm.PeerID{9}, LastSeen: at},
		},
		Refused: []consensus.RefusedError{{Peer: sm.PeerID{10}, Code: 30403}, {Peer: sm.PeerID{11}, Code: 7}},
		Poisoned: &consensus.PoisonedError{
			Doing: "apply", Command: "bank.Deposit", Index: 12, Offset: 1, Value: "the ledger is broken",
		},
		Ghosts:        []consensus.Ghost{{Peer: sm.PeerID{9}, Since: at, Gone: "its process has ended", Cost: "of 3 voters 2 are needed"}},
		LinkErrors:    map[sm.PeerID]string{{9}: "it cannot be dialled"},
		Mismatch:      &consensus.Mismatch{Peers: 2, Groups: []sm.Digest{{12}}},
		Outdated:      &consensus.OutdatedError{Found: 3, Supported: 2},
		SnapshotError: errors.New("the disk is full"),
		SlowCalls:     []consensus.SlowCall{{Doing: "query", Type: "bank.Total", Index: 12, Since: at, For: 2 * time.Second}},
		Ended:         mosaik.ErrClosed,
	}
	for fields, i := reflect.ValueOf(s), 0; i < fields.NumField(); i++ {
		if fields.Field(i).IsZero() {
			t.Errorf("the status of this test leaves out %s", fields.Type().Field(i).Name)
		}
	}
	got, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run go test ./mosaik -run TestStatusJSON -update if this should change (-want +got):\n%s", diff)
	}

	// What names something can be read back.
	var back struct {
		Epoch      consensus.Epoch
		Diverged   []consensus.Epoch
		Members    []consensus.Member
		Ghosts     []consensus.Ghost
		LinkErrors map[sm.PeerID]string
		Refused    []consensus.RefusedError

		Mismatch *consensus.Mismatch
	}
	if err := json.NewDecoder(bytes.NewReader(got)).Decode(&back); err != nil {
		t.Fatal(err)
	}
	if back.Epoch != s.Epoch || cmp.Diff(s.Diverged, back.Diverged) != "" || cmp.Diff(s.Members, back.Members) != "" || cmp.Diff(s.Refused, back.Refused) != "" ||
		cmp.Diff(s.Ghosts, back.Ghosts) != "" || cmp.Diff(s.LinkErrors, back.LinkErrors) != "" || cmp.Diff(s.Mismatch, back.Mismatch) != "" {
		t.Errorf("read back %+v", back)
	}
	for _, text := range []string{`"01"`, `"` + strings.Repeat("0", 31) + `x"`, `7`} {
		var epoch consensus.Epoch
		var incarnation consensus.Incarnation
		if json.Unmarshal([]byte(text), &epoch) == nil || json.Unmarshal([]byte(text), &incarnation) == nil {
			t.Errorf("%s is an epoch or an incarnation", text)
		}
	}
	var code consensus.CloseCode
	if err := json.Unmarshal([]byte(`"x 30403"`), &code); err == nil {
		t.Errorf("a code without a number is %d", code)
	}
}
