package mosaik

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Ranges of the numbers in a [ConsensusConfig].
const (
	minInterval = time.Millisecond
	maxInterval = time.Hour
	maxMissed   = 1000
)

// ConsensusConfig holds the clockwork of a group: heartbeats, elections and how
// long one attempt of a call may take. Start from [DefaultConsensusConfig] and
// change it with the With methods, which return copies:
//
//	config := mosaik.DefaultConsensusConfig().
//		WithElectionTimeout(time.Second).
//		WithElectionJitter(0)
//
// The heartbeat interval, its jitter and the allowed misses are part of the
// group's id, so members must agree on them; the rest is local. A
// ConsensusConfig is comparable, is copied by assignment, and is JSON with
// durations as text. The zero value is not valid.
type ConsensusConfig struct {
	heartbeatInterval   time.Duration
	heartbeatJitter     time.Duration
	maxMissedHeartbeats int
	electionTimeout     time.Duration
	electionJitter      time.Duration
	bootstrapDelay      time.Duration
	forwardTimeout      time.Duration
	queryTimeout        time.Duration
}

// ConsensusDefaulter is implemented by machines that need another clockwork
// than the default one. What ConsensusDefaults returns applies unless the
// builder sets a configuration. It must return the same value in every process,
// as the group's id depends on it.
type ConsensusDefaulter interface{ ConsensusDefaults() ConsensusConfig }

// DefaultConsensusConfig returns the configuration of groups that set none:
//
//	heartbeat interval   500 ms   jitter 150 ms   at most 10 missed
//	election timeout     2 s      jitter 500 ms
//	bootstrap delay      3 s
//	forward timeout      2 s
//	query timeout        2 s
func DefaultConsensusConfig() ConsensusConfig {
	return ConsensusConfig{
		heartbeatInterval:   500 * time.Millisecond,
		heartbeatJitter:     150 * time.Millisecond,
		maxMissedHeartbeats: 10,
		electionTimeout:     2 * time.Second,
		electionJitter:      500 * time.Millisecond,
		bootstrapDelay:      3 * time.Second,
		forwardTimeout:      2 * time.Second,
		queryTimeout:        2 * time.Second,
	}
}

// WithHeartbeatInterval sets the longest silence on a bond before a heartbeat
// is sent: 1 ms to 1 h in whole milliseconds. Part of the group's id.
func (c ConsensusConfig) WithHeartbeatInterval(d time.Duration) ConsensusConfig {
	c.heartbeatInterval = d
	return c
}

// WithHeartbeatJitter sets by how much a heartbeat may come before its
// interval, drawn at random each time: from 0 up to but not including the
// interval, in whole milliseconds. Part of the group's id.
func (c ConsensusConfig) WithHeartbeatJitter(d time.Duration) ConsensusConfig {
	c.heartbeatJitter = d
	return c
}

// WithMaxMissedHeartbeats sets after how many heartbeat intervals of silence a
// bond is closed: 1 to 1000. Part of the group's id.
func (c ConsensusConfig) WithMaxMissedHeartbeats(n int) ConsensusConfig {
	c.maxMissedHeartbeats = n
	return c
}

// WithElectionTimeout sets how long a follower hears nothing from a leader
// before it stands for election: more than the heartbeat interval, at least 3
// ticks of the network's clock ([WithTick]), at most 1 h.
func (c ConsensusConfig) WithElectionTimeout(d time.Duration) ConsensusConfig {
	c.electionTimeout = d
	return c
}

// WithElectionJitter sets how much may be added to the election timeout, drawn
// at random at each start: 0 to 1 h.
func (c ConsensusConfig) WithElectionJitter(d time.Duration) ConsensusConfig {
	c.electionJitter = d
	return c
}

// WithBootstrapDelay sets how long a member looks for an existing group before
// it helps to form one: 0 to 1 h.
func (c ConsensusConfig) WithBootstrapDelay(d time.Duration) ConsensusConfig {
	c.bootstrapDelay = d
	return c
}

// WithForwardTimeout sets how long one attempt of a command may take before it
// is tried again, within the caller's context: 1 ms to 1 h, and at least 3 ticks
// of the network's clock ([WithTick]). Choose more than the round trip to the
// most distant member.
func (c ConsensusConfig) WithForwardTimeout(d time.Duration) ConsensusConfig {
	c.forwardTimeout = d
	return c
}

