// Package audit reads the log of a group, typed, for tools that look into it or
// export it.
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

// Entry is what one entry of a group's log asks for.
type Entry[C any] struct {
	Cursor sm.Cursor // in Raft's log
	// Committed says that the log knows that the entry cannot be lost any more. A
	// log learns it with the next entry, term or vote that it keeps: it is false
	// for the newest entries, which may have been acknowledged all the same.
	Committed bool
	Kind      Kind
	Time      time.Time // of the proposer's clock
	Session   [16]byte  // the proposer's
	Sequence  uint64    // the number in the session, from 1, of kind commands
	// Level is of kind commands the level of the schema at which they are encoded, 0
	// if it is not known, and of kind level the one to which it raises the schema.
	Level    uint32
	Commands []C // in their order; none for most kinds
}

// Kind says what a [Entry] is for.
type Kind uint8

// The kinds of log entries.
const (
	KindCommands Kind = Kind(format.KindCommands) // applies commands
	KindOpen     Kind = Kind(format.KindOpen)     // opens the epoch for commands
	KindSeal     Kind = Kind(format.KindSeal)     // ends the epoch, if it holds no more than it should
	KindLevel    Kind = Kind(format.KindLevel)    // raises the level of the schema
	KindSession  Kind = Kind(format.KindSession)  // opens a session
	KindAncestor Kind = Kind(format.KindAncestor) // says which epoch this one continues
	KindReplay   Kind = Kind(format.KindReplay)   // repeats commands of that epoch
	KindRestore  Kind = Kind(format.KindRestore)  // carries a part of a snapshot of it
)

// String returns the kind in a word.
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

// Read yields what a group's log holds, oldest first, for tools that audit or
// export it: a storage opens the log, and the codec is that of the machine's
// Spec. Raft's own entries are left out, and so is what was pruned, of which
// [logstore.State] says how far it goes. It only reads; the log may be that of a
// member that is running, and what is appended meanwhile is not yielded.
//
// A log says what was asked for, not what came of it. What is not committed may
// never be applied, or was already: see [Entry]. What is committed may have been
// refused, or be there again: a proposer
// that does not know an outcome sends the same sequence once more, and only the
// first counts. Commands of a higher level than the one to which the entries before
// had raised the schema were refused. To know the state, apply the log by joining the group.
//
// Commands are decoded at the level of their entry, and those whose level is not
// known at the newest one of the codec.
//
// The first error is the last thing yielded. It names the entry: one that cannot
// be read, or whose commands are not those of the codec. A [codec.ErrLevel] says
// that they are of a level that only a newer codec has.
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
		return nil, fmt.Errorf("they are of level %d of the schema, the codec has level 1: %w", e.Level, codec.ErrLevel)
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
