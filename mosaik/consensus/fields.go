package consensus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A configField is one field of a [Config] or a [Policy]: its name in
// JSON, in logs and in errors, and a pointer to its value, which is a
// *time.Duration, an *int or a *bool.
type configField struct {
	name  string
	value any
	zero  zeroValue
}

// zeroValue is what a zero that is written in JSON means for a field. An absent
// field has its default, so a written zero is meant as one.
type zeroValue uint8

const (
	zeroInvalid   zeroValue = iota // the range of the field excludes it
	zeroIsNone                     // the field holds None
	zeroIsDefault                  // zero is the default
)

// isZero reports whether the field has its default.
func (f configField) isZero() bool {
	switch v := f.value.(type) {
	case *time.Duration:
		return *v == 0
	case *bool:
		return !*v
	}
	return *f.value.(*int) == 0
}

// String returns the value as text, with None as "0s".
func (f configField) String() string {
	switch v := f.value.(type) {
	case *time.Duration:
		if f.zero == zeroIsNone {
			return orNone(*v).String()
		}
		return v.String()
	case *bool:
		return strconv.FormatBool(*v)
	}
	return strconv.Itoa(*f.value.(*int))
}

// marshal returns the value as JSON.
func (f configField) marshal() string {
	if _, ok := f.value.(*time.Duration); ok {
		return strconv.Quote(f.String())
	}
	return f.String()
}

// unmarshal sets the value from JSON. A null changes nothing.
func (f configField) unmarshal(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	d, ok := f.value.(*time.Duration)
	if !ok {
		if err := json.Unmarshal(data, f.value); err != nil {
			return err
		}
		return f.checkZero()
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New(`want text such as "500ms"`)
	}
	parsed, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New(`want a number with its unit, such as "500ms"`)
	case parsed < 0:
		return errors.New("must not be negative")
	case parsed == 0 && f.zero == zeroIsNone:
		parsed = None
	}
	*d = parsed
	return f.checkZero()
}

// checkZero refuses a written zero where it would silently become the default.
func (f configField) checkZero() error {
	if f.zero == zeroInvalid && f.isZero() {
		return errors.New("must not be zero; leave the field out for its default")
	}
	return nil
}

// printFields returns the fields in one line.
func printFields(fields []configField) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.name + "=" + f.String()
	}
	return strings.Join(texts, " ")
}

// marshalFields returns the fields that are set as a JSON object.
func marshalFields(fields []configField) ([]byte, error) {
	var texts []string
	for _, f := range fields {
		if !f.isZero() {
			texts = append(texts, strconv.Quote(f.name)+":"+f.marshal())
		}
	}
	return []byte("{" + strings.Join(texts, ",") + "}"), nil
}

// unmarshalFields sets the fields that a JSON object names. A name that is none
// of theirs is an error.
func unmarshalFields(data []byte, fields []configField) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	for _, f := range fields {
		if text, ok := given[f.name]; ok {
			if err := f.unmarshal(text); err != nil {
				return fmt.Errorf("%s is %s: %w", f.name, text, err)
			}
			delete(given, f.name)
		}
	}
	if unknown := slices.Sorted(maps.Keys(given)); len(unknown) > 0 {
		return fmt.Errorf("unknown field %q", unknown[0])
	}
	return nil
}

// orNone returns a duration with None as 0.
func orNone(d time.Duration) time.Duration {
	if d == None {
		return 0
	}
	return d
}

// described returns the value of a field for an error, which says where the
// caller has not set it.
func described[T int | time.Duration](set, effective T) string {
	if set == 0 {
		return fmt.Sprintf("%v, the default", effective)
	}
	return fmt.Sprint(effective)
}

// inRange returns an error that names the field if v is not from lo to hi.
func inRange[T int | time.Duration](name string, v, lo, hi T) error {
	if v < lo || v > hi {
		return fmt.Errorf("%s is %v: must be from %v to %v", name, v, lo, hi)
	}
	return nil
}

// wholeMilliseconds returns an error that names the field if d has a fraction of a
// millisecond.
func wholeMilliseconds(name string, d time.Duration) error {
	if d%time.Millisecond != 0 {
		return fmt.Errorf("%s is %v: must be whole milliseconds", name, d)
	}
	return nil
}

// prefixed returns err with the prefix of errors that leave the library, nil for nil. mosaik's
// Join has a prefix of its own and unwraps this one.
func prefixed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mosaik: %w", err)
}
