// Package audit reads the typed commands in a group's log, for tools that audit or export it.
package audit

import (
	"fmt"
	"iter"
	"time"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// Entry is one entry of a group's log: a request, not its outcome.
type Entry[C any] struct {
	Cursor sm.Cursor // the position in Raft's log
	// Committed reports that the log knows the entry to be committed. A log learns that with the
	// next entry, term or vote that it saves: Committed is false for the newest entries, which may
	// have been acknowledged all the same.
	Committed bool
	Kind      Kind
	Time      time.Time // by the proposer's clock
	Session   [16]byte  // the proposer's session
	Sequence  uint64    // the number in the session, from 1; of KindCommands only
	// Level is the level of the schema at which the commands of KindCommands are encoded, 0 if
	// it is unknown, and the level to which KindLevel raises the schema.
	Level    uint32
	Commands []C // in their order; empty for most kinds
}

// Kind is the kind of request that an [Entry] holds.
type Kind uint8

// The kinds of log entries.
const (
	KindCommands Kind = Kind(format.KindCommands) // applies commands
	KindOpen     Kind = Kind(format.KindOpen)     // opens the epoch for commands
	KindSeal     Kind = Kind(format.KindSeal)     // ends the epoch, unless it holds more commands than the entry allows
	KindLevel    Kind = Kind(format.KindLevel)    // raises the level of the schema
	KindSession  Kind = Kind(format.KindSession)  // opens a session
	KindAncestor Kind = Kind(format.KindAncestor) // names the epoch that this one continues
	KindReplay   Kind = Kind(format.KindReplay)   // repeats commands of that epoch
	KindRestore  Kind = Kind(format.KindRestore)  // carries a part of a snapshot of that epoch
)

// String returns the kind in one word.
func (k Kind) String() string {
	switch k {
	case KindCommands:
		return "commands"
	case KindOpen:
		return "open"
	case KindSeal:
		return "seal"
	case KindLevel:
		return "level"
	case KindSession:
		return "session"
	case KindAncestor:
		return "ancestor"
	case KindReplay:
		return "replay"
	case KindRestore:
		return "restore"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Read yields the entries of a group's log, oldest first. A storage opens the log, and commands
// is the codec of the machine's Spec. Raft's own entries and pruned entries are omitted:
// [logstore.State] holds the last pruned index. Read does not change the log, which may belong to a
// running member; entries that are appended meanwhile are not yielded.
//
// A log holds requests. An entry that is not committed may never be applied. A committed one
// may have been refused, or may repeat an earlier one: a proposer that does not know an outcome
// sends the same sequence again, and only the first copy counts. Commands of a level above the
// one to which earlier entries raised the schema were refused. To know the state, join the
// group, which applies the log.
//
// Commands are decoded at the level of their entry, and at the newest level of the codec where
// the entry's is unknown.
//
// The first error ends the sequence. It names the entry that cannot be read, or whose commands
// the codec cannot decode. With a [codec.ErrLevel], a newer codec is needed.
func Read[C any](log logstore.Log, commands codec.Codec[C]) iter.Seq2[Entry[C], error] {
	return func(yield func(Entry[C], error) bool) {
		state, err := log.State()
		if err != nil {
			yield(Entry[C]{}, fmt.Errorf("audit: read log: %w", err))
			return
		}
		for e, err := range engine.Proposals(log, state.Last.Index) {
			var out Entry[C]
			if err == nil {
				out, err = parse(e, commands)
			}
			if err != nil {
				yield(Entry[C]{}, fmt.Errorf("audit: read log: %w", err))
				return
			}
			out.Committed = e.Index <= state.Hard.Commit
			if !yield(out, nil) {
				return
			}
		}
	}
}

func parse[C any](e engine.Entry, commands codec.Codec[C]) (Entry[C], error) {
	env, err := format.Parse(e.Data)
	if err != nil {
		return Entry[C]{}, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	out := Entry[C]{
		Cursor:  sm.Cursor{Index: e.Index, Term: e.Term},
		Kind:    Kind(env.Kind),
		Time:    time.Unix(0, env.Time).UTC(),
		Session: env.Session,
		Level:   env.Level,
	}
	switch env.Kind {
	case format.KindCommands:
		out.Sequence = env.Sequence
		out.Commands, err = decodeAll(nil, &env, commands)
	case format.KindReplay:
		for _, entry := range env.Commands.All() {
			old, bad := format.Parse(entry)
			if err = bad; err == nil && old.Kind == format.KindCommands {
				out.Commands, err = decodeAll(out.Commands, &old, commands)
			}
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return Entry[C]{}, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	return out, nil
}

// decodeAll appends the decoded commands of an entry to dst.
func decodeAll[C any](dst []C, e *format.Envelope, commands codec.Codec[C]) ([]C, error) {
	decode := commands.Decode
	if leveled, ok := commands.(codec.Leveled[C]); ok && e.Level != 0 {
		decode = func(b []byte) (C, error) { return leveled.DecodeLevel(b, e.Level) }
	} else if e.Level > 1 {
		return nil, fmt.Errorf("the commands are of level %d of the schema, and the codec has level 1: %w", e.Level, codec.ErrLevel)
	}
	for i, b := range e.Commands.All() {
		c, err := decode(b)
		if err != nil {
			return nil, fmt.Errorf("command %d: %w", i, err)
		}
		dst = append(dst, c)
	}
	return dst, nil
}
