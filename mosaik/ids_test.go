package mosaik

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	noopName         = "mosaik::groups::machine::noop::NoOp"
	noopSignature    = "mosaik_noop_state_machine"
	testKeyHex       = "5094fec74e8100087263e20cc010b7a3f46d37247e64b0be1c7faae7aac863b4"
	noopGroup        = "2657d6e273e1373242327cafc6301c5b98059c18f80b54acf0da68266f87104e"
	noopGroupGuarded = "2250323d559f7dc5d6013de80af0b0d1d21ca6f7602f72642255fe788d3e74c3"
)

func textKey(t *testing.T, s string) GroupKey {
	t.Helper()
	key, err := KeyFromDigest(sm.ID(s)) // as KeyFromText, which refuses short texts
	if err != nil {
		t.Fatalf("the key of %q: %v", s, err)
	}
	return key
}

// The vectors were computed by the original mosaik and with two implementations
// of BLAKE3.
func TestIdentityVectors(t *testing.T) {
	t.Parallel()
	anchor, secret := textKey(t, "test-key").anchor(), textKey(t, "test-key").material().secret
	noop := func(validators ...sm.Digest) sm.Digest {
		return groupID(textKey(t, "test-key"), consensus.Config{}, sm.ID(noopSignature), logReplaySync(noopName), validators)
	}
	for _, v := range []struct {
		what string
		got  sm.Digest
		want string
	}{
		{"network id", NetworkID("counter_v1"), "1c519b0b8c364a91969d643d60425dcc4813e50ff45bfaafe7de672f39e738f0"},
		{"derived", NetworkID("counter_v1").Derive([]byte("x")), "1ae06256f648bb7bee42baac124a6d2bdb350a3f850e746933854d4320f61de1"},
		{"hashed", NetworkID("counter_v1").Hashed(), "1fc612f7d967655915928b4827c89a5734ae7e643fbded2e0c8fab41d70bf625"},
		{"secret of a key", secret, testKeyHex},
		{"anchor of a key", anchor, "06a3e70c62756927108c0f6c539d80a9a9e78b0a934841ab72ad49d8ddd4e19d"},
		{"consensus", timingDigest(consensus.Config{}), "adfe74a86dd01a601b37bf2fa5b6bb292ac49656393b7e0ad47f7766c5bb8022"},
		{"no-op machine", sm.ID(noopSignature), "8149f518646f75ad984e3d0256bff30e9256ec4659057f2bfe8f57282bb0cf61"},
		{"no-op machine's spec", sm.NoOp{}.Spec().Signature, "8149f518646f75ad984e3d0256bff30e9256ec4659057f2bfe8f57282bb0cf61"},
		{"no-op log replay", logReplaySync(sm.NoOp{}.Spec().Name), "eaaef1b2c7c7717fda72accddba9b23ba259f2b149ceb20e365253e58f667d64"},
		{"group", noop(), noopGroup},
		{"group with a validator", noop(sm.ID("validator-a")), noopGroupGuarded},
	} {
		if v.got.String() != v.want {
			t.Errorf("%s is %v, want %s", v.what, v.got, v.want)
		}
	}
}

// There is no vector of the original for snapshots, whose version is ours; this
// spells the recipe out.
func TestSnapshotSync(t *testing.T) {
	t.Parallel()
	prefix := sm.Parts([]byte("mosaik_snapshot_sync"))
	want := sm.Parts(prefix[:], []byte("ledger"))
	want = sm.Parts(want[:], []byte{2, 1, 0, 0, 0, 0, 0, 0})
	if got := snapshotSync("ledger", 0x0102); got != want {
		t.Errorf("snapshotSync is %v, want %v", got, want)
	}
}

// Everything that members must agree on changes the id; local settings do not.
func TestGroupIDDependsOnWhatMembersShare(t *testing.T) {
	t.Parallel()
	key, config := textKey(t, "test-key"), consensus.Config{}
	machine, sync := sm.ID("machine"), logReplaySync("ledger")
	a, b := sm.ID("a"), sm.ID("b")
	seen := map[sm.Digest]string{}
	for what, id := range map[string]sm.Digest{
		"plain":              groupID(key, config, machine, sync, nil),
		"other key":          groupID(textKey(t, "other"), config, machine, sync, nil),
		"other heartbeat":    groupID(key, consensus.Config{HeartbeatInterval: time.Second}, machine, sync, nil),
		"other jitter":       groupID(key, consensus.Config{HeartbeatJitter: consensus.None}, machine, sync, nil),
		"other misses":       groupID(key, consensus.Config{MaxMissedHeartbeats: 3}, machine, sync, nil),
		"other machine":      groupID(key, config, sm.ID("other"), sync, nil),
		"other machine name": groupID(key, config, machine, logReplaySync("other"), nil),
		"snapshots":          groupID(key, config, machine, snapshotSync("ledger", 1), nil),
		"snapshots v2":       groupID(key, config, machine, snapshotSync("ledger", 2), nil),
		"validator":          groupID(key, config, machine, sync, []sm.Digest{a}),
		"validator twice":    groupID(key, config, machine, sync, []sm.Digest{a, a}),
		"validators":         groupID(key, config, machine, sync, []sm.Digest{a, b}),
		"validators swapped": groupID(key, config, machine, sync, []sm.Digest{b, a}),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have the same group id", what, other)
		}
		seen[id] = what
	}

	local := consensus.Config{ElectionTimeout: time.Minute, ElectionJitter: consensus.None, BootstrapDelay: consensus.None, ForwardTimeout: 1, QueryTimeout: 1}
	if id := groupID(key, local, machine, sync, []sm.Digest{}); seen[id] != "plain" {
		t.Errorf("local settings changed the group id")
	}
}
