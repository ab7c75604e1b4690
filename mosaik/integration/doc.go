// Package integration has the tests of whole groups: members in one process or in several, over
// real connections, with faults of links, processes, disks and clocks. It has no code of its own.
// What a function or a type of package mosaik does alone is tested in that package.
//
// The first word of a file's name is its topic:
//
//	applied       following the commands of a group
//	attack        peers that break the protocol
//	calls         the calls of a handle: results, errors, contexts, limits
//	catchup       members that come late or come back
//	durable       logs on disk
//	epochs        recovery, fencing tokens, identities
//	faults        machines and storages that fail
//	levels        programs of several releases in one group
//	linearizable  random calls, of which one order must explain all results
//	links         slow, silent and partitioned networks
//	load          many calls, many groups
//	members       how a group forms, and who belongs to it and votes
//	peers         which peers find each other and may join
//	schedule      random histories, and the promises that are checked meanwhile
//	settings      options and the configuration of a group
//	snapshot      snapshots
//	soak          long load
//	telemetry     metrics and traces
//
// The till in main_test.go is the machine of most tests. The other files have helpers of all
// topics: conditions to wait for, timing, and opening networks.
//
// Tests of random histories take -seed, -seeds and -steps. A seed draws what happens; how the group
// answers also depends on the machine, so a seed that failed may need several runs:
//
//	go test ./mosaik/integration -run TestSchedules -seed 17 -seeds 1 -steps 1000
package integration
