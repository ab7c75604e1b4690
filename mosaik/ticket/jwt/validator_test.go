package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

func TestEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for a := range signers {
		v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, a)}})
		wantAccepted(t, string(a), v, sign(t, a, set{"alg": a}, good()), now.Add(time.Hour))
	}
}

// TestAlgorithmIsPinnedToTheKey validates tokens of every algorithm with every key. Only the key of
// the same algorithm accepts them.
func TestAlgorithmIsPinnedToTheKey(t *testing.T) {
	t.Parallel()
	for of := range signers {
		v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, of)}})
		for a := range signers {
			if a != of {
				wantRefused(t, string(a)+" for "+string(of), v, sign(t, a, set{"alg": a}, good()), "is for "+string(a))
				wantRefused(t, string(a)+" called "+string(of), v, sign(t, a, set{"alg": of}, good()), "signature is invalid")
			}
		}
	}
}

// TestPublicKeyIsNoSecret signs with the public key, in every form that could be used as a secret.
func TestPublicKeyIsNoSecret(t *testing.T) {
	t.Parallel()
	point, err := signers[ES256].(*ecdsa.PrivateKey).PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		of      Algorithm
		secrets [][]byte
	}{
		"EC":      {ES256, [][]byte{point, point[1:], pemOf(t, ES256), []byte(jwkText[ES256])}},
		"Ed25519": {EdDSA, [][]byte{signers[EdDSA].(ed25519.PrivateKey).Public().(ed25519.PublicKey), pemOf(t, EdDSA), []byte(jwkText[EdDSA])}},
	} {
		v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, c.of)}})
		for _, secret := range c.secrets {
			for _, a := range []Algorithm{HS256, HS384, HS512} {
				wantRefused(t, name, v, signWith(t, a, secret, set{"alg": a}, good()), "no key that it may be signed with is for "+string(a))
			}
		}
	}
}

