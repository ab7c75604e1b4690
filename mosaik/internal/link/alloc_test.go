package link

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
	"github.com/mosaik-go/mosaik/sm"
)

// TestReadersAllocateWhatArrives measures what reading prefaces, answers and frames allocates. The
// memory for a frame starts at 64 KiB and doubles until the frame fits.
func TestReadersAllocateWhatArrives(t *testing.T) {
	seeds := [][]byte{
		appendPreface(nil, testNetwork), appendPreface(nil, sm.Digest{}),
		appendAnswer(nil, consensus.CodeAccepted), appendAnswer(nil, consensus.CodeOtherNetwork),
		[]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), []byte("MSK"),
	}
	alloc.Bound{PerByte: 1, Fixed: 1 << 10}.Check(t, func(b []byte) {
		readPreface(bytes.NewReader(b))
		readAnswer(bytes.NewReader(b))
	}, alloc.Variants(seeds...)...)

	frames := alloc.Variants([]byte("\x00\x00\x00\x04\x07abc\x00\x00\x00\x02\x08x"), []byte("\x7f\xff\xff\xff\x01"))
	for _, n := range []int{1 << 10, 70 << 10, 1 << 20, 5<<20 + 7} {
		frame, err := appendFrame(nil, 1, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame, frame[:len(frame)-1], append([]byte{0x7f, 0xff, 0xff, 0xff}, frame[4:]...))
	}
	alloc.Bound{PerByte: 5, Fixed: firstRead + 8<<10}.Check(t, func(b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		var buf []byte
		for {
			_, payload, err := readFrame(r, 1<<30, buf)
			if err != nil {
				return
			}
			buf = payload
		}
	}, frames...)
}
