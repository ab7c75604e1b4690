package mosaik

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

// verbs is the codec of a schema whose command n came with level n. Its commands are bytes.
type verbs uint32

func (v verbs) Append(dst []byte, cmd byte) ([]byte, error) {
	return v.AppendLevel(dst, cmd, uint32(v))
}
func (v verbs) Decode(src []byte) (byte, error) { return v.DecodeLevel(src, uint32(v)) }

func (v verbs) AppendLevel(dst []byte, cmd byte, level uint32) ([]byte, error) {
	if uint32(cmd) > level {
		return dst, &codec.Error{Op: "encode", Path: "verb", Err: codec.ErrLevel}
	}
	return append(dst, cmd), nil
}

func (v verbs) DecodeLevel(src []byte, level uint32) (byte, error) {
	if uint32(src[0]) > level {
		return 0, &codec.Error{Op: "decode", Path: "verb", Err: codec.ErrUnknownField}
	}
	return src[0], nil
}

// plain is verbs without levels: the codec of a release that knows one level alone.
type plain struct{ codec.Codec[byte] }

// Commands are encoded and decoded at the level that they are said to have; where it
// is not known, with all that any level has.
func TestCommandsAtALevel(t *testing.T) {
	t.Parallel()
	for release := uint32(1); release <= 3; release++ {
		spec := sm.Spec[byte]{Name: "verbs", Codec: verbs(release), Levels: make([]sm.Digest, release)}
		if release == 1 {
			spec.Codec = plain{verbs(1)}
		}
		l := levelsOf(spec)
		for needs := uint32(1); needs <= 3; needs++ {
			verb := byte(needs)
			for level := uint32(0); level <= release; level++ {
				got, err := l.decode([]byte{verb}, level)
				known := needs <= release && (level == 0 || needs <= level)
				if known != (err == nil) || known && got != verb {
					t.Errorf("release %d decodes %d at level %d: %d, %v", release, verb, level, got, err)
				}
				if level == 0 {
					continue
				}
				again, err := l.append(nil, verb, level)
				known = needs <= level
				if known != (err == nil) || known && !bytes.Equal(again, []byte{verb}) || needs <= release && !known && !errors.Is(err, ErrLevel) {
					t.Errorf("release %d encodes %d at level %d: %x, %v", release, verb, level, again, err)
				}
			}
		}
	}
}
