package codec

import (
	"reflect"
	"strings"
)

// statePackage is the package of the containers for the state of a machine.
const statePackage = "github.com/mosaik-go/mosaik/sm"

// plainOf returns what to use in a command in place of a container of package sm, or "" if
// t is no such container.
func plainOf(t reflect.Type) string {
	if t.PkgPath() != statePackage {
		return ""
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	return map[string]string{"Map": "a plain map", "Set": "a plain map to bool", "List": "a slice", "Bytes": "[]byte"}[name]
}