func TestMalformedTokens(t *testing.T) {
	t.Parallel()
	v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, EdDSA).WithID("a")}})
	whole := sign(t, EdDSA, set{"alg": EdDSA}, good())
	parts := strings.Split(whole, ".")
	header := func(text string) string { return sign(t, EdDSA, text, good()) }
	claims := func(text string) string { return sign(t, EdDSA, set{"alg": EdDSA}, text) }
	none := segment(t, set{"alg": "none"}) + "." + parts[1] + "."
	for name, c := range map[string]struct{ token, reason string }{
		"nothing":                {"", "malformed"},
		"garbage":                {"garbage", "malformed"},
		"dots":                   {"..", "malformed"},
		"two parts":              {parts[0] + "." + parts[1], "malformed"},
		"four parts":             {whole + ".", "malformed"},
		"oversized":              {whole + strings.Repeat("A", ticket.MaxData), "at most 4096 are allowed"},
		"padding":                {whole + "=", "characters that do not belong to base64url"},
		"line break":             {whole[:9] + "\n" + whole[9:], "characters that do not belong to base64url"},
		"space before":           {" " + whole, "characters that do not belong to base64url"},
		"standard base64":        {parts[0] + "." + parts[1] + "." + strings.Repeat("+", 86), "characters that do not belong to base64url"},
		"bits to spare":          {parts[0] + "." + parts[1] + "." + parts[2][:85] + "B", "malformed"},
		"no signature":           {parts[0] + "." + parts[1] + ".", "signature is invalid"},
		"a signature cut off":    {whole[:len(whole)-6], "signature is invalid"},
		"other claims":           {parts[0] + "." + segment(t, with(good(), set{"x": 1})) + "." + parts[2], "signature is invalid"},
		"other signer":           {signWith(t, EdDSA, ed25519.NewKeyFromSeed(make([]byte, 32)), set{"alg": EdDSA}, good()), "signature is invalid"},
		"alg none":               {none, "signing method none is invalid"},
		"alg none, signed":       {none + parts[2], "signing method none is invalid"},
		"alg None":               {header(`{"alg":"None"}`), "unavailable"},
		"alg of another case":    {header(`{"alg":"eddsa"}`), "unavailable"},
		"alg RS256":              {header(`{"alg":"RS256"}`), "signing method RS256 is invalid"},
		"alg ES512":              {header(`{"alg":"ES512"}`), "signing method ES512 is invalid"},
		"alg is missing":         {header(`{}`), "unspecified"},
		"alg is no text":         {header(`{"alg":["EdDSA"]}`), "unspecified"},
		"header is null":         {header(`null`), "unspecified"},
		"header is an array":     {header(`["EdDSA"]`), "malformed"},
		"header is no JSON":      {header(`{"alg":"EdDSA"`), "malformed"},
		"header goes on":         {header(`{"alg":"EdDSA"}{}`), "malformed"},
		"header is no UTF-8":     {header("{\"alg\":\"EdDSA\",\"x\":\"\xff\"}"), "in UTF-8"},
		"member twice":           {header(`{"alg":"EdDSA","alg":"EdDSA"}`), `"alg" appears twice`},
		"member twice, escaped":  {header(`{"alg":"EdDSA","\u0061lg":"EdDSA"}`), `"alg" appears twice`},
		"member twice, below":    {header(`{"alg":"EdDSA","x":[{"y":1,"y":1}]}`), `"y" appears twice`},
		"crit":                   {header(`{"alg":"EdDSA","crit":["exp"],"exp":1}`), "it has crit"},
		"crit is empty":          {header(`{"alg":"EdDSA","crit":[]}`), "it has crit"},
		"crit is null":           {header(`{"alg":"EdDSA","crit":null}`), "it has crit"},
		"unencoded payload":      {header(`{"alg":"EdDSA","b64":false,"crit":["b64"]}`), "it has crit"},
		"unknown kid":            {header(`{"alg":"EdDSA","kid":"b"}`), `key "b" is not known`},
		"kid is empty":           {header(`{"alg":"EdDSA","kid":""}`), `key "" is not known`},
		"kid is no text":         {header(`{"alg":"EdDSA","kid":1}`), "kid is not a string"},
		"long kid":               {header(`{"alg":"EdDSA","kid":"` + strings.Repeat("k", 99) + `"}`), `key "` + strings.Repeat("k", 64) + `"… is not known`},
		"nested":                 {header(`{"alg":"EdDSA","x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`), "nested deeper than 16"},
		"claims are null":        {claims(`null`), "subject"},
		"claims are a number":    {claims(`1`), "malformed"},
		"claims are no JSON":     {claims(`{`), "malformed"},
		"claims are no UTF-8":    {claims("{\"x\":\"\xff\"}"), "malformed"},
		"claim twice":            {claims(`{"sub":"a","sub":"` + peer.String() + `","exp":9999999999}`), `"sub" appears twice`},
		"claim twice in another": {claims(`{"x":{"y":1,"y":1}}`), `"y" appears twice`},
		"claims nested":          {claims(strings.Repeat(`{"x":`, 99) + "1" + strings.Repeat("}", 99)), "nested deeper than 16"},
	} {
		wantRefused(t, name, v, c.token, c.reason)
	}
	wantAccepted(t, "the whole", v, whole, now.Add(time.Hour))
	wantAccepted(t, "its kid", v, header(`{"alg":"EdDSA","kid":"a","typ":"JWT","x":{"x":[1,null,true]}}`), now.Add(time.Hour))
}

