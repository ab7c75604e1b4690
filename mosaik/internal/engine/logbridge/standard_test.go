package logbridge

import (
	"log"
	"os"
	"testing"
)

func TestStandardLoggerIsTheUsers(t *testing.T) {
	t.Parallel()
	if w := log.Writer(); w != os.Stderr {
		t.Errorf("the standard logger writes to a %T", w)
	}
	if flags, prefix := log.Flags(), log.Prefix(); flags != log.LstdFlags || prefix != "" {
		t.Errorf("the standard logger has flags %d and prefix %q", flags, prefix)
	}
}
