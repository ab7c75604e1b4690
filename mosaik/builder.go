package mosaik

import (
	"context"
	"slices"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// Groups joins the groups of a network. Get it from [Network.Groups].
type Groups struct{ net *Network }

// WithKey begins to join the group of the given key.
func (g *Groups) WithKey(key GroupKey) KeyedBuilder {
	return KeyedBuilder{settings{net: g.net, key: key, role: Normal(), policy: DefaultPolicy()}}
}

// settings is what a builder gathers, apart from the types.
type settings struct {
	net        *Network
	key        GroupKey
	consensus  *ConsensusConfig // nil: the machine's, else the default
	validators []ticket.Validator
	role       Role
	policy     Policy
	tokenFloor uint64
}

// maxTokenFloor bounds the token floor: tokens are above it, and must not overflow.
const maxTokenFloor = 1 << 62

func (s settings) withConsensus(c ConsensusConfig) settings {
	s.consensus = &c
	return s
}

func (s settings) withTicket(v ticket.Validator) settings {
	s.validators = append(slices.Clip(s.validators), v)
	return s
}

func (s settings) withRole(r Role) settings { s.role = r; return s }

func (s settings) withMembership(p Policy) settings { s.policy = p; return s }

func (s settings) withTokenFloor(n uint64) settings { s.tokenFloor = n; return s }

// KeyedBuilder is a group with a key and no machine yet. It is a value: every
// method returns a changed copy and leaves the receiver as it was.
//
// Joined as it is, the group has no state and only elects a leader. For a group
// with state, pass the builder to [WithStateMachine]; storage belongs to a
// machine and can be set only after it.
type KeyedBuilder struct{ settings settings }

// WithConsensusConfig sets the consensus configuration. The last call wins. The
// parts that members must agree on enter the group's id.
func (b KeyedBuilder) WithConsensusConfig(c ConsensusConfig) KeyedBuilder {
	return KeyedBuilder{b.settings.withConsensus(c)}
}

// RequireTicket admits only peers that hold a ticket that v accepts. Every call
// adds a condition; their order and number enter the group's id. All must hold:
// a peer's tickets are looked at in the handshake, whenever they change, when
// the first of them expires, and when a [ticket.Watchable] validator changes;
// a bond whose peer fails ends at once. Validators that panic, or take longer
// than a second, refuse the peer and harm nothing else.
func (b KeyedBuilder) RequireTicket(v ticket.Validator) KeyedBuilder {
	return KeyedBuilder{b.settings.withTicket(v)}
}

// WithRole sets this member's part in elections. The last call wins.
func (b KeyedBuilder) WithRole(r Role) KeyedBuilder { return KeyedBuilder{b.settings.withRole(r)} }

// WithMembership sets how many voters the group has. All members must set the
// same; those that differ refuse each other. The last call wins.
func (b KeyedBuilder) WithMembership(p Policy) KeyedBuilder {
	return KeyedBuilder{b.settings.withMembership(p)}
}

// WithTokenFloor makes fencing tokens higher than n, 0 to 1<<62: the highest token
// that the fenced resource has seen. The last call wins. A group that forms takes it
// into account when a member that has it founds the group; in a group that exists a
// leader that has it raises the tokens before it claims to lead ([Group.Leadership]).
// Members need not have the same floor, but only those that have it raise the tokens.
//
// It is needed only where a group forms again, after all members with memory logs
// ended or all directories were lost, on machines whose clocks may have gone back.
func (b KeyedBuilder) WithTokenFloor(n uint64) KeyedBuilder {
	return KeyedBuilder{b.settings.withTokenFloor(n)}
}

// Join joins the group for leader election only. See [GroupBuilder.Join].
func (b KeyedBuilder) Join(ctx context.Context) (*Group[struct{}, sm.NoOp], error) {
	return WithStateMachine(b, func() sm.NoOp { return sm.NoOp{} }).Join(ctx)
}

// WithStateMachine gives the group its machine. newMachine makes a fresh one; it
// is called at each join, and again when the member gets another replica in a living
// process. Then two machines can exist at a time: the former one answers reads until the
// new one has applied as much (see [Query]). So machines must not share anything that only
// one of them may use, such as a file. The log is kept in memory unless [GroupBuilder.WithLogStorage] says
// otherwise.
//
// It is a function because a Go method cannot introduce the types that come in
// here; they are inferred from newMachine.
func WithStateMachine[C any, M sm.StateMachine[C]](b KeyedBuilder, newMachine func() M) GroupBuilder[C, *logstore.Memory[C], M] {
	return GroupBuilder[C, *logstore.Memory[C], M]{
		settings:   b.settings,
		newMachine: newMachine,
		storage:    logstore.NewMemory[C](),
	}
}

// GroupBuilder is a group with a key and a machine M, whose commands are of type
// C and whose log lies in S. It is a value: every method returns a changed copy
// and leaves the receiver as it was.
type GroupBuilder[C any, S logstore.Storage[C], M sm.StateMachine[C]] struct {
	settings   settings
	newMachine func() M
	storage    S
}

// WithLogStorage keeps the group's log in s. The last call wins. The builder that it
// returns has a type of its own, the same for every storage: where the storage is
// chosen at run time, give the builder one before,
//
//	b := mosaik.WithStateMachine(keyed, ledger.New).WithLogStorage(logstore.NewMemory[ledger.Command]())
//	if dir != "" {
//		b = b.WithLogStorage(logstore.Disk[ledger.Command]())
//	}
func (b GroupBuilder[C, S, M]) WithLogStorage(s logstore.Storage[C]) GroupBuilder[C, logstore.Storage[C], M] {
	return GroupBuilder[C, logstore.Storage[C], M]{settings: b.settings, newMachine: b.newMachine, storage: s}
}

// WithConsensusConfig sets the consensus configuration, in place of what the
// machine may offer. See [KeyedBuilder.WithConsensusConfig].
func (b GroupBuilder[C, S, M]) WithConsensusConfig(c ConsensusConfig) GroupBuilder[C, S, M] {
	b.settings = b.settings.withConsensus(c)
	return b
}

// RequireTicket adds a condition of admission. See [KeyedBuilder.RequireTicket].
func (b GroupBuilder[C, S, M]) RequireTicket(v ticket.Validator) GroupBuilder[C, S, M] {
	b.settings = b.settings.withTicket(v)
	return b
}

// WithRole sets this member's part in elections. The last call wins.
func (b GroupBuilder[C, S, M]) WithRole(r Role) GroupBuilder[C, S, M] {
	b.settings = b.settings.withRole(r)
	return b
}

// WithMembership sets how many voters the group has. See
// [KeyedBuilder.WithMembership].
func (b GroupBuilder[C, S, M]) WithMembership(p Policy) GroupBuilder[C, S, M] {
	b.settings = b.settings.withMembership(p)
	return b
}

// WithTokenFloor makes fencing tokens higher than n. See
// [KeyedBuilder.WithTokenFloor].
func (b GroupBuilder[C, S, M]) WithTokenFloor(n uint64) GroupBuilder[C, S, M] {
	b.settings = b.settings.withTokenFloor(n)
	return b
}

// Join joins the group and returns at once; [When.Online] waits until the group
// can be used. The context bounds the call only, not the membership.
//
// Joining a group that this network has joined already gives a second handle on
// it; each handle is to be closed with [Group.Leave], and the group is left with
// the last. The second join must use the same machine type, storage type and
// settings; the validators of the first go on to decide.
//
// Join fails when a setting is out of its bounds (the error names setting,
// value and bound), with [ErrClosed] on a closed network, and with
// [ErrPrecondition] when an earlier join differs.
func (b GroupBuilder[C, S, M]) Join(ctx context.Context) (*Group[C, M], error) {
	return join(ctx, b.settings, b.newMachine, b.storage)
}
