//go:build !windows && (!unix || aix || solaris)

package vfs

import (
	"errors"
	"fmt"
	"os"
)

// lock fails: without a lock that ends with the process, two of them could
// write one log.
func lock(f *os.File) error {
	return fmt.Errorf("lock %s: %w on this system", f.Name(), errors.ErrUnsupported)
}
