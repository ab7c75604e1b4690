package mosaik

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// maxTokenFloor bounds the token floor: tokens are above it, and must not overflow.
const maxTokenFloor = 1 << 62

// plan is a join whose settings have been checked and completed.
type plan struct {
	settings         // with the defaults filled in
	id               sm.Digest
	machine, storage reflect.Type
}

// newPlan checks the settings, fills in their defaults and derives the group's id.
func newPlan[C any, S logstore.Storage[C], M sm.StateMachine[C]](s settings, newMachine func() M, storage S) (sm.Spec[C], plan, error) {
	spec, m, err := inspect[C](s, newMachine, storage)
	if err != nil {
		return sm.Spec[C]{}, plan{}, err
	}
	if s, err = s.complete(m); err != nil {
		return sm.Spec[C]{}, plan{}, err
	}
	signatures, err := s.signatures()
	if err != nil {
		return sm.Spec[C]{}, plan{}, err
	}
	sync := logReplaySync(spec.Name)
	if sn, ok := any(m).(sm.Snapshotter); ok {
		version, err := snapshotVersion(sn)
		if err != nil {
			return sm.Spec[C]{}, plan{}, err
		}
		sync = snapshotSync(spec.Name, version)
	}
	return spec, plan{
		settings: s,
		id:       groupID(s.key, s.consensus, spec.Signature, sync, signatures),
		machine:  reflect.TypeFor[M](),
		storage:  reflect.TypeOf(storage),
	}, nil
}

// inspect checks what a builder has besides its settings, and returns the
// machine's spec and a machine.
func inspect[C any, M sm.StateMachine[C]](s settings, newMachine func() M, storage logstore.Storage[C]) (spec sm.Spec[C], m M, err error) {
	switch secrets := len(s.key.secrets()); {
	case s.key.IsZero():
		return spec, m, errors.New("the group key is zero; make one with KeyFromText or RandomKey")
	case secrets > bond.MaxSecrets:
		return spec, m, fmt.Errorf("the group key holds %d secrets; at most %d are allowed", secrets, bond.MaxSecrets)
	case newMachine == nil:
		return spec, m, errors.New("the machine's constructor is nil")
	case isNil(storage):
		return spec, m, errors.New("the log storage is nil")
	}
	if m, err = construct(newMachine); err != nil {
		return spec, m, err
	}
	if spec, err = guarded("the machine's Spec", m.Spec); err != nil {
		return spec, m, err
	}
	return spec, m, spec.Validate()
}

// complete returns the settings with the defaults of the machine and of the
// library, or the error of the first that is out of its range.
func (s settings) complete(machine any) (settings, error) {
	if d, ok := machine.(consensus.Defaulter); ok {
		defaults, err := guarded("the machine's ConsensusDefaults", d.ConsensusDefaults)
		if err != nil {
			return s, err
		}
		s.consensus = s.consensus.Or(defaults)
	}
	if err := unprefixed(s.consensus.Validate()); err != nil {
		return s, err
	}
	s.consensus = s.consensus.WithDefaults()
	if err := checkTicks(s.consensus, s.net.opts.tick); err != nil {
		return s, err
	}
	if err := unprefixed(s.role.Validate()); err != nil {
		return s, err
	}
	if err := unprefixed(s.policy.Validate()); err != nil {
		return s, err
	}
	s.policy = s.policy.WithDefaults()
	if s.tokenFloor > maxTokenFloor {
		return s, fmt.Errorf("the token floor is %d: must be at most %d", s.tokenFloor, uint64(maxTokenFloor))
	}
	if err := s.history.validate(); err != nil {
		return s, err
	}
	return s, s.snapshots.validate()
}

// unprefixed returns an error of package consensus without the prefix of this library, which Join
// adds with the group's id.
func unprefixed(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// signatures returns the signatures of the ticket validators, in their order.
func (s settings) signatures() ([]sm.Digest, error) {
	signatures := make([]sm.Digest, len(s.validators))
	for i, v := range s.validators {
		if isNil(v) {
			return nil, fmt.Errorf("ticket validator %d is nil", i+1)
		}
		var err error
		if signatures[i], err = guarded(fmt.Sprintf("ticket validator %d's Signature", i+1), v.Signature); err != nil {
			return nil, err
		}
	}
	return signatures, nil
}

// difference names the first setting in which two joins of one group differ, ""
// if there is none.
func (p plan) difference(o plan) string {
	switch {
	case !p.key.Equal(o.key):
		return "its key holds other secrets"
	case p.machine != o.machine:
		return fmt.Sprintf("its machine is %v, not %v", p.machine, o.machine)
	case p.storage != o.storage:
		return fmt.Sprintf("its storage is %v, not %v", p.storage, o.storage)
	case p.consensus != o.consensus:
		return fmt.Sprintf("its consensus config is %v, not %v", p.consensus, o.consensus)
	case p.role != o.role:
		return fmt.Sprintf("its role is %v, not %v", p.role, o.role)
	case p.policy != o.policy:
		return fmt.Sprintf("its membership is %v, not %v", p.policy, o.policy)
	case p.tokenFloor != o.tokenFloor:
		return fmt.Sprintf("its token floor is %d, not %d", p.tokenFloor, o.tokenFloor)
	case p.history != o.history:
		return fmt.Sprintf("its history is %v, not %v", p.history, o.history)
	case p.snapshots != o.snapshots:
		return fmt.Sprintf("its snapshots are %v, not %v", p.snapshots, o.snapshots)
	}
	return ""
}

// The bounds of a history in bytes.
const (
	defaultHistory = 4 << 20
	minHistory     = 4 << 10
	maxHistory     = 1 << 30
)

// historySettings say how many commands a member keeps, and since when.
type historySettings struct {
	size     int  // in bytes
	fromJoin bool // from joining on, instead of from the first reader on
}

func (h historySettings) String() string {
	if h.fromJoin {
		return fmt.Sprintf("%d bytes from joining on", h.size)
	}
	return fmt.Sprintf("%d bytes from the first reader on", h.size)
}

func (h historySettings) validate() error {
	if h.size < minHistory || h.size > maxHistory {
		return fmt.Errorf("history of %d bytes: must be from %d to %d", h.size, minHistory, maxHistory)
	}
	return nil
}

// open returns an empty history.
func (h historySettings) open() *state.History {
	history := state.NewHistory(h.size)
	if h.fromJoin {
		history.Record()
	}
	return history
}

// The bounds between snapshots in log entries and in bytes of them.
const (
	defaultSnapshotEntries = 10_000
	minSnapshotEntries     = 10
	maxSnapshotEntries     = 1_000_000_000
	defaultSnapshotBytes   = 64 << 20
	minSnapshotBytes       = 4 << 10
	maxSnapshotBytes       = 1 << 40
)

// snapshotSettings say after how much of the log a member takes a snapshot.
type snapshotSettings struct{ entries, bytes int64 }

func (s snapshotSettings) String() string {
	return fmt.Sprintf("every %d entries or %d bytes", s.entries, s.bytes)
}

func (s snapshotSettings) validate() error {
	if s.entries < minSnapshotEntries || s.entries > maxSnapshotEntries {
		return fmt.Errorf("snapshots every %d entries: must be from %d to %d", s.entries, minSnapshotEntries, maxSnapshotEntries)
	}
	if s.bytes < minSnapshotBytes || s.bytes > maxSnapshotBytes {
		return fmt.Errorf("snapshots every %d bytes: must be from %d to %d", s.bytes, minSnapshotBytes, maxSnapshotBytes)
	}
	return nil
}