func TestKeysAreChosenByTheirIDs(t *testing.T) {
	t.Parallel()
	other := ed25519.NewKeyFromSeed(make([]byte, 32))
	otherKey, err := PublicKey(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	own := keyOfSigner(t, EdDSA)
	token := func(kid string) string {
		header := set{"alg": EdDSA}
		if kid != "-" {
			header["kid"] = kid
		}
		return sign(t, EdDSA, header, good())
	}
	for _, c := range []struct {
		name   string
		keys   []Key
		kid    string
		reason string // "" for accepted
	}{
		{"of two", []Key{otherKey.WithID("a"), own.WithID("b")}, "b", ""},
		{"the wrong one of two", []Key{otherKey.WithID("a"), own.WithID("b")}, "a", "signature is invalid"},
		{"no kid", []Key{otherKey.WithID("a"), own.WithID("b")}, "-", ""},
		{"a key without id", []Key{otherKey, own}, "b", ""},
		{"beside an id", []Key{own, otherKey.WithID("a")}, "a", ""},
		{"neither", []Key{otherKey, own.WithID("b")}, "a", "signature is invalid"},
		{"unknown", []Key{otherKey.WithID("a"), own.WithID("b")}, "c", `key "c" is not known`},
		{"another algorithm", []Key{keyOfSigner(t, ES256).WithID("a"), own.WithID("b")}, "a", "is for EdDSA"},
	} {
		v := newValidator(t, Config{Keys: c.keys})
		if c.reason == "" {
			wantAccepted(t, c.name, v, token(c.kid), now.Add(time.Hour))
		} else {
			wantRefused(t, c.name, v, token(c.kid), c.reason)
		}
	}
}

// at is a number of seconds from now, as a claim.
func at(d time.Duration) any { return now.Add(d).Unix() }

func TestRules(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	never := time.Time{}
	for _, c := range []struct {
		name   string
		config Config
		claims set       // changes to the good ones
		until  time.Time // accepted until then, if there is no reason
		reason string
	}{
		{"plain", Config{}, nil, now.Add(hour), ""},

		{"expired", Config{}, set{"exp": at(-hour)}, never, "ticket has expired"},
		{"expires now", Config{}, set{"exp": at(0)}, never, "ticket has expired"},
		{"one second left", Config{}, set{"exp": at(time.Second)}, now.Add(time.Second), ""},
		{"a fraction left", Config{}, set{"exp": float64(now.Unix()) + 0.5}, now.Add(hour / 7200), ""},
		{"expired within leeway", Config{Leeway: 10 * time.Second}, set{"exp": at(-9 * time.Second)}, now.Add(time.Second), ""},
		{"expired beyond leeway", Config{Leeway: 10 * time.Second}, set{"exp": at(-10 * time.Second)}, never, "ticket has expired"},
		{"no exp", Config{}, set{"exp": nil}, never, "exp is missing"},
		{"no exp, allowed", Config{AllowNoExpiry: true}, set{"exp": nil}, never, ""},
		{"exp, though not needed", Config{AllowNoExpiry: true}, nil, now.Add(hour), ""},
		{"exp in 1970", Config{}, set{"exp": 0}, never, "ticket has expired"},
		{"exp is negative", Config{}, set{"exp": -1}, never, "exp is not between"},
		{"exp is absurd", Config{}, set{"exp": 1e300}, never, "exp is not between"},
		{"exp is text", Config{}, set{"exp": "9999999999"}, never, "exp is not a number"},
		{"exp is true", Config{AllowNoExpiry: true}, set{"exp": true}, never, "exp is not a number"},

		{"not yet", Config{}, set{"nbf": at(time.Second)}, never, "not valid before"},
		{"just now", Config{}, set{"nbf": at(0)}, now.Add(hour), ""},
		{"not yet, within leeway", Config{Leeway: time.Minute}, set{"nbf": at(time.Minute)}, now.Add(hour + time.Minute), ""},
		{"not yet, beyond leeway", Config{Leeway: time.Minute}, set{"nbf": at(time.Minute + time.Second)}, never, "not valid before"},
		{"nbf is text", Config{}, set{"nbf": "now"}, never, "nbf is not a number"},
		{"issued in the future", Config{}, set{"iat": at(time.Second)}, never, "issued in the future"},
		{"issued in the near future", Config{Leeway: time.Second}, set{"iat": at(time.Second)}, now.Add(hour + time.Second), ""},
		{"iat is an object", Config{}, set{"iat": set{}}, never, "iat is not a number"},

		{"longest life", Config{MaxLifetime: 2 * hour}, set{"iat": at(-hour)}, now.Add(hour), ""},
		{"too long a life", Config{MaxLifetime: 2 * hour}, set{"iat": at(-hour - time.Second)}, never, "its lifetime is 2h0m1s, at most 2h0m0s"},
		{"life from nbf", Config{MaxLifetime: 2 * hour}, set{"nbf": at(-hour)}, now.Add(hour), ""},
		{"too long a life from nbf", Config{MaxLifetime: hour}, set{"nbf": at(-hour)}, never, "its lifetime is 2h0m0s"},
		{"iat, not nbf", Config{MaxLifetime: hour}, set{"iat": at(-hour), "nbf": at(0)}, never, "its lifetime is 2h0m0s"},
		{"life of unknown length", Config{MaxLifetime: hour}, nil, never, "both iat and nbf are missing"},
		{"leeway is no life", Config{MaxLifetime: hour, Leeway: time.Minute}, set{"iat": at(-time.Second)}, never, "its lifetime is 1h0m1s"},

		{"oldest", Config{MaxAge: hour}, set{"iat": at(-hour + time.Second)}, now.Add(time.Second), ""},
		{"too old", Config{MaxAge: hour}, set{"iat": at(-hour)}, never, "ticket has expired"},
		{"too old, within leeway", Config{MaxAge: hour, Leeway: time.Minute}, set{"iat": at(-hour)}, now.Add(time.Minute), ""},
		{"old age after exp", Config{MaxAge: 9 * hour}, set{"iat": at(-hour)}, now.Add(hour), ""},
		{"age without exp", Config{MaxAge: 3 * hour, AllowNoExpiry: true}, set{"iat": at(-hour), "exp": nil}, now.Add(2 * hour), ""},
		{"unknown age", Config{MaxAge: hour}, set{"nbf": at(-time.Second)}, never, "its age is bounded, and iat is missing"},

		{"issuer", Config{Issuers: []string{"a", "b"}}, set{"iss": "b"}, now.Add(hour), ""},
		{"other issuer", Config{Issuers: []string{"a", "b"}}, set{"iss": "c"}, never, `issuer "c" is not accepted`},
		{"issuers run together", Config{Issuers: []string{"a", "b"}}, set{"iss": "ab"}, never, "is not accepted"},
		{"no issuer", Config{Issuers: []string{"a"}}, nil, never, `issuer "" is not accepted`},
		{"issuer is an array", Config{Issuers: []string{"a"}}, set{"iss": []string{"a"}}, never, "is not accepted"},
		{"any issuer", Config{}, set{"iss": "c"}, now.Add(hour), ""},

		{"no subject", Config{}, set{"sub": nil}, never, `subject "" is not`},
		{"other peer", Config{}, set{"sub": sm.PeerID{8}.String()}, never, "subject"},
		{"peer in capitals", Config{}, set{"sub": strings.ToUpper(sm.PeerID{0xab}.String())}, never, "subject"},
		{"peer cut off", Config{}, set{"sub": peer.Short()}, never, "subject"},
		{"subject is an array", Config{}, set{"sub": []string{peer.String()}}, never, "subject"},
		{"fixed subject", Config{Subject: "fleet"}, set{"sub": "fleet"}, now.Add(hour), ""},
		{"the peer instead of the subject", Config{Subject: "fleet"}, nil, never, `is not "fleet"`},

		{"audience", Config{Audiences: []string{"a", "b"}}, set{"aud": "b"}, now.Add(hour), ""},
		{"one of its audiences", Config{Audiences: []string{"a"}}, set{"aud": []any{1, "c", "a"}}, now.Add(hour), ""},
		{"other audience", Config{Audiences: []string{"a"}}, set{"aud": []string{"c"}}, never, "another audience"},
		{"no audience", Config{Audiences: []string{"a"}}, nil, never, "another audience"},
		{"audience is an object", Config{Audiences: []string{"a"}}, set{"aud": set{"a": "a"}}, never, "another audience"},
		{"audience for nobody here", Config{}, set{"aud": "c"}, never, "the validator names none"},
		{"empty audience", Config{}, set{"aud": ""}, never, "the validator names none"},

		{"claim", Config{Claims: map[string]string{"role": "voter"}}, set{"role": "voter"}, now.Add(hour), ""},
		{"claim in an array", Config{Claims: map[string]string{"role": "voter"}}, set{"role": []any{nil, "x", "voter"}}, now.Add(hour), ""},
		{"claim of any value", Config{Claims: map[string]string{"role": ""}}, set{"role": false}, now.Add(hour), ""},
		{"missing claim", Config{Claims: map[string]string{"role": ""}}, nil, never, `claim "role" is missing`},
		{"one of two claims", Config{Claims: map[string]string{"role": "", "zone": ""}}, set{"role": "x"}, never, `claim "zone" is missing`},
		{"claim of another value", Config{Claims: map[string]string{"role": "voter"}}, set{"role": "voters"}, never, `claim "role"`},
		{"claim of another type", Config{Claims: map[string]string{"role": "1"}}, set{"role": 1}, never, `claim "role"`},
	} {
		c.config.Keys = []Key{keyOfSigner(t, EdDSA)}
		v := newValidator(t, c.config)
		token := sign(t, EdDSA, set{"alg": EdDSA}, with(good(), c.claims))
		if c.reason == "" {
			wantAccepted(t, c.name, v, token, c.until)
		} else {
			wantRefused(t, c.name, v, token, c.reason)
		}
	}
	// null counts as a wrong value for a time, and as missing for a required claim.
	v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, EdDSA)}, AllowNoExpiry: true, Claims: map[string]string{"role": ""}})
	raw := func(more string) string {
		return sign(t, EdDSA, set{"alg": EdDSA}, `{"sub":"`+peer.String()+`",`+more+`}`)
	}
	wantRefused(t, "exp is null", v, raw(`"role":1,"exp":null`), "exp is not a number")
	wantRefused(t, "claim is null", v, raw(`"role":null`), `claim "role" is missing`)
}

