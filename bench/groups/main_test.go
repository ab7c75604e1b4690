//go:build unix

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-small", "-rounds", "1", "-idle", "50ms"}, &out, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if rows := strings.Count(out.String(), "\n| "); rows != 4 { // a header and its rows, less the first line
		t.Errorf("%d rows in\n%s", rows, &out)
	}
	for _, args := range [][]string{{"-rounds", "0"}, {"-idle", "0s"}} {
		if err := run(t.Context(), args, &out, &out); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func TestRolling(t *testing.T) {
	total, gap, err := timeRolling(t.Context(), clockworks()[1], 3)
	if err != nil || gap <= 0 || gap > total {
		t.Errorf("restarting took %v with a gap of %v, error %v", total, gap, err)
	}
}
