// Package integration has the tests of whole groups: members in one process or in several, over
// real connections, with faults of links, processes, disks and clocks. It has no code of its own.
// Tests of the types and functions of package mosaik alone are in that package.
//
// One topic is in the files whose names begin alike:
//
//	admit, tickets, rechecks, opponents      which peers belong to a group
//	attack, adversary                        peers that break the protocol
//	schedule, linearizable                   random histories, and what they are checked against
//	durable, outdated, snapshot, catchup     logs and snapshots
//	formation, members, rolling, remove      how a group forms and who votes
//	recover, tokens, twins, clocks           epochs, fencing tokens and identities
//	links, slow_link, partition              connections
//	soak, queues, limits, startgroups        load
//
// Tests that run a random history take -seed, -seeds and -steps.
package integration
