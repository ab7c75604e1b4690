package snapstore

import (
	"testing"

	"github.com/lni/dragonboat/v4/config"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
)

// TestRecordsNameARegularMachine keeps the bootstrap record as earlier versions wrote it, and lets
// dragonboat start a replica from it.
func TestRecordsNameARegularMachine(t *testing.T) {
	router := raftlog.NewRouter(1)
	if _, err := router.Register(enginetest.Shard, 1, enginetest.MemoryLog(t), nil, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	db, err := LogDBFactory{LogDBFactory: router, FS: NewFS()}.Create(config.NodeHostConfig{}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	boot := pb.Bootstrap{Addresses: map[uint64]string{1: "here"}, Type: pb.ConcurrentStateMachine}
	if err := db.SaveBootstrapInfo(enginetest.Shard, 1, boot); err != nil {
		t.Fatal(err)
	}
	kept, err := router.GetBootstrapInfo(enginetest.Shard, 1)
	if err != nil || kept.Type != pb.RegularStateMachine {
		t.Errorf("the bootstrap record names %v, %v; want a regular machine", kept.Type, err)
	}
	seen, err := db.GetBootstrapInfo(enginetest.Shard, 1)
	if err != nil || !seen.Validate(boot.Addresses, false, pb.ConcurrentStateMachine) {
		t.Errorf("dragonboat refuses to start a concurrent machine from the bootstrap record: %v, %v", seen, err)
	}
}

// TestClosedFileIsReadable holds what the engine relies on: it reads a snapshot after dragonboat
// has closed the file and removed it.
func TestClosedFileIsReadable(t *testing.T) {
	fs := newMemory()
	w, err := fs.Create("file")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := fs.Open("file")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.RemoveAll("file"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 7)
	if n, err := r.Read(b); string(b[:n]) != "content" || err != nil {
		t.Errorf("read %q, %v from a closed file, want %q", b[:n], err, "content")
	}
}
