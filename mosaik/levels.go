package mosaik

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

// levels is a machine's codec at each level of its schema.
type levels[C any] struct {
	codec   codec.Codec[C]
	leveled codec.Leveled[C] // nil where there is level 1 alone
	newest  uint32
}

func levelsOf[C any](spec sm.Spec[C]) levels[C] {
	l := levels[C]{codec: spec.Codec, newest: spec.Level()}
	if l.newest > 1 {
		l.leveled, _ = spec.Codec.(codec.Leveled[C])
	}
	return l
}

// append appends the bytes of a command at a level. The error is [ErrLevel] for a command that
// needs a higher level, which the machine's schema has.
func (l *levels[C]) append(dst []byte, cmd C, level uint32) ([]byte, error) {
	if l.leveled == nil || level >= l.newest {
		return l.codec.Append(dst, cmd)
	}
	data, err := l.leveled.AppendLevel(dst, cmd, level)
	if errors.Is(err, codec.ErrLevel) {
		err = fmt.Errorf("%w: the group has level %d, this program's machine has level %d: %w", ErrLevel, level, l.newest, err)
	}
	return data, err
}

// decode returns the command that was encoded at a level. At level 0, which stands for an
// unknown one, the command may hold what any level has.
func (l *levels[C]) decode(src []byte, level uint32) (C, error) {
	if l.leveled == nil || level == 0 || level >= l.newest {
		return l.codec.Decode(src)
	}
	return l.leveled.DecodeLevel(src, level)
}
