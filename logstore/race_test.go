//go:build race

package logstore

func init() { raced = true }
