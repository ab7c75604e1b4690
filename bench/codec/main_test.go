package main

import (
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPeers checks that every codec decodes its own encoding after the measured
// loops.
func TestPeers(t *testing.T) {
	t.Parallel()
	want := map[string][len(commandNames)]any{
		nameHand:                {tiny, put, order},
		"mosaik-gen":            {tiny, put, order},
		"mosaik, by reflection": {plainTiny(tiny), plainPut(put), plainOrder(order)},
		"tinylib/msgp":          {msgpTiny(), msgpPut(), msgpOrder()},
		"vtprotobuf":            {protoTiny(), protoPut(), protoOrder()},
		nameSorted:              {(*plainTiny)(&tiny), (*plainPut)(&put), (*plainOrder)(&order)},
		namePlain:               {(*plainTiny)(&tiny), (*plainPut)(&put), (*plainOrder)(&order)},
		"encoding/json":         {(*plainTiny)(&tiny), (*plainPut)(&put), (*plainOrder)(&order)},
	}
	peers := allPeers()
	if len(peers) != len(want) {
		t.Fatalf("%d codecs, want %d", len(peers), len(want))
	}
	encoded := make(map[string][len(commandNames)]string)
	for _, p := range peers {
		var all [len(commandNames)]string
		for i, task := range p.tasks {
			if err := task.encode(3); err != nil {
				t.Errorf("%s: encode %s: %v", p.name, commandNames[i], err)
			}
			if err := task.decode(3); err != nil {
				t.Errorf("%s: decode %s: %v", p.name, commandNames[i], err)
			}
			b, got, err := task.once()
			if err != nil || !equal(got, want[p.name][i]) {
				t.Errorf("%s: %s is decoded as %+v, %v; want %+v", p.name, commandNames[i], got, err, want[p.name][i])
			}
			all[i] = string(b)
		}
		encoded[p.name] = all
	}
	// After the variant's tag, vmihailenco/msgpack writes the same bytes.
	for i := range commandNames {
		ours, sorted := encoded["mosaik-gen"][i], encoded[nameSorted][i]
		if ours != encoded[nameHand][i] {
			t.Errorf("%s: mosaik-gen writes %x, the hand-written codec %x", commandNames[i], ours, encoded[nameHand][i])
		}
		if ours[2:] != sorted {
			t.Errorf("%s: mosaik-gen writes %x after the tag, vmihailenco/msgpack %x", commandNames[i], ours[2:], sorted)
		}
	}
}

func equal(a, b any) bool {
	if a, ok := a.(proto.Message); ok {
		return proto.Equal(a, b.(proto.Message))
	}
	return reflect.DeepEqual(a, b)
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"-fastest=false", "-fastest"} {
		testRun(t, kind)
	}
	for _, args := range [][]string{{"-rounds", "0"}, {"-for", "0s"}, {"-only", "("}, {"-only", "nothing"}} {
		if err := run(args, io.Discard, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "codec: -") {
			t.Errorf("run(%v): %v", args, err)
		}
	}
}

func testRun(t *testing.T, kind string) {
	t.Helper()
	var out strings.Builder
	if err := run([]string{"-rounds", "3", "-for", "10us", "-only", "hand|mosaik-gen", "-summary", kind}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "| hand-written | ") || strings.HasPrefix(line, "| mosaik-gen | ") {
			rows = append(rows, line)
		}
	}
	summary := regexp.MustCompile(`(?m)^\| one integer \| [\d.]+ / [\d.]+ \| [\d.]+ / [\d.]+ \| 0\.0 / 0\.0 \| 0\.0 / 0\.0 \|$`)
	if !summary.MatchString(out.String()) {
		t.Errorf("no summary of the measurements:\n%s", &out)
	}
	if len(rows) != 2*len(commandNames) {
		t.Errorf("%d rows, want one for each codec and command:\n%s", len(rows), &out)
	}
	for i, row := range rows {
		cells := strings.Split(row, " | ")
		if len(cells) != 12 || cells[2] == "0" || i%2 == 0 && (cells[3] != "1.00" || cells[8] != "1.00") {
			t.Errorf("bad row: %s", row)
		}
	}
}