func TestExpiredIsErrExpired(t *testing.T) {
	t.Parallel()
	v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, EdDSA)}})
	token := Ticket(sign(t, EdDSA, set{"alg": EdDSA}, good()))
	if _, err := v.Validate(now.Add(time.Hour), peer, token); !errors.Is(err, ticket.ErrExpired) {
		t.Errorf("an expired token: %v, want ErrExpired", err)
	}
	if _, err := v.Validate(now, sm.PeerID{8}, token); err == nil || errors.Is(err, ticket.ErrExpired) {
		t.Errorf("another peer's token: %v, want another error", err)
	}
}

func TestTicketTrims(t *testing.T) {
	t.Parallel()
	got := Ticket("\n a.b.c\r\n")
	if string(got.Data) != "a.b.c" || got.Class != Class() {
		t.Errorf("%q of class %v", got.Data, got.Class)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key := keyOfSigner(t, EdDSA)
	for want, c := range map[string]Config{
		"Config.Keys: 0 keys; 1 to 16 are allowed":              {},
		"Config.Keys: 17 keys; 1 to 16 are allowed":             {Keys: make([]Key, 17)},
		"Config.Keys: key 2 is the zero Key":                    {Keys: []Key{key, {}}},
		`Config.Keys: two keys have the id "a"`:                 {Keys: []Key{key.WithID("a"), keyOfSigner(t, ES256).WithID("a")}},
		"Config.MaxLifetime is -1ns; it must not be negative":   {Keys: []Key{key}, MaxLifetime: -1},
		"Config.MaxAge is -1ns; it must not be negative":        {Keys: []Key{key}, MaxAge: -1},
		"Config.Leeway is -1ns; it must be 0 to 5m0s":           {Keys: []Key{key}, Leeway: -1},
		"Config.Leeway is 5m0.000000001s; it must be 0 to 5m0s": {Keys: []Key{key}, Leeway: MaxLeeway + 1},
		"Config.AllowNoExpiry contradicts MaxLifetime":          {Keys: []Key{key}, AllowNoExpiry: true, MaxLifetime: 1},
		"Config.Issuers has an empty string":                    {Keys: []Key{key}, Issuers: []string{"a", ""}},
		"Config.Audiences has an empty string":                  {Keys: []Key{key}, Audiences: []string{""}},
		"Config.Claims has an empty name":                       {Keys: []Key{key}, Claims: map[string]string{"": "x"}},
		`Config.Claims has "exp"; use the field of Config`:      {Keys: []Key{key}, Claims: map[string]string{"exp": ""}},
	} {
		v, err := New(c)
		if err == nil || v != nil || !strings.HasPrefix(err.Error(), "jwt: make validator: "+want) {
			t.Errorf("%v, %v, want the error %q", v, err, want)
		}
	}
}

func TestSetKeys(t *testing.T) {
	t.Parallel()
	old, next := keyOfSigner(t, ES256).WithID("old"), keyOfSigner(t, EdDSA).WithID("new")
	config := Config{Name: "fleet", Keys: []Key{old}}
	v := newValidator(t, config)
	signature := v.Signature()
	ofOld := sign(t, ES256, set{"alg": ES256, "kid": "old"}, good())
	ofNew := sign(t, EdDSA, set{"alg": EdDSA, "kid": "new"}, good())
	changes := 0
	stop := v.Watch(func() { changes++ })
	defer v.Watch(func() {})()

	wantRefused(t, "the new key, too early", v, ofNew, `key "new" is not known`)
	if err := v.SetKeys(old, next); err != nil || changes != 1 {
		t.Errorf("both keys: %v, %d changes, want 1", err, changes)
	}
	wantAccepted(t, "the old key beside the new", v, ofOld, now.Add(time.Hour))
	wantAccepted(t, "the new key beside the old", v, ofNew, now.Add(time.Hour))
	if err := v.SetKeys(next); err != nil || changes != 2 {
		t.Errorf("the new key: %v, %d changes, want 2", err, changes)
	}
	wantRefused(t, "the old key, too late", v, ofOld, `key "old" is not known`)
	wantAccepted(t, "the new key", v, ofNew, now.Add(time.Hour))
	if v.Signature() != signature || newValidator(t, Config{Name: "fleet", Keys: []Key{next}}).Signature() != signature {
		t.Error("the keys of a validator with a name are in its signature")
	}

	if err := v.SetKeys(); err == nil || !strings.Contains(err.Error(), "jwt: set keys: 0 keys") {
		t.Errorf("no keys: %v", err)
	}
	wantAccepted(t, "after an error", v, ofNew, now.Add(time.Hour))
	stop()
	if err := v.SetKeys(old); err != nil || changes != 2 {
		t.Errorf("unwatched: %v, %d changes, want 2", err, changes)
	}
	if err := newValidator(t, Config{Keys: []Key{old}}).SetKeys(next); err == nil || !strings.Contains(err.Error(), "set Config.Name") {
		t.Errorf("a validator without a name: %v, want an error that says to set one", err)
	}
}

// TestNewCopies changes the caller's slices and maps after New.
func TestNewCopies(t *testing.T) {
	t.Parallel()
	c := Config{Keys: []Key{keyOfSigner(t, EdDSA)}, Issuers: []string{"b", "a"}, Audiences: []string{"c"}, Claims: map[string]string{"role": "voter"}}
	v := newValidator(t, c)
	if c.Issuers[0] != "b" {
		t.Error("New changed the caller's issuers")
	}
	c.Keys[0], c.Issuers[0], c.Audiences[0], c.Claims["role"] = Key{}, "x", "x", "x"
	wantAccepted(t, "as it was", v, sign(t, EdDSA, set{"alg": EdDSA}, with(good(), set{"iss": "b", "aud": "c", "role": "voter"})), now.Add(time.Hour))
}

func TestValidatorIsCheckedWithOthers(t *testing.T) {
	t.Parallel()
	first := newValidator(t, Config{Keys: []Key{keyOfSigner(t, EdDSA)}})
	second := newValidator(t, Config{Keys: []Key{keyOfSigner(t, ES256)}})
	long := Ticket(sign(t, EdDSA, set{"alg": EdDSA}, with(good(), set{"exp": at(3 * time.Hour)})))
	short := Ticket(sign(t, ES256, set{"alg": ES256}, good()))
	both := []ticket.Validator{first, second}
	if until, err := ticket.Check(now, both, peer, []ticket.Ticket{long, short}); err != nil || !until.Equal(now.Add(time.Hour)) {
		t.Errorf("both tickets: %v, %v, want the earlier expiry", until, err)
	}
	if until, err := ticket.Check(now, both, peer, []ticket.Ticket{long}); err == nil {
		t.Errorf("one ticket is enough for two validators until %v", until)
	}
}

// FuzzValidate checks that only signed tokens are accepted and that nothing panics.
func FuzzValidate(f *testing.F) {
	keys := []Key{keyOfSigner(f, EdDSA).WithID("a"), keyOfSigner(f, HS256), keyOfSigner(f, ES384)}
	v := newValidator(f, Config{Keys: keys, Issuers: []string{"a"}, Claims: map[string]string{"role": ""}, Leeway: time.Minute, MaxAge: time.Hour})
	f.Add(`{"alg":"HS256"}`, `{"sub":"x","exp":9999999999,"iat":1767323045,"iss":"a","role":[1,"b"]}`, "")
	f.Add(`{"alg":"EdDSA","kid":"a"}`, `{"sub":"`+peer.String()+`","exp":1e10}`, "AAAA")
	f.Add(`{"alg":"none"}`, `null`, ".")
	f.Add(`{"alg":"HS256","crit":[]}`, `[{"a":1,"a":2}]`, "=")
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		if _, err := v.Validate(now, peer, Ticket(segment(t, header)+"."+segment(t, claims)+"."+signature)); err == nil {
			t.Errorf("%s, %s is accepted with the signature %s", header, claims, signature)
		}
		// Most faults are found only after a right signature.
		until, err := v.Validate(now, peer, ticket.Ticket{Data: []byte(sign(t, HS256, header, claims))})
		switch {
		case err != nil && !until.IsZero():
			t.Errorf("refused with an expiry: %v, %v", until, err)
		case err == nil && !until.After(now):
			t.Errorf("accepted until %v", until)
		}
	})
}

// base64Of is b as members of a JWK hold it.
func base64Of(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
