package mosaik

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestRole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role   Role
		text   string
		factor int
		err    string
	}{
		{Role{}, "normal", 1, ""},
		{Normal(), "normal", 1, ""},
		{Observer(), "observer", 1, ""},
		{Reluctant(DefaultReluctance), "reluctant(3)", 3, ""},
		{Reluctant(2), "reluctant(2)", 2, ""},
		{Reluctant(100), "reluctant(100)", 100, ""},
		{Reluctant(1), "reluctant(1)", 1, "factor is 1: must be from 2 to 100"},
		{Reluctant(0), "reluctant(0)", 0, "factor is 0: must be from 2 to 100"},
		{Reluctant(-3), "reluctant(-3)", -3, "factor is -3: must be from 2 to 100"},
		{Reluctant(101), "reluctant(101)", 101, "factor is 101: must be from 2 to 100"},
	} {
		if c.role.String() != c.text || c.role.Factor() != c.factor {
			t.Errorf("role is %v with factor %d, want %s with %d", c.role, c.role.Factor(), c.text, c.factor)
		}
		want := c.err
		if want != "" {
			want = "mosaik: validate role: reluctant: " + want
		}
		if got := errorText(c.role.Validate()); got != want {
			t.Errorf("%s: Validate is %q, want %q", c.text, got, want)
		}
	}
	if Normal() != (Role{}) || Normal() == Observer() || Reluctant(2) == Reluctant(3) {
		t.Error("roles do not compare by what they are")
	}
}

func TestPolicyFields(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	if p.Expected() != 0 || p.MinimumVoters() != 1 || p.MaximumVoters() != 5 || p.Grace() != 30*time.Second || p.RemoveAfter() != 0 || p.ContinueAlone() {
		t.Errorf("default policy is %v", p)
	}
	p = p.WithExpected(4).WithMinimumVoters(6).WithMaximumVoters(7).WithGrace(time.Second).
		WithRemoveAfter(time.Minute).WithContinueAlone(true)
	if p.Expected() != 4 || p.MinimumVoters() != 6 || p.MaximumVoters() != 7 || p.Grace() != time.Second ||
		p.RemoveAfter() != time.Minute || !p.ContinueAlone() {
		t.Errorf("changed policy is %v", p)
	}
	if got, want := p.String(), "expected=4 minimum_voters=6 maximum_voters=7 grace=1s remove_after=1m0s continue_alone=true"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
	for expected, want := range []int{1, 1, 2, 2, 3, 3, 4} {
		if got := DefaultPolicy().WithExpected(expected).MinimumVoters(); got != want {
			t.Errorf("with %d expected the minimum is %d, want %d", expected, got, want)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	t.Parallel()
	ok := DefaultPolicy()
	for _, c := range []struct {
		policy Policy
		want   string // after the prefix, "" for valid
	}{
		{ok, ""},
		{ok.WithExpected(9), ""},
		{ok.WithExpected(3).WithMinimumVoters(2), ""},
		{ok.WithExpected(3).WithMinimumVoters(5), ""},
		{ok.WithMaximumVoters(1), ""},
		{ok.WithMaximumVoters(4).WithMinimumVoters(4), ""},
		{ok.WithMaximumVoters(99).WithExpected(197), ""},
		{ok.WithGrace(time.Millisecond), ""},
		{ok.WithGrace(720 * time.Hour), ""},

		{Policy{}, "maximum_voters is 0: must be from 1 to 99"},
		{ok.WithExpected(-1), "expected is -1: must be from 0 to 197"},
		{ok.WithExpected(198), "expected is 198: must be from 0 to 197"},
		{ok.WithExpected(10), "expected is 10: its majority, 6, must be at most maximum_voters, which is 5"},
		{ok.WithExpected(2).WithMaximumVoters(1), "expected is 2: its majority, 2, must be at most maximum_voters, which is 1"},
		{ok.WithMaximumVoters(100), "maximum_voters is 100: must be from 1 to 99"},
		{ok.WithMaximumVoters(-5), "maximum_voters is -5: must be from 1 to 99"},
		{ok.WithMinimumVoters(6), "minimum_voters is 6: must be at most maximum_voters, which is 5"},
		{ok.WithMinimumVoters(-1), "minimum_voters is -1: must be at least 1, the majority of expected, which is 0"},
		{ok.WithExpected(4).WithMinimumVoters(2), "minimum_voters is 2: must be at least 3, the majority of expected, which is 4"},
		{ok.WithGrace(0), "grace is 0s: must be from 1ms to 720h0m0s"},
		{ok.WithGrace(-time.Second), "grace is -1s: must be from 1ms to 720h0m0s"},
		{ok.WithRemoveAfter(30 * time.Second).WithContinueAlone(true), ""},
		{ok.WithRemoveAfter(29 * time.Second), "remove_after is 29s: must be 0, for never, or from 30s, the grace, to 720h0m0s"},
		{ok.WithRemoveAfter(-1), "remove_after is -1ns: must be 0, for never, or from 30s, the grace, to 720h0m0s"},
		{ok.WithRemoveAfter(721 * time.Hour), "remove_after is 721h0m0s: must be 0, for never, or from 30s, the grace, to 720h0m0s"},
		{ok.WithGrace(721 * time.Hour), "grace is 721h0m0s: must be from 1ms to 720h0m0s"},
	} {
		want := ""
		if c.want != "" {
			want = "mosaik: validate membership policy: " + c.want
		}
		if got := errorText(c.policy.Validate()); got != want {
			t.Errorf("%v:\n got %q\nwant %q", c.policy, got, want)
		}
	}
}

func TestPolicyJSON(t *testing.T) {
	t.Parallel()
	policy := DefaultPolicy().WithExpected(3).WithGrace(90 * time.Second).WithRemoveAfter(time.Hour).WithContinueAlone(true)
	text, err := json.Marshal(policy)
	if want := `{"expected":3,"minimum_voters":0,"maximum_voters":5,"grace":"1m30s","remove_after":"1h0m0s","continue_alone":true}`; err != nil || string(text) != want {
		t.Fatalf("JSON is %s, %v, want %s", text, err, want)
	}
	var back Policy
	if err := json.Unmarshal(text, &back); err != nil || back != policy {
		t.Errorf("read back as %v, %v, want %v", back, err, policy)
	}
	var part Policy
	if err := json.Unmarshal([]byte(`{"expected":5,"grace":null}`), &part); err != nil || part != DefaultPolicy().WithExpected(5) {
		t.Errorf("part is %v, %v, want the defaults with expected=5", part, err)
	}
	for text, want := range map[string]string{
		`{"expected":10}`:      "must be at most maximum_voters",
		`{"expected":"3"}`:     `expected is "3": `,
		`{"grace":30}`:         `grace is 30: want text such as "500ms"`,
		`{"continue_alone":1}`: `continue_alone is 1: `,
		`{"minimum":3}`:        `unknown field "minimum"`,
		`{"maximum_voters":0}`: "maximum_voters is 0",
	} {
		got := policy
		err := json.Unmarshal([]byte(text), &got)
		if err == nil || !strings.HasPrefix(err.Error(), "mosaik: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
		if got != policy {
			t.Errorf("%s: changed the policy to %v", text, got)
		}
	}
}
