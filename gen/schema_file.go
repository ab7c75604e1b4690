package gen

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// schemaMagic begins the schema files of all formats.
const schemaMagic = "mosaik-schema/"

// byteOrderMark is what some editors put in front of UTF-8.
const byteOrderMark = "\ufeff"

// isSchema reports whether content is that of a schema file that mosaik-gen
// wrote, whatever became of it since.
func isSchema(content []byte) bool {
	for line := range bytes.Lines(content) {
		if bytes.HasPrefix(bytes.TrimPrefix(line, []byte(byteOrderMark)), []byte(schemaMagic)) {
			return true
		}
	}
	return false
}

// unreadable returns what to do about m's schema file, whose text could not be
// parsed because of err. It is the only record of the levels, so that the file
// may be removed only if it holds one level.
func (m *Machine) unreadable(file, text string, err error) string {
	head := fmt.Sprintf("the schema of machine %s cannot be compared with %s: ", m.GoName, file)
	conflict := conflictLine(text)
	format, _, _ := strings.Cut(strings.TrimPrefix(text, schemaMagic), "\n")
	switch {
	case conflict > 0:
		return head + fmt.Sprintf("line %d holds a marker of a merge conflict; keep the file of one side as a whole, that whose last level a group has run (git checkout --ours %s, or --theirs), then say level= one above its last level for the changes of the other side, and run go generate; do not remove the file, it alone holds the levels", conflict, file)
	case strings.Contains(text, "\r"):
		return head + fmt.Sprintf("its lines end with CRLF, where its hash is that of lines that end with LF; convert them, and put \"*%s text eol=lf\" into .gitattributes", schemaSuffix)
	case strings.HasPrefix(text, byteOrderMark):
		return head + "it starts with a byte order mark, which some editor has put there; remove it"
	case text != "" && !isSchema([]byte(text)):
		return head + fmt.Sprintf("it was not written by mosaik-gen; rename it if it is another file of yours, or else restore the one that was there from version control (a line %q begins it)", schemaHeader)
	case !strings.HasPrefix(text, schemaHeader+"\n") && strings.HasPrefix(text, schemaMagic):
		return head + fmt.Sprintf("its format is %s%s, where this mosaik-gen writes %s; use the mosaik-gen that wrote it", schemaMagic, strings.TrimSpace(format), schemaHeader)
	}
	if text == "" {
		err = errors.New("it is empty")
	}
	advice := "; restore it from version control"
	if levelLine.MatchString(text) || m.Level > 1 {
		advice += "; do not remove it, it alone holds the levels"
	} else {
		advice += ", or remove it if no group ever ran this version"
	}
	return head + err.Error() + advice
}

// conflictLine returns the number of the first line that is a marker of a merge
// conflict, 0 if there is none.
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
