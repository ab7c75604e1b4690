package group

import "github.com/mosaik-go/mosaik/sm"

// ShardOf returns the Raft shard of an epoch of a group.
func ShardOf(group sm.Digest, e Epoch) uint64 { return shardID(group, e) }
