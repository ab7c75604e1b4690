package integration_test

import (
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// sealed has a codec that refuses some of its commands.
type sealed struct{ till }

func (*sealed) Spec() sm.Spec[step] {
	spec := sm.Define[step]("sealed", 1)
	spec.Codec = sealedCodec{spec.Codec}
	return spec
}

type sealedCodec struct{ codec.Codec[step] }

var errSeal = errors.New("the seal is broken")

func (c sealedCodec) Append(dst []byte, s step) ([]byte, error) {
	if s.Verb == "" {
		return dst, errSeal
	}
	return c.Codec.Append(dst, s)
}

func (c sealedCodec) Decode(src []byte) (step, error) {
	s, err := c.Codec.Decode(src)
	if s.Verb == "blow" {
		return step{}, errSeal
	}
	return s, err
}

func TestCodecErrors(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, func() *sealed { return &sealed{} })[0]
	_, err := g.ExecuteMany(t.Context(), step{"pay", 1}, step{})
	wantError(t, "encode", err, mosaik.ErrInvalid)
	wantError(t, "encode", err, errSeal)
	wantMessage(t, "encode", err, "command 2 of 2")
	results, err := g.ExecuteMany(soon(t), step{"pay", 1}, step{Verb: "blow"}, step{"pay", 2})
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Value != int64(1) || results[2].Value != int64(3) || results[2].Index != 3 {
		t.Errorf("the results are %+v, want the second alone to fail", results)
	}
	wantError(t, "decode", results[1].Err, mosaik.ErrUndecodable)
	wantError(t, "decode", results[1].Err, errSeal)
}
