package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profiler writes a processor profile, and allocation profiles before and
// after, for each load into a directory, "" for none. The differences of the
// allocation profiles are what the load allocated:
//
//	go tool pprof -sample_index=alloc_space -base NAME.before.pprof NAME.after.pprof
type profiler string

// around returns what brackets a load, and ends with a call of after.
func (p profiler) around(name string, after func()) func() (func() error, error) {
	if p == "" {
		return func() (func() error, error) { return func() error { after(); return nil }, nil }
	}
	path := func(suffix string) string { return filepath.Join(string(p), name+suffix) }
	return func() (end func() error, err error) {
		if err := writeAllocs(path(".before.pprof")); err != nil {
			return nil, err
		}
		cpu, err := os.Create(path(".cpu.pprof"))
		if err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
		return func() error {
			after()
			pprof.StopCPUProfile()
			return errors.Join(cpu.Close(), writeAllocs(path(".after.pprof")))
		}, nil
	}
}

func writeAllocs(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
