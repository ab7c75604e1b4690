package watch

import (
	"context"
	"errors"
	"fmt"
)

// Cause returns why ctx ended, in which errors.Is finds the context's error and,
// where it was ended with another one, its cause; nil while it goes on.
func Cause(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
