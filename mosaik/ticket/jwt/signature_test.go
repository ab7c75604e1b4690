package jwt

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// TestGoldenSignatures checks signatures against recorded ones: they are part of group ids, which must
// not change with a release.
func TestGoldenSignatures(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"770eb1738ec8c4177155d255a6b6e2bc38b1b9e8da00b1ae0ed3cb4efad093af": {Keys: []Key{keyOfSigner(t, EdDSA)}},
		"191fb46b96599e245d647a12ee857a8d00b3fec672eade0fd87642e632fb97d2": {Name: "fleet", Keys: []Key{keyOfSigner(t, EdDSA)}},
		"b048be5f1261c821a53321c76d6a921b9eaaf3f77af4f0ba707fb134802a5273": {
			Keys:    []Key{keyOfSigner(t, HS256).WithID("a"), keyOfSigner(t, ES256).WithID("b")},
			Issuers: []string{"b", "a", "a"}, Audiences: []string{"c"}, Subject: "s", Claims: map[string]string{"role": "voter", "env": ""},
			MaxLifetime: time.Hour, MaxAge: 2 * time.Hour, Leeway: time.Minute,
		},
	} {
		if got := newValidator(t, c).Signature().String(); got != want {
			t.Errorf("the signature is %s, want %s", got, want)
		}
	}
}

// TestSignaturesDiffer checks that configurations that differ in one field have different signatures.
func TestSignaturesDiffer(t *testing.T) {
	t.Parallel()
	key, other := keyOfSigner(t, EdDSA), keyOfSigner(t, ES256)
	seen := map[sm.Digest]string{}
	for name, c := range map[string]Config{
		"plain":               {Keys: []Key{key}},
		"another key":         {Keys: []Key{other}},
		"two keys":            {Keys: []Key{key, other}},
		"another secret":      {Keys: []Key{keyOfSigner(t, HS256)}},
		"a kid":               {Keys: []Key{key.WithID("a")}},
		"another kid":         {Keys: []Key{key.WithID("b")}},
		"a name":              {Keys: []Key{key}, Name: "a"},
		"another name":        {Keys: []Key{key}, Name: "b"},
		"issuer a":            {Keys: []Key{key}, Issuers: []string{"a"}},
		"issuers a and b":     {Keys: []Key{key}, Issuers: []string{"a", "b"}},
		"issuer ab":           {Keys: []Key{key}, Issuers: []string{"ab"}},
		"issuer a,b":          {Keys: []Key{key}, Issuers: []string{"a,b"}},
		"issuers ab and c":    {Keys: []Key{key}, Issuers: []string{"ab", "c"}},
		"issuers a and bc":    {Keys: []Key{key}, Issuers: []string{"a", "bc"}},
		"audience a":          {Keys: []Key{key}, Audiences: []string{"a"}},
		"issuer a audience b": {Keys: []Key{key}, Issuers: []string{"a"}, Audiences: []string{"b"}},
		"subject a":           {Keys: []Key{key}, Subject: "a"},
		"claim a":             {Keys: []Key{key}, Claims: map[string]string{"a": ""}},
		"claim a is b":        {Keys: []Key{key}, Claims: map[string]string{"a": "b"}},
		"claims a and b":      {Keys: []Key{key}, Claims: map[string]string{"a": "", "b": ""}},
		"claim ab":            {Keys: []Key{key}, Claims: map[string]string{"ab": ""}},
		"no expiry":           {Keys: []Key{key}, AllowNoExpiry: true},
		"lifetime":            {Keys: []Key{key}, MaxLifetime: 1},
		"age":                 {Keys: []Key{key}, MaxAge: 1},
		"leeway":              {Keys: []Key{key}, Leeway: 1},
	} {
		signature := newValidator(t, c).Signature()
		if twin, twice := seen[signature]; twice {
			t.Errorf("%s and %s have the same signature", name, twin)
		}
		seen[signature] = name
	}
}

func TestSetsHaveNoOrder(t *testing.T) {
	t.Parallel()
	a, b := keyOfSigner(t, EdDSA).WithID("a"), keyOfSigner(t, ES256).WithID("b")
	one := newValidator(t, Config{Keys: []Key{a, b}, Issuers: []string{"x", "y"}, Audiences: []string{"x", "y"}})
	two := newValidator(t, Config{Keys: []Key{b, a}, Issuers: []string{"y", "x", "y"}, Audiences: []string{"y", "x"}})
	if one.Signature() != two.Signature() {
		t.Error("the order of sets is in the signature")
	}
}
