package mosaik

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// Applied is a command that was applied on this member.
type Applied[C any] struct {
	// Epoch is the one in which the command was applied, and its index counts.
	Epoch Epoch
	// Cursor is the command's index, and the term in which it was written.
	Cursor sm.Cursor
	// Time is what the command's ApplyContext called Now.
	Time time.Time
	// Command is decoded for this consumer alone.
	Command C
}

// Applied yields the commands applied on this member, from the one of the given
// index on, 0 and 1 being the first, without gaps or repeats; those that it has
// not applied yet as it does so. The index counts in the given epoch; the zero Epoch
// stands for the one that this member is in. [Read] gives a state to begin with; its
// answer says in which epoch and after which index to follow:
//
//	view, err := mosaik.Read(ctx, group, mosaik.Strong, copyOf)
//	for a, err := range group.Applied(ctx, view.Epoch, view.Index+1) { … }
//
// The sequence may be ranged over again, and then begins at from again; to continue,
// call Applied with the epoch of the last command and the index after it. A slow consumer
// delays nothing. The sequence ends with an error, which is
//   - a [*BehindError] if this member no longer holds the command: the
//     consumer was too slow, the member caught up by snapshot, or nobody followed
//     the group before (see [GroupBuilder.WithHistory]). Read again and continue from there.
//   - [ErrOtherEpoch] if this member is, or comes to be, in another epoch, where indices
//     refer to different commands. Read again. An epoch that this member made by
//     [Group.Recover] continues the one before.
//   - the context's error, wrapped; [ErrClosed], [ErrPoisoned] or why the group
//     ended.
//
// One error does not end it: [ErrUndecodable] comes with the cursor of a command
// that this machine's codec refuses, which changed nothing.
func (g *Group[C, M]) Applied(ctx context.Context, epoch Epoch, from sm.Index) iter.Seq2[Applied[C], error] {
	if g.closed.Load() {
		return func(yield func(Applied[C], error) bool) { yield(Applied[C]{}, ErrClosed) }
	}
	history := g.joined.core.History()
	origin := history.Origin(epoch)
	return func(yield func(Applied[C], error) bool) {
		for next := max(from, 1); ; {
			r, err := history.Next(ctx, origin, next, func() error { return g.followEnds(ctx) })
			if err != nil {
				yield(Applied[C]{}, g.followError(err))
				return
			}
			for offset, data := range r.Commands.All() {
				index := r.First + sm.Index(offset)
				if index < next {
					continue
				}
				if err := g.followEnds(ctx); err != nil {
					yield(Applied[C]{}, g.followError(err))
					return
				}
				if !yield(g.decode(r, index, data)) {
					return
				}
				next = index + 1
			}
		}
	}
}

// decode makes a command of a record's bytes.
func (g *Group[C, M]) decode(r state.Record, index sm.Index, data []byte) (Applied[C], error) {
	a := Applied[C]{Epoch: r.Epoch, Cursor: sm.Cursor{Term: r.Term, Index: index}, Time: r.Time}
	var err error
	if a.Command, err = g.levels.decode(data, r.Level); err != nil {
		return a, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return a, nil
}

// followEnds returns why a consumer of commands gets no more, nil if it does.
func (g *Group[C, M]) followEnds(ctx context.Context) error {
	if g.closed.Load() {
		return ErrClosed
	}
	return watch.Cause(ctx)
}

// followError words why following ends.
func (g *Group[C, M]) followError(err error) error {
	var behind *BehindError
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrOtherEpoch) || errors.As(err, &behind) {
		return err
	}
	return fmt.Errorf("mosaik: follow the commands of group %s: %w", g.joined.id.Short(), err)
}
