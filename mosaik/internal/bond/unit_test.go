package bond

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	var c Config
	c.complete()
	if c.HandshakeTimeout != 2*time.Second || c.Redial != (rate.Bounds{Min: 100 * time.Millisecond, Max: 5 * time.Second}) || c.ForgetAfter != 10*time.Minute || c.Logger == nil {
		t.Errorf("defaults are %+v", c)
	}
	c = Config{Redial: rate.Bounds{Min: time.Minute}}
	c.complete()
	if c.Redial.Max != time.Minute {
		t.Errorf("Redial is %+v, its Max must not be below Min", c.Redial)
	}
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.put(frame{1, nil})
	o.put(frame{2, nil})
	if frames, more := o.take(); len(frames) != 2 || frames[0].kind != 1 || !more {
		t.Errorf("took %v, more %v, want 1 and 2, true", frames, more)
	}
	o.put(frame{3, nil})
	o.seal(false)
	o.put(frame{4, nil})
	if frames, more := o.take(); len(frames) != 1 || more {
		t.Errorf("took %d frames, more %v, want 1, false", len(frames), more)
	}

	o = newOutbox()
	o.put(frame{1, nil})
	o.seal(true)
	if frames, more := o.take(); len(frames) != 0 || more {
		t.Errorf("took %d frames, more %v, want 0, false", len(frames), more)
	}
}

// TestFramesInFlight checks the deadline of a frame that is being written.
func TestFramesInFlight(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	if _, inFlight := o.deadline(); inFlight {
		t.Error("a frame is in flight before the first")
	}
	now := time.Unix(1, 0)
	o.begin(2*stallRate, now)
	if limit, inFlight := o.deadline(); !inFlight || !limit.Equal(now.Add(stallTime+2*time.Second)) {
		t.Errorf("the limit is %v, in flight %v", limit.Sub(now), inFlight)
	}
	o.finish()
	if _, inFlight := o.deadline(); inFlight {
		t.Error("a frame is in flight after the last")
	}
}

// TestEntriesFillFrames spreads more entries than fit into one frame.
func TestEntriesFillFrames(t *testing.T) {
	t.Parallel()
	var entries []discovery.Signed
	var groups []sm.Digest
	for i := range discovery.MaxGroups {
		groups = append(groups, sm.ID(fmt.Sprint(i)))
	}
	for i := range 4 {
		entries = append(entries, signEntry(t, identity(t, i), discovery.Entry{Network: network, Groups: groups}))
	}
	frames := appendEntries(entries)
	if len(frames) < 2 {
		t.Fatalf("%d frames, want several", len(frames))
	}
	var got [][]byte
	for _, f := range frames {
		if len(f) > maxFrame {
			t.Errorf("a frame of %d bytes, at most %d are read", len(f), maxFrame)
		}
		raws, err := parseEntries(f)
		if err != nil {
			t.Fatal(err)
		}
		got = slices.AppendSeq(got, raws)
	}
	for i, e := range entries {
		if i >= len(got) || !bytes.Equal(got[i], e.Bytes()) {
			t.Fatalf("entry %d is not in the frames", i)
		}
	}
	if appendEntries(nil) != nil {
		t.Error("a frame without an entry")
	}
}
