// Package snapstore keeps the snapshots of replicas.
//
// dragonboat sees a file system in memory only ([FS]), so that no failure of a disk reaches
// it. A replica whose storage has a directory for snapshots gets a [Log], which copies
// snapshots between memory and that directory: a snapshot is on disk before the log names
// it, and in memory before the replica starts. A snapshot that another member sends is
// written to disk while it arrives ([Incoming]).
package snapstore
