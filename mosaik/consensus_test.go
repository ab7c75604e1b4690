package mosaik

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConsensusConfigFields(t *testing.T) {
	t.Parallel()
	defaults := DefaultConsensusConfig()
	changed := defaults.
		WithHeartbeatInterval(1 * time.Second).
		WithHeartbeatJitter(2 * time.Millisecond).
		WithMaxMissedHeartbeats(3).
		WithElectionTimeout(4 * time.Second).
		WithElectionJitter(5 * time.Second).
		WithBootstrapDelay(6 * time.Second).
		WithForwardTimeout(7 * time.Second).
		WithQueryTimeout(8 * time.Second)
	fields := func(c ConsensusConfig) []any {
		return []any{
			c.HeartbeatInterval(), c.HeartbeatJitter(), c.MaxMissedHeartbeats(), c.ElectionTimeout(),
			c.ElectionJitter(), c.BootstrapDelay(), c.ForwardTimeout(), c.QueryTimeout(),
		}
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]any{500 * ms, 150 * ms, 10, 2000 * ms, 500 * ms, 3000 * ms, 2000 * ms, 2000 * ms}, fields(defaults)); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{1000 * ms, 2 * ms, 3, 4000 * ms, 5000 * ms, 6000 * ms, 7000 * ms, 8000 * ms}, fields(changed)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	for _, c := range []ConsensusConfig{defaults, changed} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	want := "heartbeat_interval=500ms heartbeat_jitter=150ms max_missed_heartbeats=10 election_timeout=2s " +
		"election_jitter=500ms bootstrap_delay=3s forward_timeout=2s query_timeout=2s"
	if got := defaults.String(); got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
}

