package mosaik

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestConsensusConfigDefaults holds the documented defaults, that each zero field has
// its own default, and that filling them in changes nothing twice.
func TestConsensusConfigDefaults(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	defaults := ConsensusConfig{500 * ms, 150 * ms, 10, 2000 * ms, 500 * ms, 3000 * ms, 2000 * ms, 2000 * ms}
	if got := (ConsensusConfig{}).WithDefaults(); got != defaults {
		t.Errorf("the defaults are %v, want %v", got, defaults)
	}
	other := ConsensusConfig{900 * ms, None, 3, 4000 * ms, None, None, 7000 * ms, 8000 * ms}
	for i := range reflect.TypeFor[ConsensusConfig]().NumField() {
		var c ConsensusConfig
		want := defaults
		value := reflect.ValueOf(other).Field(i)
		reflect.ValueOf(&c).Elem().Field(i).Set(value)
		reflect.ValueOf(&want).Elem().Field(i).Set(value)
		if got := c.WithDefaults(); got != want || got.WithDefaults() != want {
			t.Errorf("only field %d is set: %v, want %v", i, got, want)
		}
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	if got := other.WithDefaults(); got != other {
		t.Errorf("where all fields are set, WithDefaults makes %#v of %#v", got, other)
	}
}

func TestConsensusConfigString(t *testing.T) {
	t.Parallel()
	want := "heartbeat_interval=500ms heartbeat_jitter=0s max_missed_heartbeats=10 election_timeout=1s " +
		"election_jitter=0s bootstrap_delay=0s forward_timeout=2s query_timeout=2s"
	c := ConsensusConfig{HeartbeatJitter: None, ElectionTimeout: time.Second, ElectionJitter: None, BootstrapDelay: None}
	if got := c.String(); got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
}

func TestConsensusConfigValidate(t *testing.T) {
	t.Parallel()
	const huge = time.Duration(1<<63 - 1)
	const ms = time.Millisecond
	for _, c := range []struct {
		config ConsensusConfig
		want   string // after the prefix, "" for valid
	}{
		{ConsensusConfig{}, ""},
		{ConsensusConfig{HeartbeatInterval: ms, HeartbeatJitter: None}, ""},
		{ConsensusConfig{HeartbeatJitter: 499 * ms}, ""},
		{ConsensusConfig{ElectionTimeout: 500*ms + 1}, ""},
		{ConsensusConfig{ElectionTimeout: time.Hour, ElectionJitter: time.Hour, BootstrapDelay: time.Hour}, ""},
		{ConsensusConfig{ElectionJitter: None, BootstrapDelay: None, MaxMissedHeartbeats: 1}, ""},
		{ConsensusConfig{MaxMissedHeartbeats: 1000, ForwardTimeout: ms, QueryTimeout: time.Hour}, ""},

		{ConsensusConfig{HeartbeatInterval: None}, "heartbeat_interval is -1ns: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{HeartbeatInterval: -time.Second}, "heartbeat_interval is -1s: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{HeartbeatInterval: huge}, "heartbeat_interval is 2562047h47m16.854775807s: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{HeartbeatInterval: 999 * time.Microsecond}, "heartbeat_interval is 999µs: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{HeartbeatInterval: 1500 * time.Microsecond}, "heartbeat_interval is 1.5ms: must be whole milliseconds"},
		{ConsensusConfig{HeartbeatInterval: 100 * ms}, "heartbeat_jitter is 150ms, the default: must be less than heartbeat_interval, which is 100ms"},
		{ConsensusConfig{HeartbeatInterval: 3 * time.Second}, "election_timeout is 2s, the default: must be more than heartbeat_interval, which is 3s"},
		{ConsensusConfig{HeartbeatJitter: -2}, "heartbeat_jitter is -2ns: must be from 0s to 1h0m0s, or mosaik.None for 0s"},
		{ConsensusConfig{HeartbeatJitter: 1}, "heartbeat_jitter is 1ns: must be whole milliseconds"},
		{ConsensusConfig{HeartbeatJitter: 500 * ms}, "heartbeat_jitter is 500ms: must be less than heartbeat_interval, which is 500ms, the default"},
		{ConsensusConfig{MaxMissedHeartbeats: -1}, "max_missed_heartbeats is -1: must be from 1 to 1000"},
		{ConsensusConfig{MaxMissedHeartbeats: 1001}, "max_missed_heartbeats is 1001: must be from 1 to 1000"},
		{ConsensusConfig{ElectionTimeout: None}, "election_timeout is -1ns: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{ElectionTimeout: 500 * ms}, "election_timeout is 500ms: must be more than heartbeat_interval, which is 500ms, the default"},
		{ConsensusConfig{ElectionTimeout: time.Hour + 1}, "election_timeout is 1h0m0.000000001s: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{ElectionJitter: -2}, "election_jitter is -2ns: must be from 0s to 1h0m0s, or mosaik.None for 0s"},
		{ConsensusConfig{ElectionJitter: huge}, "election_jitter is 2562047h47m16.854775807s: must be from 0s to 1h0m0s, or mosaik.None for 0s"},
		{ConsensusConfig{BootstrapDelay: -time.Second}, "bootstrap_delay is -1s: must be from 0s to 1h0m0s, or mosaik.None for 0s"},
		{ConsensusConfig{BootstrapDelay: time.Hour + 1}, "bootstrap_delay is 1h0m0.000000001s: must be from 0s to 1h0m0s, or mosaik.None for 0s"},
		{ConsensusConfig{ForwardTimeout: None}, "forward_timeout is -1ns: must be from 1ms to 1h0m0s"},
		{ConsensusConfig{QueryTimeout: time.Hour + 1}, "query_timeout is 1h0m0.000000001s: must be from 1ms to 1h0m0s"},
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

func TestDrawElectionTimeout(t *testing.T) {
	t.Parallel()
	c := ConsensusConfig{ElectionTimeout: time.Second, ElectionJitter: 4}
	seen := map[time.Duration]int{}
	for range 4000 {
		seen[c.drawElectionTimeout()-time.Second]++
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
	c.ElectionJitter = None
	if got := c.drawElectionTimeout(); got != time.Second {
		t.Errorf("without jitter %v is drawn, want 1s", got)
	}
}

// TestNoneIsZero holds that None, and nothing else, reaches the group as zero.
func TestNoneIsZero(t *testing.T) {
	t.Parallel()
	none := ConsensusConfig{HeartbeatJitter: None, ElectionJitter: None, BootstrapDelay: None}.WithDefaults().timing()
	if none.Heartbeat.Jitter != 0 || none.BootstrapDelay != 0 || none.ElectionTimeout != none.ElectionLimit {
		t.Errorf("None becomes %+v, want no jitter and no delay", none)
	}
	defaults := ConsensusConfig{}.WithDefaults().timing()
	if defaults.Heartbeat.Jitter != 150*time.Millisecond || defaults.BootstrapDelay != 3*time.Second || defaults.ElectionLimit != 2500*time.Millisecond {
		t.Errorf("the default becomes %+v", defaults)
	}
}

// TestConsensusConfigJSONRoundTrip reads back every combination of fields that are
// absent, set, and zero where zero is allowed.
func TestConsensusConfigJSONRoundTrip(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	set := ConsensusConfig{700 * ms, 20 * ms, 3, 90 * time.Second, time.Second, 1500 * ms, 7 * time.Second, 8 * time.Second}
	optional := map[int]bool{1: true, 4: true, 5: true} // the jitters and the delay
	n := reflect.TypeFor[ConsensusConfig]().NumField()
	tried := 0
	for combination := range pow3(n) {
		var want ConsensusConfig
		possible := true
		for i, rest := 0, combination; i < n; i, rest = i+1, rest/3 {
			field := reflect.ValueOf(&want).Elem().Field(i)
			switch rest % 3 {
			case 1:
				field.Set(reflect.ValueOf(set).Field(i))
			case 2:
				if possible = possible && optional[i]; possible {
					field.SetInt(int64(None))
				}
			}
		}
		if !possible {
			continue
		}
		tried++
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got ConsensusConfig
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("%s is read as %#v, error %v; want %#v", text, got, err, want)
		}
		if strings.Count(string(text), `"0s"`) != strings.Count(fmt.Sprintf("%#v", want), ":-1,")+strings.Count(fmt.Sprintf("%#v", want), ":-1}") {
			t.Fatalf("%#v is written as %s", want, text)
		}
	}
	if tried != 3*3*3*2*2*2*2*2 {
		t.Errorf("%d combinations were tried", tried)
	}
}

func pow3(n int) int {
	if n == 0 {
		return 1
	}
	return 3 * pow3(n-1)
}

func TestConsensusConfigJSON(t *testing.T) {
	t.Parallel()
	config := ConsensusConfig{HeartbeatJitter: None, BootstrapDelay: 90 * time.Second, MaxMissedHeartbeats: 4}
	text, err := json.Marshal(map[string]any{"c": config, "p": &config, "zero": ConsensusConfig{}, "all": ConsensusConfig{}.WithDefaults()})
	if err != nil {
		t.Fatal(err)
	}
	object := `{"heartbeat_jitter":"0s","max_missed_heartbeats":4,"bootstrap_delay":"1m30s"}`
	all := `{"heartbeat_interval":"500ms","heartbeat_jitter":"150ms","max_missed_heartbeats":10,"election_timeout":"2s",` +
		`"election_jitter":"500ms","bootstrap_delay":"3s","forward_timeout":"2s","query_timeout":"2s"}`
	if want := fmt.Sprintf(`{"all":%s,"c":%s,"p":%[2]s,"zero":{}}`, all, object); string(text) != want {
		t.Errorf("JSON is %s\nwant %s", text, want)
	}

	// Absent and null fields keep what is there.
	for _, before := range []ConsensusConfig{{}, config} {
		got, want := before, before
		want.ElectionTimeout = 3 * time.Second
		err := json.Unmarshal([]byte(`{"election_timeout":"3s","query_timeout":null,"max_missed_heartbeats":null}`), &got)
		if err != nil || got != want {
			t.Errorf("part read into %v is %v, %v, want %v", before, got, err, want)
		}
	}
}

func TestConsensusConfigJSONRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"heartbeat_jitter":"500ms"}`:                   "heartbeat_jitter is 500ms: must be less than heartbeat_interval",
		`{"heartbeat_jitter":"-1ns"}`:                    `heartbeat_jitter is "-1ns": must not be negative`,
		`{"heartbeat_interval":"0s"}`:                    `heartbeat_interval is "0s": must not be zero; leave the field out for its default`,
		`{"election_timeout":"0s"}`:                      `election_timeout is "0s": must not be zero`,
		`{"forward_timeout":"0"}`:                        `forward_timeout is "0": must not be zero`,
		`{"max_missed_heartbeats":0}`:                    "max_missed_heartbeats is 0: must not be zero",
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
		before := ConsensusConfig{QueryTimeout: time.Second}
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
