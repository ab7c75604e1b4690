package consensus

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPolicyDefaults(t *testing.T) {
	t.Parallel()
	defaults := Policy{MinimumVoters: 1, MaximumVoters: 5, Grace: 30 * time.Second}
	if got := (Policy{}).WithDefaults(); got != defaults || got.WithDefaults() != defaults {
		t.Errorf("the defaults are %v, want %v", got, defaults)
	}
	set := Policy{4, 6, 7, time.Second, time.Minute, true}
	if got := set.WithDefaults(); got != set {
		t.Errorf("where all fields are set, WithDefaults makes %v of %v", got, set)
	}
	if got, want := set.String(), "expected=4 minimum_voters=6 maximum_voters=7 grace=1s remove_after=1m0s continue_alone=true"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
	if got, want := (Policy{Expected: 3}).String(), "expected=3 minimum_voters=2 maximum_voters=5 grace=30s remove_after=0s continue_alone=false"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
	for expected, want := range []int{1, 1, 2, 2, 3, 3, 4} {
		if got := (Policy{Expected: expected}).WithDefaults().MinimumVoters; got != want {
			t.Errorf("with %d expected the minimum is %d, want %d", expected, got, want)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy Policy
		want   string // after the prefix, "" for valid
	}{
		{Policy{}, ""},
		{Policy{Expected: 9}, ""},
		{Policy{Expected: 3, MinimumVoters: 2}, ""},
		{Policy{Expected: 3, MinimumVoters: 5}, ""},
		{Policy{MaximumVoters: 1}, ""},
		{Policy{MaximumVoters: 4, MinimumVoters: 4}, ""},
		{Policy{MaximumVoters: 99, Expected: 197}, ""},
		{Policy{Grace: time.Millisecond}, ""},
		{Policy{Grace: 720 * time.Hour}, ""},
		{Policy{RemoveAfter: 30 * time.Second, ContinueAlone: true}, ""},

		{Policy{Expected: -1}, "expected is -1: must be from 0 to 197"},
		{Policy{Expected: 198}, "expected is 198: must be from 0 to 197"},
		{Policy{Expected: 10}, "expected is 10: its majority, 6, must be at most maximum_voters, which is 5, the default"},
		{Policy{Expected: 2, MaximumVoters: 1}, "expected is 2: its majority, 2, must be at most maximum_voters, which is 1"},
		{Policy{MaximumVoters: 100}, "maximum_voters is 100: must be from 1 to 99"},
		{Policy{MaximumVoters: -5}, "maximum_voters is -5: must be from 1 to 99"},
		{Policy{MinimumVoters: 6}, "minimum_voters is 6: must be at most maximum_voters, which is 5, the default"},
		{Policy{MinimumVoters: -1}, "minimum_voters is -1: must be at least 1, the majority of expected, which is 0"},
		{Policy{Expected: 4, MinimumVoters: 2}, "minimum_voters is 2: must be at least 3, the majority of expected, which is 4"},
		{Policy{Grace: -1}, "grace is -1ns: must be from 1ms to 720h0m0s"},
		{Policy{Grace: 721 * time.Hour}, "grace is 721h0m0s: must be from 1ms to 720h0m0s"},
		{Policy{RemoveAfter: 29 * time.Second}, "remove_after is 29s: must be 0, for never, or from 30s, the grace, to 720h0m0s"},
		{Policy{RemoveAfter: -1}, "remove_after is -1ns: must be 0, for never, or from 30s, the grace, to 720h0m0s"},
		{Policy{RemoveAfter: 721 * time.Hour}, "remove_after is 721h0m0s: must be 0, for never, or from 30s, the grace, to 720h0m0s"},
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

// TestPolicyJSONRoundTrip reads back every combination of fields that are set.
func TestPolicyJSONRoundTrip(t *testing.T) {
	t.Parallel()
	set := Policy{3, 3, 7, 90 * time.Second, time.Hour, true}
	n := reflect.TypeFor[Policy]().NumField()
	for combination := range 1 << n {
		var want Policy
		for i := range n {
			if combination>>i&1 == 1 {
				reflect.ValueOf(&want).Elem().Field(i).Set(reflect.ValueOf(set).Field(i))
			}
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Policy
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s is read as %v, error %v; want %v", text, got, err, want)
		}
	}
}

func TestPolicyJSON(t *testing.T) {
	t.Parallel()
	policy := Policy{Expected: 3, Grace: 90 * time.Second, RemoveAfter: time.Hour, ContinueAlone: true}
	text, err := json.Marshal(policy)
	if want := `{"expected":3,"grace":"1m30s","remove_after":"1h0m0s","continue_alone":true}`; err != nil || string(text) != want {
		t.Fatalf("JSON is %s, %v, want %s", text, err, want)
	}
	// A written zero is a zero, where that is the default as well.
	zeros := policy
	if err := json.Unmarshal([]byte(`{"expected":0,"minimum_voters":0,"grace":null,"remove_after":"0s","continue_alone":false}`), &zeros); err != nil || zeros != (Policy{Grace: policy.Grace}) {
		t.Errorf("zeros read into %v make %v, error %v", policy, zeros, err)
	}
	for text, want := range map[string]string{
		`{"expected":10}`:      "must be at most maximum_voters",
		`{"expected":"3"}`:     `expected is "3": `,
		`{"grace":30}`:         `grace is 30: want text such as "500ms"`,
		`{"grace":"0s"}`:       `grace is "0s": must not be zero; leave the field out for its default`,
		`{"continue_alone":1}`: `continue_alone is 1: `,
		`{"minimum":3}`:        `unknown field "minimum"`,
		`{"maximum_voters":0}`: "maximum_voters is 0: must not be zero",
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