// WithQueryTimeout sets how long one attempt of a strong read may take before
// it is tried again, within the caller's context: 1 ms to 1 h, and at least 3
// ticks of the network's clock ([WithTick]). Choose more than two round trips to
// the most distant member. Attempts that are not answered take longer each time, up to
// four times as long.
func (c ConsensusConfig) WithQueryTimeout(d time.Duration) ConsensusConfig {
	c.queryTimeout = d
	return c
}

// HeartbeatInterval returns the longest silence before a heartbeat is sent.
func (c ConsensusConfig) HeartbeatInterval() time.Duration { return c.heartbeatInterval }

// HeartbeatJitter returns by how much a heartbeat may come early.
func (c ConsensusConfig) HeartbeatJitter() time.Duration { return c.heartbeatJitter }

// MaxMissedHeartbeats returns how many intervals of silence close a bond.
func (c ConsensusConfig) MaxMissedHeartbeats() int { return c.maxMissedHeartbeats }

// ElectionTimeout returns the shortest election timeout.
func (c ConsensusConfig) ElectionTimeout() time.Duration { return c.electionTimeout }

// ElectionJitter returns how much may be added to the election timeout.
func (c ConsensusConfig) ElectionJitter() time.Duration { return c.electionJitter }

// BootstrapDelay returns how long a member looks for a group before forming one.
func (c ConsensusConfig) BootstrapDelay() time.Duration { return c.bootstrapDelay }

// ForwardTimeout returns how long one attempt of a command may take.
func (c ConsensusConfig) ForwardTimeout() time.Duration { return c.forwardTimeout }

// QueryTimeout returns how long one attempt of a strong read may take.
func (c ConsensusConfig) QueryTimeout() time.Duration { return c.queryTimeout }

// ElectionTimeoutDraw returns an election timeout drawn uniformly from
// [ElectionTimeout, ElectionTimeout+ElectionJitter), or the election timeout
// itself without jitter.
func (c ConsensusConfig) ElectionTimeoutDraw() time.Duration {
	if c.electionJitter <= 0 {
		return c.electionTimeout
	}
	return c.electionTimeout + rand.N(c.electionJitter)
}

// Digest returns the part of the configuration that members share, as it enters
// the group's id: heartbeat interval and jitter in milliseconds and the allowed
// misses. It is meaningful for a valid configuration only.
func (c ConsensusConfig) Digest() sm.Digest {
	return sm.Parts(
		u128le(c.heartbeatInterval.Milliseconds()),
		u128le(c.heartbeatJitter.Milliseconds()),
		u128le(int64(c.maxMissedHeartbeats)),
	)
}

func u128le(n int64) []byte {
	b := make([]byte, 16)
	binary.LittleEndian.PutUint64(b, uint64(n))
	return b
}

// Validate returns an error that names the first field out of its range, by its
// JSON name, with its value and the bound.
func (c ConsensusConfig) Validate() error {
	err := cmp.Or(
		inRange("heartbeat_interval", c.heartbeatInterval, minInterval, maxInterval),
		wholeMilliseconds("heartbeat_interval", c.heartbeatInterval),
		inRange("heartbeat_jitter", c.heartbeatJitter, 0, maxInterval),
		wholeMilliseconds("heartbeat_jitter", c.heartbeatJitter),
		lessThan("heartbeat_jitter", c.heartbeatJitter, "heartbeat_interval", c.heartbeatInterval),
		inRange("max_missed_heartbeats", c.maxMissedHeartbeats, 1, maxMissed),
		inRange("election_timeout", c.electionTimeout, minInterval, maxInterval),
		moreThan("election_timeout", c.electionTimeout, "heartbeat_interval", c.heartbeatInterval),
		inRange("election_jitter", c.electionJitter, 0, maxInterval),
		inRange("bootstrap_delay", c.bootstrapDelay, 0, maxInterval),
		inRange("forward_timeout", c.forwardTimeout, minInterval, maxInterval),
		inRange("query_timeout", c.queryTimeout, minInterval, maxInterval),
	)
	if err != nil {
		return fmt.Errorf("mosaik: validate consensus config: %w", err)
	}
	return nil
}

// fits returns an error that names the first timeout that is too short for Raft's
// clock, which counts in ticks.
func (c ConsensusConfig) fits(tick time.Duration) error {
	for _, t := range []struct {
		name  string
		value time.Duration
	}{
		{"election_timeout", c.electionTimeout},
		{"forward_timeout", c.forwardTimeout},
		{"query_timeout", c.queryTimeout},
	} {
		if t.value < minTicks*tick {
			return fmt.Errorf("%s is %v: must be at least %d ticks of %v; raise it or shorten the tick (WithTick)",
				t.name, t.value, minTicks, tick)
		}
	}
	return nil
}

