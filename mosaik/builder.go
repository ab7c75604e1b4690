package mosaik

import (
	"context"
	"slices"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// Groups joins groups of a network. Get it from [Network.Groups].
type Groups struct{ net *Network }

// WithKey returns a builder for the group of the given key.
func (g *Groups) WithKey(key GroupKey) KeyedBuilder {
	return KeyedBuilder{newSettings(g.net, key)}
}

// KeyedBuilder is a group with a key and without a machine. It is a value: every method returns a
// changed copy and does not modify the receiver. Repeated and nil settings have the meaning that
// [Option] states. [KeyedBuilder.Join] returns the errors of all settings.
//
// A group that is joined without a machine has no commands and only elects a
// leader. [WithStateMachine] gives the group a machine. Storage is set after the
// machine, because it stores the machine's commands.
type KeyedBuilder struct{ settings settings }

// WithConsensusConfig sets the group's timing. Fields of c that are zero have the
// machine's defaults ([consensus.Defaulter]), or else those of [consensus.Config].
func (b KeyedBuilder) WithConsensusConfig(c consensus.Config) KeyedBuilder {
	b.settings.consensus = c
	return b
}

// RequireTicket admits only peers that hold a ticket that v accepts. Each call adds
// a validator, and a peer must satisfy all of them. Their order and number are part
// of the group's id.
//
// A peer's tickets are validated in the handshake, whenever they change, when the
// first of them expires, and when a [ticket.Watchable] validator changes. The
// connection to a peer that fails is closed. A validator that panics, or takes
// longer than a second, refuses the peer and has no other effect.
func (b KeyedBuilder) RequireTicket(v ticket.Validator) KeyedBuilder {
	b.settings.requireTicket(v)
	return b
}

// WithRole sets this member's part in elections.
func (b KeyedBuilder) WithRole(r consensus.Role) KeyedBuilder {
	b.settings.role = r
	return b
}

// WithMembership sets how many members the group has and how it replaces members.
// All members must set the same policy; members that differ refuse each other.
func (b KeyedBuilder) WithMembership(p consensus.Policy) KeyedBuilder {
	b.settings.policy = p
	return b
}

// WithTokenFloor makes the fencing tokens of this group ([Group.Leadership]) higher
// than n, from 0 to 1<<62. Set it to the highest token that the fenced resource has
// seen. It has an effect while a member that sets it founds the group or leads it,
// so set it on every member. It is needed only where a group forms again from
// nothing, after all members with logs in memory ended or all directories were lost,
// on machines whose clocks may have gone back.
func (b KeyedBuilder) WithTokenFloor(n uint64) KeyedBuilder {
	b.settings.tokenFloor = n
	return b
}

// WithLogStorage keeps the log of a group without a machine in s, for instance in
// [logstore.Disk], so that a member which restarts keeps its vote. A machine cannot
// be set afterwards: its commands need a storage of their own type.
func (b KeyedBuilder) WithLogStorage(s logstore.Storage[struct{}]) GroupBuilder[struct{}, logstore.Storage[struct{}], sm.NoOp] {
	return b.withoutMachine().WithLogStorage(s)
}

// Join joins the group for leader election only. See [GroupBuilder.Join].
func (b KeyedBuilder) Join(ctx context.Context) (*Group[struct{}, sm.NoOp], error) {
	return b.withoutMachine().Join(ctx)
}

func (b KeyedBuilder) withoutMachine() GroupBuilder[struct{}, *logstore.Memory[struct{}], sm.NoOp] {
	return WithStateMachine(b, func() sm.NoOp { return sm.NoOp{} })
}

// WithStateMachine gives the group its machine. The log is in memory unless
// [GroupBuilder.WithLogStorage] sets another storage.
//
// The constructor newMachine returns a machine without state. It is called at each
// join, and again when the member gets another replica during the life of the
// process. Then two machines exist for a time: the former one answers reads until
// the new one has applied as much (see [Query]). So machines must not share
// anything that only one of them may use, such as a file.
//
// WithStateMachine is a function because before Go 1.27 a method cannot have type
// parameters. They are inferred from newMachine. With Go 1.27 or later,
// KeyedBuilder also has it as a method.
func WithStateMachine[C any, M sm.StateMachine[C]](b KeyedBuilder, newMachine func() M) GroupBuilder[C, *logstore.Memory[C], M] {
	return GroupBuilder[C, *logstore.Memory[C], M]{
		settings:   b.settings,
		newMachine: newMachine,
		storage:    logstore.NewMemory[C](),
	}
}

// GroupBuilder is a group with a key, a machine M with commands of type C, and a
// storage S for its log. It is a value like [KeyedBuilder]: every method returns a
// changed copy.
type GroupBuilder[C any, S logstore.Storage[C], M sm.StateMachine[C]] struct {
	settings   settings
	newMachine func() M
	storage    S
}

// WithLogStorage keeps the group's log in s. The type of the returned builder is the
// same for every storage. To choose the storage at run time, set one first:
//
//	b := mosaik.WithStateMachine(keyed, ledger.New).
//		WithLogStorage(logstore.NewMemory[ledger.Command]())
//	if dir != "" {
//		b = b.WithLogStorage(logstore.Disk[ledger.Command]())
//	}
func (b GroupBuilder[C, S, M]) WithLogStorage(s logstore.Storage[C]) GroupBuilder[C, logstore.Storage[C], M] {
	return GroupBuilder[C, logstore.Storage[C], M]{settings: b.settings, newMachine: b.newMachine, storage: s}
}

// WithConsensusConfig sets the group's timing. See
// [KeyedBuilder.WithConsensusConfig].
func (b GroupBuilder[C, S, M]) WithConsensusConfig(c consensus.Config) GroupBuilder[C, S, M] {
	b.settings.consensus = c
	return b
}

// RequireTicket adds a ticket validator. See [KeyedBuilder.RequireTicket].
func (b GroupBuilder[C, S, M]) RequireTicket(v ticket.Validator) GroupBuilder[C, S, M] {
	b.settings.requireTicket(v)
	return b
}

// WithRole sets this member's part in elections.
func (b GroupBuilder[C, S, M]) WithRole(r consensus.Role) GroupBuilder[C, S, M] {
	b.settings.role = r
	return b
}

// WithMembership sets how many members the group has. See
// [KeyedBuilder.WithMembership].
func (b GroupBuilder[C, S, M]) WithMembership(p consensus.Policy) GroupBuilder[C, S, M] {
	b.settings.policy = p
	return b
}

// WithTokenFloor makes fencing tokens higher than n. See
// [KeyedBuilder.WithTokenFloor].
func (b GroupBuilder[C, S, M]) WithTokenFloor(n uint64) GroupBuilder[C, S, M] {
	b.settings.tokenFloor = n
	return b
}

// WithHistory sets how many bytes of applied commands this member keeps for
// [Group.Commands]: 4 KiB to 1 GiB of encoded commands, each counted with about a hundred
// bytes more. The last command is always kept. Commands are kept from joining on. Without
// WithHistory the member keeps 4 MiB, from the first call of Commands on and nothing before
// it. The setting is local to the member.
func (b GroupBuilder[C, S, M]) WithHistory(size int) GroupBuilder[C, S, M] {
	b.settings.history = historySettings{size: size, fromJoin: true}
	return b
}

// WithSnapshots sets when this member takes a snapshot of its machine, if that is an
// [sm.Snapshotter]: when it has applied so many log entries since the last snapshot,
// or so many bytes of them, whichever comes first. From 10 to 10^9 entries, by
// default 10 000; from 4 KiB to 1 TiB, by default 64 MiB. The setting is local to
// the member.
//
// After a snapshot the log keeps the younger half of these entries, for members that
// are a little behind, so it does not grow much beyond one and a half times either
// bound. A snapshot takes time and space in proportion to the machine: with bounds
// well below its size a member copies it again and again. A member whose machine is no
// [sm.Freezer] applies nothing while it writes a snapshot, but continues to accept and
// replicate commands.
func (b GroupBuilder[C, S, M]) WithSnapshots(entries, bytes int64) GroupBuilder[C, S, M] {
	b.settings.snapshots = snapshotSettings{entries: entries, bytes: bytes}
	return b
}

// Join joins the group and returns without waiting for other members. [When.Online]
// waits until the group can be used. The context bounds the call only, not the
// membership.
//
// Joining a group that this network has already joined returns a second handle on
// it. Close each handle with [Group.Leave]; the last one leaves the group. The second
// join must use the same machine type, storage type and settings. Ticket validators
// are compared by their signatures, and those of the first join stay in use.
//
// Join fails with an error that names setting, value and range if a setting is out
// of its range, with [ErrStorage] if the log cannot be opened, with
// [ErrPrecondition] if an earlier join had other settings, and with
// [ErrClosed] on a closed network. While an earlier join of the same group opens
// its log, or its last handle is being left, Join waits for that until ctx ends.
func (b GroupBuilder[C, S, M]) Join(ctx context.Context) (*Group[C, M], error) {
	return join(ctx, b.settings, b.newMachine, b.storage)
}

// settings is what a builder collects, apart from its types.
type settings struct {
	net        *Network
	key        GroupKey
	consensus  consensus.Config // zero fields: the machine's defaults, or the library's
	validators []ticket.Validator
	role       consensus.Role
	policy     consensus.Policy
	tokenFloor uint64
	history    historySettings
	snapshots  snapshotSettings
}

func newSettings(net *Network, key GroupKey) settings {
	return settings{
		net:       net,
		key:       key,
		history:   historySettings{size: defaultHistory},
		snapshots: snapshotSettings{entries: defaultSnapshotEntries, bytes: defaultSnapshotBytes},
	}
}

// requireTicket adds a validator. It does not write into the slice of the builder
// that s was copied from.
func (s *settings) requireTicket(v ticket.Validator) {
	s.validators = append(slices.Clip(s.validators), v)
}
