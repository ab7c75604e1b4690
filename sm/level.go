package sm

import (
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/codec"
)

// MaxLevel is the highest level of a schema.
const MaxLevel = 1000

// Level returns the newest level of the schema that the machine's code supports. It is
// at least 1.
func (s Spec[C]) Level() uint32 { return uint32(max(1, len(s.Levels))) }

// validateLevels is the part of Validate for Levels.
func (s Spec[C]) validateLevels() error {
	_, leveled := s.Codec.(codec.Leveled[C])
	switch {
	case len(s.Levels) > MaxLevel:
		return fmt.Errorf("sm: machine %q has %d levels, at most %d are allowed; raise its version", s.Name, len(s.Levels), MaxLevel)
	case len(s.Levels) > 0 && s.Levels[0] != s.Signature:
		return fmt.Errorf("sm: the digest of level 1 of machine %q is not its signature; start Spec.Levels with Spec.Signature", s.Name)
	case len(s.Levels) > 1 && !leveled:
		return fmt.Errorf("sm: machine %q has %d levels, but its codec supports one; use a codec.Leveled", s.Name, len(s.Levels))
	}
	for i, l := range s.Levels {
		if l.IsZero() || slices.Contains(s.Levels[:i], l) {
			return fmt.Errorf("sm: the digest of level %d of machine %q is zero or that of another level; give each level its own", i+1, s.Name)
		}
	}
	return nil
}
