package consensus

import (
	"cmp"
	"fmt"
	"time"
)

// Ranges of the fields of a [Config].
const (
	minInterval = time.Millisecond
	maxInterval = time.Hour
	maxMissed   = 1000
)

// None sets a jitter or a delay of a [Config] to zero. The zero value of
// such a field means its default. JSON has no need of it: there "0s" is zero, and
// a field that is left out has its default.
const None time.Duration = -1

// Config is the timing of a group: heartbeats, elections, and how long
// one attempt of a call may take. A field that is zero has its default, and the
// zero value is the default configuration:
//
//	config := consensus.Config{
//		ElectionTimeout: time.Second,
//		ElectionJitter:  consensus.None,
//	}
//
// HeartbeatInterval, HeartbeatJitter and MaxMissedHeartbeats are part of the
// group's id, so members that differ in one of them are in different groups. The
// other fields are local to a member.
//
// A Config can be compared and copied. In JSON it is an object of the
// fields that are set, with names such as "election_timeout" and durations such as
// "500ms".
type Config struct {
	// HeartbeatInterval is the longest silence on a connection between two members
	// before a heartbeat is sent: 1 ms to 1 h, in whole milliseconds. The default is
	// 500 ms.
	HeartbeatInterval time.Duration
	// HeartbeatJitter is the most by which a heartbeat may come before its interval
	// ends, drawn at random each time: None, or less than the interval, in whole
	// milliseconds. The default is 150 ms.
	HeartbeatJitter time.Duration
	// MaxMissedHeartbeats is the number of heartbeat intervals of silence after which
	// a connection is closed: 1 to 1000. The default is 10.
	MaxMissedHeartbeats int

	// ElectionTimeout is how long a follower waits for a message from a leader before
	// it stands for election: more than the heartbeat interval, at least 3 ticks of
	// the network's clock (mosaik.WithTick), at most 1 h. The default is 2 s.
	ElectionTimeout time.Duration
	// ElectionJitter is the most by which a member lengthens its election timeout,
	// drawn at random when it joins: None, or up to 1 h. The default is 500 ms.
	ElectionJitter time.Duration
	// BootstrapDelay is how long a member looks for an existing group before it helps
	// to form one: None, or up to 1 h. The default is 3 s.
	BootstrapDelay time.Duration

	// ForwardTimeout is how long one attempt of a command may take before the command
	// is sent again, within the caller's context: 1 ms to 1 h, and at least 3 ticks of
	// the network's clock. Choose more than the round-trip time (RTT) to the most
	// distant member. The default is 2 s.
	ForwardTimeout time.Duration
	// QueryTimeout is how long one attempt of a strong read may take before the read
	// is tried again, within the caller's context: 1 ms to 1 h, and at least 3 ticks
	// of the network's clock. Choose more than twice the RTT to the most distant
	// member. Each attempt that is not answered makes the next one longer, up to four
	// times this value. The default is 2 s.
	QueryTimeout time.Duration
}

// defaults is what the zero fields of a Config mean.
var defaults = Config{
	HeartbeatInterval:   500 * time.Millisecond,
	HeartbeatJitter:     150 * time.Millisecond,
	MaxMissedHeartbeats: 10,
	ElectionTimeout:     2 * time.Second,
	ElectionJitter:      500 * time.Millisecond,
	BootstrapDelay:      3 * time.Second,
	ForwardTimeout:      2 * time.Second,
	QueryTimeout:        2 * time.Second,
}

// Defaulter is implemented by machines that need other defaults than
// those of [Config]. A field applies where the builder's configuration
// leaves it zero. ConsensusDefaults must return the same value in every process,
// because the group's id depends on it.
type Defaulter interface{ ConsensusDefaults() Config }

// WithDefaults returns c with its default in each field that is zero. Fields that
// are None stay None, so the result means the same as c. The defaults of a machine
// ([Defaulter]) are not considered; Group.Config returns what applies
// to a group.
func (c Config) WithDefaults() Config { return c.Or(defaults) }

