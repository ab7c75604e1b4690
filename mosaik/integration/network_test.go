package integration_test

import (
	"context"

	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// join returns what joins a group and keeps only the error.
func join[C any, M sm.StateMachine[C]](b testutil.Joiner[C, M]) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := b.Join(ctx)
		return err
	}
}
