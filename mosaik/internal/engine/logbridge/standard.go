package logbridge

import (
	"log"
	"os"
	"reflect"
	"strings"
)

// A package that dragonboat imports replaces the output of the process's standard logger, and so
// of slog's default one, when it is initialized. init restores both.
func init() {
	if t := reflect.TypeOf(log.Writer()); t != nil && strings.HasSuffix(t.PkgPath(), "/capnslog") {
		log.SetOutput(os.Stderr)
		log.SetFlags(log.LstdFlags)
	}
}
