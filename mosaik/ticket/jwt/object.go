package jwt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// object is a JSON object whose values are string, json.Number, bool, nil, []any
// and object.
type object map[string]any

// maxDepth bounds the nesting of values.
const maxDepth = 16

var errNotObject = errors.New("it is not one JSON object in UTF-8")

// parseObject decodes a JSON object more strictly than encoding/json. Duplicate members are
// errors at any depth, since programs differ in which of the two they use. Invalid UTF-8 is
// an error instead of being replaced.
func parseObject(text []byte) (object, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errNotObject
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, errNotObject
	}
	return o, nil
}

// parseValue decodes the next value. The input is valid JSON.
func parseValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotObject, err)
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return token, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("values are nested deeper than %d", maxDepth)
	}
	list, o := []any{}, object{}
	for d.More() {
		var name string
		if delim == '{' {
			token, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errNotObject, err)
			}
			name = token.(string)
		}
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%s appears twice", quote(name))
		}
		if delim == '{' {
			o[name] = v
		} else {
			list = append(list, v)
		}
	}
	if _, err := d.Token(); err != nil { // the end of the object or array
		return nil, fmt.Errorf("%w: %w", errNotObject, err)
	}
	if delim == '{' {
		return o, nil
	}
	return list, nil
}

// quote quotes a peer's text for errors, which end up in logs. It shortens long texts.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// onlyBase64 reports whether s has only the characters of base64url. The decoders of package
// base64 skip line breaks, so they do not check that.
func onlyBase64(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