func TestConsensusConfigValidate(t *testing.T) {
	t.Parallel()
	ok := DefaultConsensusConfig()
	const huge = time.Duration(1<<63 - 1)
	for _, c := range []struct {
		config ConsensusConfig
		want   string // after the prefix, "" for valid
	}{
		{ok.WithHeartbeatInterval(time.Millisecond).WithHeartbeatJitter(0), ""},
		{ok.WithHeartbeatJitter(499 * time.Millisecond), ""},
		{ok.WithElectionTimeout(500*time.Millisecond + 1), ""},
		{ok.WithElectionTimeout(time.Hour).WithElectionJitter(time.Hour).WithBootstrapDelay(time.Hour), ""},
		{ok.WithElectionJitter(0).WithBootstrapDelay(0).WithMaxMissedHeartbeats(1), ""},
		{ok.WithMaxMissedHeartbeats(1000).WithForwardTimeout(time.Millisecond).WithQueryTimeout(time.Hour), ""},

		{ConsensusConfig{}, "heartbeat_interval is 0s: must be from 1ms to 1h0m0s"},
		{ok.WithHeartbeatInterval(-time.Second), "heartbeat_interval is -1s: must be from 1ms to 1h0m0s"},
		{ok.WithHeartbeatInterval(huge), "heartbeat_interval is 2562047h47m16.854775807s: must be from 1ms to 1h0m0s"},
		{ok.WithHeartbeatInterval(999 * time.Microsecond), "heartbeat_interval is 999µs: must be from 1ms to 1h0m0s"},
		{ok.WithHeartbeatInterval(1500 * time.Microsecond), "heartbeat_interval is 1.5ms: must be whole milliseconds"},
		{ok.WithHeartbeatJitter(-1), "heartbeat_jitter is -1ns: must be from 0s to 1h0m0s"},
		{ok.WithHeartbeatJitter(1), "heartbeat_jitter is 1ns: must be whole milliseconds"},
		{ok.WithHeartbeatJitter(500 * time.Millisecond), "heartbeat_jitter is 500ms: must be less than heartbeat_interval, which is 500ms"},
		{ok.WithMaxMissedHeartbeats(0), "max_missed_heartbeats is 0: must be from 1 to 1000"},
		{ok.WithMaxMissedHeartbeats(1001), "max_missed_heartbeats is 1001: must be from 1 to 1000"},
		{ok.WithElectionTimeout(0), "election_timeout is 0s: must be from 1ms to 1h0m0s"},
		{ok.WithElectionTimeout(500 * time.Millisecond), "election_timeout is 500ms: must be more than heartbeat_interval, which is 500ms"},
		{ok.WithElectionTimeout(time.Hour + 1), "election_timeout is 1h0m0.000000001s: must be from 1ms to 1h0m0s"},
		{ok.WithElectionJitter(-1), "election_jitter is -1ns: must be from 0s to 1h0m0s"},
		{ok.WithElectionJitter(huge), "election_jitter is 2562047h47m16.854775807s: must be from 0s to 1h0m0s"},
		{ok.WithBootstrapDelay(-1), "bootstrap_delay is -1ns: must be from 0s to 1h0m0s"},
		{ok.WithBootstrapDelay(time.Hour + 1), "bootstrap_delay is 1h0m0.000000001s: must be from 0s to 1h0m0s"},
		{ok.WithForwardTimeout(0), "forward_timeout is 0s: must be from 1ms to 1h0m0s"},
		{ok.WithQueryTimeout(time.Hour + 1), "query_timeout is 1h0m0.000000001s: must be from 1ms to 1h0m0s"},
	} {
		want := ""
		if c.want != "" {
			want = "mosaik: validate consensus config: " + c.want
		}
		if got := errorText(c.config.Validate()); got != want {
			t.Errorf("%v:\n got %q\nwant %q", c.config, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestElectionTimeoutDraw(t *testing.T) {
	t.Parallel()
	c := DefaultConsensusConfig().WithElectionTimeout(time.Second).WithElectionJitter(4)
	seen := map[time.Duration]int{}
	for range 4000 {
		seen[c.ElectionTimeoutDraw()-time.Second]++
	}
	for d := range time.Duration(4) {
		// 1000 are expected, with a standard deviation of 27.
		if n := seen[d]; n < 700 {
			t.Errorf("timeout+%d was drawn %d times of 4000, want about 1000", d, n)
		}
		delete(seen, d)
	}
	if len(seen) > 0 {
		t.Errorf("drawn outside of [timeout, timeout+4): %v", seen)
	}
	for _, jitter := range []time.Duration{0, -1} {
		if got := c.WithElectionJitter(jitter).ElectionTimeoutDraw(); got != time.Second {
			t.Errorf("jitter %v draws %v, want 1s", jitter, got)
		}
	}
}

func TestConsensusConfigJSON(t *testing.T) {
	t.Parallel()
	config := DefaultConsensusConfig().WithHeartbeatJitter(0).WithBootstrapDelay(90 * time.Second)
	text, err := json.Marshal(map[string]any{"c": config, "p": &config})
	if err != nil {
		t.Fatal(err)
	}
	object := `{"heartbeat_interval":"500ms","heartbeat_jitter":"0s","max_missed_heartbeats":10,"election_timeout":"2s",` +
		`"election_jitter":"500ms","bootstrap_delay":"1m30s","forward_timeout":"2s","query_timeout":"2s"}`
	if want := fmt.Sprintf(`{"c":%s,"p":%[1]s}`, object); string(text) != want {
		t.Errorf("JSON is %s\nwant %s", text, want)
	}
	var back struct{ C, P ConsensusConfig }
	if err := json.Unmarshal(text, &back); err != nil || back.C != config || back.P != config {
		t.Errorf("read back as %v, %v, want %v", back, err, config)
	}

	// Absent and null fields keep what is there, or are the defaults.
	for _, c := range []struct{ before, want ConsensusConfig }{
		{ConsensusConfig{}, DefaultConsensusConfig().WithElectionTimeout(3 * time.Second)},
		{config, config.WithElectionTimeout(3 * time.Second)},
	} {
		got := c.before
		err := json.Unmarshal([]byte(`{"election_timeout":"3s","query_timeout":null,"max_missed_heartbeats":null}`), &got)
		if err != nil || got != c.want {
			t.Errorf("part read into %v is %v, %v, want %v", c.before, got, err, c.want)
		}
	}
}

func TestConsensusConfigJSONRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"heartbeat_jitter":"500ms"}`:                   "heartbeat_jitter is 500ms: must be less than heartbeat_interval",
		`{"election_timeout":2000}`:                      `election_timeout is 2000: want text such as "500ms"`,
		`{"election_timeout":"2000"}`:                    `election_timeout is "2000": want a number with its unit, such as "500ms"`,
		`{"election_timeout":""}`:                        `election_timeout is ""`,
		`{"max_missed_heartbeats":"10"}`:                 `max_missed_heartbeats is "10": `,
		`{"max_missed_heartbeats":1.5}`:                  "max_missed_heartbeats is 1.5: ",
		`{"max_missed_heartbeats":99999999999999999999}`: "max_missed_heartbeats is 99999999999999999999: ",
		`{"election":"2s"}`:                              `unknown field "election"`,
		`{"Election_Timeout":"2s","b":1}`:                `unknown field "Election_Timeout"`,
		`[]`:                                             "array",
		`"2s"`:                                           "string",
	} {
		before := DefaultConsensusConfig().WithQueryTimeout(time.Second)
		got := before
		err := json.Unmarshal([]byte(text), &got)
		if err == nil || !strings.HasPrefix(err.Error(), "mosaik: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
		if got != before {
			t.Errorf("%s: changed the config to %v", text, got)
		}
	}
}
