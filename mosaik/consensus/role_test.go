package consensus

import (
	"encoding/json"
	"testing"
)

func TestRole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role Role
		text string
		json string
		err  string
	}{
		{Role{}, "normal", `{}`, ""},
		{Role{Observer: true}, "observer", `{"observer":true}`, ""},
		{Role{Reluctance: 2}, "reluctant(2)", `{"reluctance":2}`, ""},
		{Role{Reluctance: 100}, "reluctant(100)", `{"reluctance":100}`, ""},
		{Role{Reluctance: 1}, "reluctant(1)", `{"reluctance":1}`, "reluctance is 1: must be from 2 to 100, or 0 for none"},
		{Role{Reluctance: -3}, "reluctant(-3)", `{"reluctance":-3}`, "reluctance is -3: must be from 2 to 100, or 0 for none"},
		{Role{Reluctance: 101}, "reluctant(101)", `{"reluctance":101}`, "reluctance is 101: must be from 2 to 100, or 0 for none"},
		{Role{Observer: true, Reluctance: 3}, "observer, reluctant(3)", `{"observer":true,"reluctance":3}`,
			"it is both an observer and reluctant: an observer never leads; set one of both"},
	} {
		if c.role.String() != c.text {
			t.Errorf("role is %v, want %s", c.role, c.text)
		}
		want := c.err
		if want != "" {
			want = "mosaik: validate role: " + want
		}
		if got := errorText(c.role.Validate()); got != want {
			t.Errorf("%s: Validate is %q, want %q", c.text, got, want)
		}
		text, err := json.Marshal(c.role)
		if err != nil || string(text) != c.json {
			t.Errorf("%s: JSON is %s, %v; want %s", c.text, text, err, c.json)
		}
		var back Role
		if err := json.Unmarshal(text, &back); err != nil || back != c.role {
			t.Errorf("%s: read back as %v, %v", text, back, err)
		}
	}
}
