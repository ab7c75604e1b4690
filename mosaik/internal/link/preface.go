package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// The preface is the first data on every connection after TLS, in every protocol. The
// dialer sends 36 bytes:
//
//	offset  size  content
//	     0     3  magic "MSK" (4d 53 4b)
//	     3     1  version of the preface, 1
//	     4    32  network id
//
// The acceptor answers with 8 bytes and, unless the code is 0, closes:
//
//	offset  size  content
//	     0     3  magic "MSK" (4d 53 4b)
//	     3     1  version of the preface, 1
//	     4     4  code, big-endian: 0 welcome, 101 other network, 401 unknown
//	              peer, 30400 magic or version not understood, 30503 too many
//	              connections
//
// The dialer sends nothing more before it is welcomed.
const (
	prefaceHead = "MSK\x01" // magic and version
	prefaceSize = len(prefaceHead) + sm.DigestSize
	answerSize  = len(prefaceHead) + 4
)

// errPreface reports bytes that are not a preface of this version.
var errPreface = errors.New("not a preface of version 1")

func appendPreface(dst []byte, network sm.Digest) []byte {
	return append(append(dst, prefaceHead...), network[:]...)
}

// readPreface reads the dialer's preface and returns its network. A wrong magic or another
// version is errPreface.
func readPreface(r io.Reader) (sm.Digest, error) {
	var b [prefaceSize]byte
	if err := readHeaded(r, b[:]); err != nil {
		return sm.Digest{}, err
	}
	return sm.Digest(b[len(prefaceHead):]), nil
}

func appendAnswer(dst []byte, code consensus.CloseCode) []byte {
	return binary.BigEndian.AppendUint32(append(dst, prefaceHead...), uint32(code))
}

// readAnswer reads the acceptor's answer. A wrong magic or another version is errPreface.
func readAnswer(r io.Reader) (consensus.CloseCode, error) {
	var b [answerSize]byte
	if err := readHeaded(r, b[:]); err != nil {
		return 0, err
	}
	return consensus.CloseCode(binary.BigEndian.Uint32(b[len(prefaceHead):])), nil
}

// readHeaded fills b and checks that it begins with magic and version.
func readHeaded(r io.Reader, b []byte) error {
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if head := b[:len(prefaceHead)]; string(head) != prefaceHead {
		return fmt.Errorf("%w: begins with % x", errPreface, head)
	}
	return nil
}
