package consensus

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestConfigDefaults checks that the defaults are those documented, that each zero
// field gets its own default, and that WithDefaults is idempotent.
func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	defaults := Config{500 * ms, 150 * ms, 10, 2000 * ms, 500 * ms, 3000 * ms, 2000 * ms, 2000 * ms}
	if got := (Config{}).WithDefaults(); got != defaults {
		t.Errorf("the defaults are %v, want %v", got, defaults)
	}
	other := Config{900 * ms, None, 3, 4000 * ms, None, None, 7000 * ms, 8000 * ms}
	for i := range reflect.TypeFor[Config]().NumField() {
		var c Config
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
		t.Errorf("with all fields set, WithDefaults returns %#v for %#v", got, other)
	}
}

func TestConfigString(t *testing.T) {
	t.Parallel()
	want := "heartbeat_interval=500ms heartbeat_jitter=0s max_missed_heartbeats=10 election_timeout=1s " +
		"election_jitter=0s bootstrap_delay=0s forward_timeout=2s query_timeout=2s"
	c := Config{HeartbeatJitter: None, ElectionTimeout: time.Second, ElectionJitter: None, BootstrapDelay: None}
	if got := c.String(); got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	const huge = time.Duration(1<<63 - 1)
	const ms = time.Millisecond
	for _, c := range []struct {
		config Config
		want   string // after the prefix, "" for valid
	}{
		{Config{}, ""},
		{Config{HeartbeatInterval: ms, HeartbeatJitter: None}, ""},
		{Config{HeartbeatJitter: 499 * ms}, ""},
		{Config{ElectionTimeout: 500*ms + 1}, ""},
		{Config{ElectionTimeout: time.Hour, ElectionJitter: time.Hour, BootstrapDelay: time.Hour}, ""},
		{Config{ElectionJitter: None, BootstrapDelay: None, MaxMissedHeartbeats: 1}, ""},
		{Config{MaxMissedHeartbeats: 1000, ForwardTimeout: ms, QueryTimeout: time.Hour}, ""},

		{Config{HeartbeatInterval: None}, "heartbeat_interval is -1ns: must be from 1ms to 1h0m0s"},
		{Config{HeartbeatInterval: -time.Second}, "heartbeat_interval is -1s: must be from 1ms to 1h0m0s"},
		{Config{HeartbeatInterval: huge}, "heartbeat_interval is 2562047h47m16.854775807s: must be from 1ms to 1h0m0s"},
		{Config{HeartbeatInterval: 999 * time.Microsecond}, "heartbeat_interval is 999µs: must be from 1ms to 1h0m0s"},
		{Config{HeartbeatInterval: 1500 * time.Microsecond}, "heartbeat_interval is 1.5ms: must be whole milliseconds"},
		{Config{HeartbeatInterval: 100 * ms}, "heartbeat_jitter is 150ms, the default: must be less than heartbeat_interval, which is 100ms"},
		{Config{HeartbeatInterval: 3 * time.Second}, "election_timeout is 2s, the default: must be more than heartbeat_interval, which is 3s"},
		{Config{HeartbeatJitter: -2}, "heartbeat_jitter is -2ns: must be from 0s to 1h0m0s, or consensus.None for 0s"},
		{Config{HeartbeatJitter: 1}, "heartbeat_jitter is 1ns: must be whole milliseconds"},
		{Config{HeartbeatJitter: 500 * ms}, "heartbeat_jitter is 500ms: must be less than heartbeat_interval, which is 500ms, the default"},
		{Config{MaxMissedHeartbeats: -1}, "max_missed_heartbeats is -1: must be from 1 to 1000"},
		{Config{MaxMissedHeartbeats: 1001}, "max_missed_heartbeats is 1001: must be from 1 to 1000"},
		{Config{ElectionTimeout: None}, "election_timeout is -1ns: must be from 1ms to 1h0m0s"},
		{Config{ElectionTimeout: 500 * ms}, "election_timeout is 500ms: must be more than heartbeat_interval, which is 500ms, the default"},
		{Config{ElectionTimeout: time.Hour + 1}, "election_timeout is 1h0m0.000000001s: must be from 1ms to 1h0m0s"},
		{Config{ElectionJitter: -2}, "election_jitter is -2ns: must be from 0s to 1h0m0s, or consensus.None for 0s"},
		{Config{ElectionJitter: huge}, "election_jitter is 2562047h47m16.854775807s: must be from 0s to 1h0m0s, or consensus.None for 0s"},
		{Config{BootstrapDelay: -time.Second}, "bootstrap_delay is -1s: must be from 0s to 1h0m0s, or consensus.None for 0s"},
		{Config{BootstrapDelay: time.Hour + 1}, "bootstrap_delay is 1h0m0.000000001s: must be from 0s to 1h0m0s, or consensus.None for 0s"},
		{Config{ForwardTimeout: None}, "forward_timeout is -1ns: must be from 1ms to 1h0m0s"},
		{Config{QueryTimeout: time.Hour + 1}, "query_timeout is 1h0m0.000000001s: must be from 1ms to 1h0m0s"},
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

// TestConfigJSONRoundTrip writes and reads every combination of fields that are
// absent, set, or zero where zero is allowed.
func TestConfigJSONRoundTrip(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	set := Config{700 * ms, 20 * ms, 3, 90 * time.Second, time.Second, 1500 * ms, 7 * time.Second, 8 * time.Second}
	optional := map[int]bool{1: true, 4: true, 5: true} // the jitters and the delay
	n := reflect.TypeFor[Config]().NumField()
	tried := 0
	for combination := range pow3(n) {
		var want Config
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
		var got Config
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

func TestConfigJSON(t *testing.T) {
	t.Parallel()
	config := Config{HeartbeatJitter: None, BootstrapDelay: 90 * time.Second, MaxMissedHeartbeats: 4}
	text, err := json.Marshal(map[string]any{"c": config, "p": &config, "zero": Config{}, "all": Config{}.WithDefaults()})
	if err != nil {
		t.Fatal(err)
	}
	object := `{"heartbeat_jitter":"0s","max_missed_heartbeats":4,"bootstrap_delay":"1m30s"}`
	all := `{"heartbeat_interval":"500ms","heartbeat_jitter":"150ms","max_missed_heartbeats":10,"election_timeout":"2s",` +
		`"election_jitter":"500ms","bootstrap_delay":"3s","forward_timeout":"2s","query_timeout":"2s"}`
	if want := fmt.Sprintf(`{"all":%s,"c":%s,"p":%[2]s,"zero":{}}`, all, object); string(text) != want {
		t.Errorf("JSON is %s\nwant %s", text, want)
	}

	// Absent and null fields keep their values.
	for _, before := range []Config{{}, config} {
		got, want := before, before
		want.ElectionTimeout = 3 * time.Second
		err := json.Unmarshal([]byte(`{"election_timeout":"3s","query_timeout":null,"max_missed_heartbeats":null}`), &got)
		if err != nil || got != want {
			t.Errorf("part read into %v is %v, %v, want %v", before, got, err, want)
		}
	}
}

func TestConfigJSONRefuses(t *testing.T) {
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
		before := Config{QueryTimeout: time.Second}
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
