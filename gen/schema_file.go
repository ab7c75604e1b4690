package gen

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// schemaMagic starts the schema files of all formats.
const schemaMagic = "mosaik-schema/"

// byteOrderMark is added in front of UTF-8 by some editors.
const byteOrderMark = "\ufeff"

// isSchema reports whether content is that of a schema file that mosaik-gen wrote. The
// file may have been changed since.
func isSchema(content []byte) bool {
	for line := range bytes.Lines(content) {
		if bytes.HasPrefix(bytes.TrimPrefix(line, []byte(byteOrderMark)), []byte(schemaMagic)) {
			return true
		}
	}
	return false
}

// unreadable returns the problem of a schema file of m whose text could not be parsed
// because of err. The file is the only record of the levels, so it advises to remove
// the file only if there is one level.
func (m *Machine) unreadable(file, text string, err error) string {
	head := fmt.Sprintf("the schema of machine %s cannot be compared with %s: ", m.GoName, file)
	conflict := conflictLine(text)
	format, _, _ := strings.Cut(strings.TrimPrefix(text, schemaMagic), "\n")
	switch {
	case conflict > 0:
		return head + fmt.Sprintf("line %d is a marker of a merge conflict; keep the whole file of one side, the one whose last level a group has run (git checkout --ours %s, or --theirs), set level= one above its last level for the changes of the other side, and run go generate; do not remove the file, which is the only record of the levels", conflict, file)
	case strings.Contains(text, "\r"):
		return head + fmt.Sprintf("its lines end with CRLF, but its hash is that of lines that end with LF; convert them, and put \"*%s text eol=lf\" into .gitattributes", schemaSuffix)
	case strings.HasPrefix(text, byteOrderMark):
		return head + "it starts with a byte order mark, which editors may add; remove it"
	case text != "" && !isSchema([]byte(text)):
		return head + fmt.Sprintf("mosaik-gen did not write it; rename it if it is a file of your own, otherwise restore the schema file, which starts with %q, from version control", schemaHeader)
	case !strings.HasPrefix(text, schemaHeader+"\n") && strings.HasPrefix(text, schemaMagic):
		return head + fmt.Sprintf("its format is %s%s, but this mosaik-gen reads %s; use the version of mosaik-gen that wrote it", schemaMagic, strings.TrimSpace(format), schemaHeader)
	}
	if text == "" {
		err = errors.New("it is empty")
	}
	advice := "; restore it from version control"
	if levelLine.MatchString(text) || m.Level > 1 {
		advice += "; do not remove it: it is the only record of the levels"
	} else {
		advice += ", or remove it if no group ever ran this version"
	}
	return head + err.Error() + advice
}

// conflictLine returns the number, from 1, of the first line that is a marker of a
// merge conflict, or 0.
func conflictLine(text string) int {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		for _, marker := range []string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"} {
			if line == marker || strings.HasPrefix(line, marker+" ") {
				return number
			}
		}
	}
	return 0
}
