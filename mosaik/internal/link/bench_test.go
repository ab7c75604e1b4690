package link

import (
	"fmt"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// BenchmarkFrameRoundTrip sends a frame and waits for its echo.
func BenchmarkFrameRoundTrip(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			dialled, accepted := pair(b)
			done := make(chan struct{})
			go func() {
				defer close(done)
				var buf []byte
				for {
					kind, payload, err := accepted.ReadFrame(size, buf)
					if err != nil || accepted.WriteFrame(kind, payload) != nil {
						return
					}
					buf = payload
				}
			}()
			payload, buf := make([]byte, size), []byte(nil)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := dialled.WriteFrame(1, payload); err != nil {
					b.Fatal(err)
				}
				_, got, err := dialled.ReadFrame(size, buf)
				if err != nil {
					b.Fatal(err)
				}
				buf = got
			}
			dialled.Close()
			<-done
		})
	}
}

// BenchmarkFrameStream sends frames in one direction.
func BenchmarkFrameStream(b *testing.B) {
	for _, size := range []int{64, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			dialled, accepted := pair(b)
			sent := make(chan error, 1)
			go func() {
				payload := make([]byte, size)
				for range b.N {
					if err := dialled.WriteFrame(1, payload); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			var buf []byte
			for range b.N {
				_, payload, err := accepted.ReadFrame(size, buf)
				if err != nil {
					b.Fatal(err)
				}
				buf = payload
			}
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkDial opens and closes connections.
func BenchmarkDial(b *testing.B) {
	server, accepted := accepting(b, 1, nil)
	client := listen(b, 2, nil)
	for b.Loop() {
		c, err := client.Dial(b.Context(), server.Addr().String(), sm.PeerID{}, Bond)
		if err != nil {
			b.Fatal(err)
		}
		<-accepted
		c.Close()
	}
}
