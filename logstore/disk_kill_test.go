package logstore_test

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

var kills = flag.Int("kills", 3, "how often TestDiskKill kills a process")

const (
	killDir    = "MOSAIK_LOGSTORE_KILL_DIR" // set in the process that is killed
	killGroups = 4
)

// A process that saves is killed repeatedly. All that it acknowledged must be there
// each time.
func TestDiskKill(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(killDir); dir != "" {
		saveForever(t, dir)
	}
	dir := t.TempDir()
	var acknowledged [killGroups]sm.Index
	for round := range *kills {
		acknowledge(t, dir, 300+100*round, &acknowledged)
		for g := range killGroups {
			log := mustOpen(t, dir, fmt.Sprint(g))
			st, err := log.State()
			if err != nil || st.Last.Index < acknowledged[g] {
				t.Fatalf("round %d: group %d ends at %d, %v; %d was acknowledged", round, g, st.Last.Index, err, acknowledged[g])
			}
			next := st.Pruned.Index + 1
			for e, err := range log.Entries(next, math.MaxUint64) {
				if err != nil || e.Index != next || string(e.Data) != killData(g, next) {
					t.Fatalf("round %d: group %d holds %v, error %v; want entry %d next", round, g, e, err, next)
				}
				next++
			}
			if next != st.Last.Index+1 {
				t.Fatalf("round %d: group %d yields the entries before %d, but its last is %d", round, g, next, st.Last.Index)
			}
			mustClose(t, log)
		}
	}
}

func killData(g int, i sm.Index) string { return fmt.Sprintf("entry %d of group %d", i, g) }

// acknowledge runs a process that saves, kills it after n lines of its output, and
// records the indices that it printed as durable.
func acknowledge(t *testing.T, dir string, n int, last *[killGroups]sm.Index) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiskKill$")
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); n-- {
		var g int
		var i sm.Index
		if _, err := fmt.Sscanf(lines.Text(), "%d %d\n", &g, &i); err != nil {
			t.Errorf("the process printed %q", lines.Text())
			n = 0
		} else {
			last[g] = i
		}
		if n == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the process ended by itself")
	}
}

// saveForever saves in several groups and prints each durable index on the standard
// output.
func saveForever(t *testing.T, dir string) {
	var wg sync.WaitGroup
	for g := range killGroups {
		log := mustOpen(t, dir, fmt.Sprint(g))
		st, err := log.State()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := st.Last.Index + 1; ; i++ {
				b := logstore.Batch{Entries: []logstore.Entry{{Index: i, Term: 1, Data: []byte(killData(g, i))}}}
				if err := log.Save(b); err != nil {
					t.Errorf("Save: %v", err)
					return
				}
				fmt.Fprintf(os.Stdout, "%d %d\n", g, i)
				if i%100 == 0 {
					if err := log.Prune(i - 30); err != nil {
						t.Errorf("Prune: %v", err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
