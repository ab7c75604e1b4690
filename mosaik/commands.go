package mosaik

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// AppliedCommand is a command that was applied on this member.
type AppliedCommand[C any] struct {
	// Epoch is the epoch in which the command was applied and its index counts.
	Epoch consensus.Epoch
	// Cursor is the command's index, and the term in which it was written.
	Cursor sm.Cursor
	// Time is what the command's ApplyContext returned from Now.
	Time time.Time
	// Command is decoded for this consumer alone.
	Command C
}

// Commands yields the commands that this member has applied, from the given index on, without
// gaps or repeats, and then each later one when it is applied. 0 and 1 are the first index.
// The index counts in the given epoch; the zero Epoch stands for the present one. Begin with a
// [Read], whose result says in which epoch and after which index to continue:
//
//	view, err := mosaik.Read(ctx, group, mosaik.Strong, copyOf)
//	for c, err := range group.Commands(ctx, view.Epoch, view.Index+1) { … }
//
// Ranging over the sequence again begins at from again. To continue, call Commands with the
// epoch of the last command and the index after it. A slow consumer delays nothing. The
// sequence ends with an error:
//   - a [*consensus.BehindError] if this member no longer holds the command: the consumer was
//     too slow, the member caught up by snapshot, or no consumer followed the group when the
//     member applied it (see [GroupBuilder.WithHistory]). Read again and continue from there.
//   - [ErrOtherEpoch] if this member is in another epoch or enters one. Read again. An epoch
//     that this member made by [Group.Recover] continues the one before.
//   - the context's error, wrapped, or the reason for which the group ended, as [ErrClosed].
//
// One error does not end it: [ErrUndecodable] comes with the cursor of a command that this
// machine's codec refuses, which changed nothing.
func (g *Group[C, M]) Commands(
	ctx context.Context, epoch consensus.Epoch, from sm.Index,
) iter.Seq2[AppliedCommand[C], error] {
	if g.handle.closed.Load() {
		return func(yield func(AppliedCommand[C], error) bool) {
			yield(AppliedCommand[C]{}, g.followFailed(ErrClosed))
		}
	}
	history := g.joined.core.History()
	origin := history.Origin(epoch)
	return func(yield func(AppliedCommand[C], error) bool) {
		for next := max(from, 1); ; {
			r, err := history.Next(ctx, origin, next, func() error { return g.followEnds(ctx) })
			if err != nil {
				yield(AppliedCommand[C]{}, g.followFailed(err))
				return
			}
			for offset, data := range r.Commands.All() {
				index := r.First + sm.Index(offset)
				if index < next {
					continue
				}
				if err := g.followEnds(ctx); err != nil {
					yield(AppliedCommand[C]{}, g.followFailed(err))
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
func (g *Group[C, M]) decode(r state.Record, index sm.Index, data []byte) (AppliedCommand[C], error) {
	c := AppliedCommand[C]{Epoch: r.Epoch, Cursor: sm.Cursor{Term: r.Term, Index: index}, Time: r.Time}
	var err error
	if c.Command, err = g.levels.decode(data, r.Level); err != nil {
		return c, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return c, nil
}

// followEnds returns why a consumer gets no further command, nil if it does.
func (g *Group[C, M]) followEnds(ctx context.Context) error {
	if g.handle.closed.Load() {
		return ErrClosed
	}
	return watch.Cause(ctx)
}

func (g *Group[C, M]) followFailed(err error) error {
	return g.joined.failed("follow the commands of", NotApplied, err)
}