// Or returns c with the fields of d in place of those that are zero.
func (c Config) Or(d Config) Config {
	return Config{
		HeartbeatInterval:   cmp.Or(c.HeartbeatInterval, d.HeartbeatInterval),
		HeartbeatJitter:     cmp.Or(c.HeartbeatJitter, d.HeartbeatJitter),
		MaxMissedHeartbeats: cmp.Or(c.MaxMissedHeartbeats, d.MaxMissedHeartbeats),
		ElectionTimeout:     cmp.Or(c.ElectionTimeout, d.ElectionTimeout),
		ElectionJitter:      cmp.Or(c.ElectionJitter, d.ElectionJitter),
		BootstrapDelay:      cmp.Or(c.BootstrapDelay, d.BootstrapDelay),
		ForwardTimeout:      cmp.Or(c.ForwardTimeout, d.ForwardTimeout),
		QueryTimeout:        cmp.Or(c.QueryTimeout, d.QueryTimeout),
	}
}

// Validate returns an error if a field is out of its range. The error names the
// first such field as in JSON, its value and the bound.
func (c Config) Validate() error { return prefixed(c.validate()) }

// validate is Validate without the prefix.
func (c Config) validate() error {
	e := c.WithDefaults()
	jitter := orNone(e.HeartbeatJitter)
	err := cmp.Or(
		inRange("heartbeat_interval", e.HeartbeatInterval, minInterval, maxInterval),
		wholeMilliseconds("heartbeat_interval", e.HeartbeatInterval),
		inRangeOrNone("heartbeat_jitter", e.HeartbeatJitter),
		wholeMilliseconds("heartbeat_jitter", jitter),
		inRange("max_missed_heartbeats", e.MaxMissedHeartbeats, 1, maxMissed),
		inRange("election_timeout", e.ElectionTimeout, minInterval, maxInterval),
		inRangeOrNone("election_jitter", e.ElectionJitter),
		inRangeOrNone("bootstrap_delay", e.BootstrapDelay),
		inRange("forward_timeout", e.ForwardTimeout, minInterval, maxInterval),
		inRange("query_timeout", e.QueryTimeout, minInterval, maxInterval),
	)
	interval := described(c.HeartbeatInterval, e.HeartbeatInterval)
	switch {
	case err != nil:
	case jitter >= e.HeartbeatInterval:
		err = fmt.Errorf("heartbeat_jitter is %s: must be less than heartbeat_interval, which is %s",
			described(c.HeartbeatJitter, e.HeartbeatJitter), interval)
	case e.ElectionTimeout <= e.HeartbeatInterval:
		err = fmt.Errorf("election_timeout is %s: must be more than heartbeat_interval, which is %s",
			described(c.ElectionTimeout, e.ElectionTimeout), interval)
	}
	if err != nil {
		return fmt.Errorf("validate consensus config: %w", err)
	}
	return nil
}

// inRangeOrNone returns an error that names the field if d is neither None nor a
// duration up to maxInterval.
func inRangeOrNone(name string, d time.Duration) error {
	if err := inRange(name, orNone(d), 0, maxInterval); err != nil {
		return fmt.Errorf("%w, or consensus.None for 0s", err)
	}
	return nil
}

// String returns all fields in one line, the defaults included, for logs.
func (c Config) String() string {
	c = c.WithDefaults()
	return printFields(c.fields())
}

// MarshalJSON implements [json.Marshaler]: an object of the fields that are not
// zero, with durations as text such as "500ms" and None as "0s".
func (c Config) MarshalJSON() ([]byte, error) { return marshalFields(c.fields()) }

// UnmarshalJSON implements [json.Unmarshaler]. A field that is absent or null
// keeps the value that it has in c; "0s" sets a jitter or a delay to None. An
// unknown field, a zero that the field's range excludes, and a result that
// [Config.Validate] refuses are errors, after which c is unchanged.
func (c *Config) UnmarshalJSON(data []byte) error {
	next := *c
	if err := unmarshalFields(data, next.fields()); err != nil {
		return fmt.Errorf("mosaik: unmarshal consensus config: %w", err)
	}
	if err := next.Validate(); err != nil {
		return err
	}
	*c = next
	return nil
}

func (c *Config) fields() []configField {
	return []configField{
		{"heartbeat_interval", &c.HeartbeatInterval, zeroInvalid},
		{"heartbeat_jitter", &c.HeartbeatJitter, zeroIsNone},
		{"max_missed_heartbeats", &c.MaxMissedHeartbeats, zeroInvalid},
		{"election_timeout", &c.ElectionTimeout, zeroInvalid},
		{"election_jitter", &c.ElectionJitter, zeroIsNone},
		{"bootstrap_delay", &c.BootstrapDelay, zeroIsNone},
		{"forward_timeout", &c.ForwardTimeout, zeroInvalid},
		{"query_timeout", &c.QueryTimeout, zeroInvalid},
	}
}
