package mosaik_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
)

func TestDirectoryIsTheIdentity(t *testing.T) {
	t.Parallel()
	dir, id := t.TempDir(), mosaik.NetworkID(t.Name())
	first, err := mosaik.Open(t.Context(), id, mosaik.WithDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := mosaik.Open(t.Context(), id, mosaik.WithDir(dir)); !errors.Is(err, logstore.ErrLocked) {
		t.Errorf("the directory twice: %v, %v; want ErrLocked", n, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := mosaik.Open(t.Context(), id, mosaik.WithDir(dir), mosaik.WithIdentity(other)); !errors.Is(err, logstore.ErrForeign) {
		t.Errorf("the directory of another peer: %v, %v; want ErrForeign", n, err)
	}
	// What fails later gives the directory back.
	if n, err := mosaik.Open(t.Context(), id, mosaik.WithDir(dir), mosaik.WithListen("192.0.2.1:1")); err == nil {
		t.Errorf("listening on an address of another machine: %v", n)
	}
	second, err := mosaik.Open(t.Context(), id, mosaik.WithDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	if second.Self() != first.Self() {
		t.Errorf("peer %s came back as %s", first.Self().Short(), second.Self().Short())
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}
