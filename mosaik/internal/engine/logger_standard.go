package engine

import (
	"log"
	"os"
	"reflect"
	"strings"
)

// A package that dragonboat imports takes the process's standard logger for
// itself, and with it slog's default one, when it is initialised. What imports
// this package gets both back as Go makes them.
func init() {
	if t := reflect.TypeOf(log.Writer()); t != nil && strings.HasSuffix(t.PkgPath(), "/capnslog") {
		log.SetOutput(os.Stderr)
		log.SetFlags(log.LstdFlags)
	}
}
