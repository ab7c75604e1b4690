// Package determinism runs the same commands on several instances of a machine, in several
// processes, and compares what they do. Package testutil supplies the machine and the commands.
//
//   - [Instance] is one machine, without its types.
//   - [Script] holds the commands of one sequence. [Execute] runs it in this process, on one
//     instance for each way in which a replica may come to apply them.
//   - [Worker] is another process of the test, which executes scripts. [Serve] is its side.
//   - [Compare] finds the first difference between executions, and [Shrink] the shortest script
//     that shows one.
package determinism
