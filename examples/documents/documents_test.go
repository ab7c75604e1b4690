package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// texts are documents of every kind, in JSON.
var texts = []string{
	`null`, `true`, `false`, `0`, `-1.5`, `""`, `"grün"`, `[]`, `{}`,
	`[null,[],{},[[1,"a"]],true]`,
	`{"a":{"b":[{"c":null},{"c":[false]}]},"d":"","e":[[[]]]}`,
}

// TestDocuments takes each document through the codec, the machine and a
// snapshot of it, and back to JSON.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			document, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			s := New()
			c := s.Spec().Codec
			b, err := c.Append(nil, Put{Name: "doc", Document: document})
			if err != nil {
				t.Fatal(err)
			}
			cmd, err := c.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if replaced, err := s.Apply(sm.ApplyContext{}, cmd); err != nil || replaced != false {
				t.Fatalf("Apply: %v, %v", replaced, err)
			}
			var snapshot bytes.Buffer
			if err := s.Snapshot(&snapshot); err != nil {
				t.Fatal(err)
			}
			restored := New()
			if err := restored.Restore(&snapshot); err != nil {
				t.Fatal(err)
			}
			got, err := Get{Name: "doc"}.Query(restored)
			if err != nil {
				t.Fatal(err)
			}
			back, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(text, string(back)); d != "" {
				t.Errorf("the document differs (-put +got):\n%s", d)
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	if _, err := (Get{Name: "doc"}).Query(New()); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of no document: %v; want ErrNotFound", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	if v, err := Parse([]byte(`{"a":`)); err == nil {
		t.Errorf("Parse = %v; want an error", v)
	}
}

func TestDeterminism(t *testing.T) { testutil.CheckDeterminism(t, New) }
