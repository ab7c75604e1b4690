package gen

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"lukechampine.com/blake3"
)

// maxLevel is the highest level of a schema.
const maxLevel = 1000

// levelDomain separates the digests of levels from other hashes.
const levelDomain = "mosaik-schema/1 level\x00"

// level is a level of a schema. A schema file holds the canonical text of level 1,
// whose hash is the signature at all levels. For each further level a block follows
// that describes all commands from that level on:
//
//	level 2
//	command #0
//	#0 sum{"Deposit":#1 "Transfer":#2 "Close":#3}
//	…
//
// A level adds variants, after those of the level before it, and fields with omitempty.
// It never changes anything else.
type level struct {
	schema schema
	text   string // of the file up to the end of the level
	digest [32]byte
}

// newLevel returns the level of s, which follows the levels in before.
func newLevel(before []level, s schema) level {
	if len(before) == 0 {
		return level{schema: s, text: s.text(), digest: s.signature()}
	}
	text := before[len(before)-1].text + fmt.Sprintf("level %d\n", len(before)+1) + s.body()
	return level{schema: s, text: text, digest: blake3.Sum256([]byte(levelDomain + text))}
}

var levelLine = regexp.MustCompile(`(?m)^level .*\n`)

// parseLevels parses a schema file.
func parseLevels(text string) (levels []level, err error) {
	ends := levelLine.FindAllStringIndex(text, maxLevel)
	next := func(i int) int {
		if i < len(ends) {
			return ends[i][0]
		}
		return len(text)
	}
	base, err := parseSchema(text[:next(0)])
	if err != nil {
		return nil, err
	}
	levels = append(levels, newLevel(nil, base))
	for i, end := range ends {
		s, err := parseSchema(base.head() + text[end[1]:next(i+1)])
		if err != nil {
			return nil, fmt.Errorf("the block of level %d, with the lines of the machine before it: %w", i+2, err)
		}
		if _, breaking := diff(levels[i].schema, s); len(breaking) > 0 {
			return nil, fmt.Errorf("the block of level %d does not continue the one before: %s", i+2, strings.Join(breaking, "; "))
		}
		if place := cmp.Or(reordered(levels[i].schema.root, s.root), reordered(levels[i].schema.state, s.state)); place != "" {
			return nil, fmt.Errorf("the block of level %d changes the tags of variants: %s", i+2, place)
		}
		levels = append(levels, newLevel(levels, s))
	}
	// Editors may remove the last newline.
	if whole := levels[len(levels)-1].text; strings.TrimSuffix(whole, "\n") != strings.TrimSuffix(text, "\n") {
		return nil, fmt.Errorf("it was changed after it was written, from %q on", firstDifference(text, whole))
	}
	return levels, nil
}

// firstDifference returns the first line of text that differs from that of want.
func firstDifference(text, want string) string {
	wanted := strings.Split(want, "\n")
	for i, line := range strings.Split(text, "\n") {
		if i >= len(wanted) || line != wanted[i] {
			return line
		}
	}
	return "the end"
}

// reordered describes a sum in new that does not start with the variants that it has in
// old. It returns "" if there is none.
func reordered(old, new *Type) (found string) {
	eachPair(old, new, func(o, n *Type) {
		if o.Kind != Sum || found != "" {
			return
		}
		for i, v := range o.Variants {
			if i >= len(n.Variants) || n.Variants[i].Name != v.Name {
				found = "that of " + quoteName(v.Name) + " is " + fmt.Sprint(i)
				return
			}
		}
	})
	return found
}

// eachPair calls f once for each pair of structs or sums at the same place of old and
// new.
func eachPair(old, new *Type, f func(old, new *Type)) {
	seen := make(map[[2]*Type]bool)
	var visit func(o, n *Type)
	visit = func(o, n *Type) {
		if o == nil || n == nil || seen[[2]*Type{o, n}] || o.Kind != n.Kind || o.Tuple != n.Tuple {
			return
		}
		seen[[2]*Type{o, n}] = true
		if !o.inline() {
			f(o, n)
		}
		visit(o.Key, n.Key)
		visit(o.Elem, n.Elem)
		for i := range n.Fields {
			if was := o.field(n.Fields[i].Name); was != nil {
				visit(was.Type, n.Fields[i].Type)
			}
		}
		for i := range n.Variants {
			if tag := o.tag(n.Variants[i].Name); tag >= 0 {
				visit(o.Variants[tag].Type, n.Variants[i].Type)
			}
		}
	}
	visit(old, new)
}
