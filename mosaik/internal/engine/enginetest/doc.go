// Package enginetest has what the tests of the engine's packages share: links on loopback
// addresses, logs, and messages as replicas send them. Only tests import it.
package enginetest