// String returns the fields in one line, for logs.
func (c ConsensusConfig) String() string { return printFields(c.fields()) }

// MarshalJSON implements [json.Marshaler]: an object with durations as text,
// such as "500ms".
func (c ConsensusConfig) MarshalJSON() ([]byte, error) { return marshalFields(c.fields()) }

// UnmarshalJSON implements [json.Unmarshaler]. Fields that are absent or null
// keep the value they have in c, or the default when c is the zero value.
// Unknown fields and values that [ConsensusConfig.Validate] refuses are errors,
// which leave c as it was.
func (c *ConsensusConfig) UnmarshalJSON(data []byte) error {
	next := cmp.Or(*c, DefaultConsensusConfig())
	if err := unmarshalFields(data, next.fields()); err != nil {
		return fmt.Errorf("mosaik: unmarshal consensus config: %w", err)
	}
	if err := next.Validate(); err != nil {
		return err
	}
	*c = next
	return nil
}

func (c *ConsensusConfig) fields() []configField {
	return []configField{
		{"heartbeat_interval", &c.heartbeatInterval},
		{"heartbeat_jitter", &c.heartbeatJitter},
		{"max_missed_heartbeats", &c.maxMissedHeartbeats},
		{"election_timeout", &c.electionTimeout},
		{"election_jitter", &c.electionJitter},
		{"bootstrap_delay", &c.bootstrapDelay},
		{"forward_timeout", &c.forwardTimeout},
		{"query_timeout", &c.queryTimeout},
	}
}

// A configField is one field of a configuration: its name in JSON and in errors,
// and where its value is, a *time.Duration, an *int or a *bool.
type configField struct {
	name  string
	value any
}

func (f configField) String() string {
	switch v := f.value.(type) {
	case *time.Duration:
		return v.String()
	case *bool:
		return strconv.FormatBool(*v)
	}
	return strconv.Itoa(*f.value.(*int))
}

func (f configField) marshal() []byte {
	if _, ok := f.value.(*time.Duration); ok {
		return strconv.AppendQuote(nil, f.String())
	}
	return []byte(f.String())
}

func (f configField) unmarshal(data []byte) error {
	d, ok := f.value.(*time.Duration)
	if !ok {
		return json.Unmarshal(data, f.value)
	}
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New(`want text such as "500ms"`)
	}
	if text == nil {
		return nil
	}
	parsed, err := time.ParseDuration(*text)
	if err != nil {
		return errors.New(`want a number with its unit, such as "500ms"`)
	}
	*d = parsed
	return nil
}

func printFields(fields []configField) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.name + "=" + f.String()
	}
	return strings.Join(texts, " ")
}

func marshalFields(fields []configField) ([]byte, error) {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = strconv.Quote(f.name) + ":" + string(f.marshal())
	}
	return []byte("{" + strings.Join(texts, ",") + "}"), nil
}

func unmarshalFields(data []byte, fields []configField) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	for _, f := range fields {
		if text, ok := given[f.name]; ok {
			if err := f.unmarshal(text); err != nil {
				return fmt.Errorf("%s is %s: %w", f.name, text, err)
			}
			delete(given, f.name)
		}
	}
	if unknown := slices.Sorted(maps.Keys(given)); len(unknown) > 0 {
		return fmt.Errorf("unknown field %q", unknown[0])
	}
	return nil
}

func inRange[T int | time.Duration](name string, v, lo, hi T) error {
	if v < lo || v > hi {
		return fmt.Errorf("%s is %v: must be from %v to %v", name, v, lo, hi)
	}
	return nil
}

func lessThan(name string, v time.Duration, boundName string, bound time.Duration) error {
	if v >= bound {
		return fmt.Errorf("%s is %v: must be less than %s, which is %v", name, v, boundName, bound)
	}
	return nil
}

func moreThan(name string, v time.Duration, boundName string, bound time.Duration) error {
	if v <= bound {
		return fmt.Errorf("%s is %v: must be more than %s, which is %v", name, v, boundName, bound)
	}
	return nil
}

func wholeMilliseconds(name string, d time.Duration) error {
	if d%time.Millisecond != 0 {
		return fmt.Errorf("%s is %v: must be whole milliseconds", name, d)
	}
	return nil
}
