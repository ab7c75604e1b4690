package jwt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	now  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	peer = sm.PeerID{7}
)

// signers are a private key for every algorithm.
var signers = map[Algorithm]any{
	HS256: bytes.Repeat([]byte{1}, 32),
	HS384: bytes.Repeat([]byte{2}, 48),
	HS512: bytes.Repeat([]byte{3}, 64),
	ES256: scalar(elliptic.P256(), 4),
	ES384: scalar(elliptic.P384(), 5),
	EdDSA: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, 32)),
}

// scalar returns the private key of one byte, repeated.
func scalar(curve elliptic.Curve, b byte) *ecdsa.PrivateKey {
	k, err := ecdsa.ParseRawPrivateKey(curve, bytes.Repeat([]byte{b}, (curve.Params().BitSize+7)/8))
	if err != nil {
		panic(err)
	}
	return k
}

// keyOfSigner returns the key that verifies what the signer of the algorithm signs.
func keyOfSigner(t testing.TB, a Algorithm) Key {
	t.Helper()
	var key Key
	var err error
	switch s := signers[a].(type) {
	case []byte:
		key, err = HMACKey(a, s)
	case *ecdsa.PrivateKey:
		key, err = PublicKey(&s.PublicKey)
	case ed25519.PrivateKey:
		key, err = PublicKey(s.Public())
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newValidator(t testing.TB, c Config) *Validator {
	t.Helper()
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// set is a JSON object.
type set = map[string]any

// with returns o with changes; a nil value removes a member.
func with(o, changes set) set {
	out := set{}
	for _, m := range []set{o, changes} {
		for k, v := range m {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
	}
	return out
}

// good are claims that the zero rules accept for an hour.
func good() set { return set{"sub": peer.String(), "exp": now.Add(time.Hour).Unix()} }

// sign returns a token. Header and claims are text, or values that are marshalled as JSON.
func sign(t testing.TB, a Algorithm, header, claims any) string {
	t.Helper()
	return signWith(t, a, signers[a], header, claims)
}

func signWith(t testing.TB, a Algorithm, key, header, claims any) string {
	t.Helper()
	text := segment(t, header) + "." + segment(t, claims)
	signature, err := jwt.GetSigningMethod(string(a)).Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func segment(t testing.TB, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// wantRefused fails the test unless the validator refuses with the reason.
func wantRefused(t *testing.T, name string, v *Validator, token, reason string) {
	t.Helper()
	expiry, err := v.Validate(now, peer, ticket.Ticket{Class: Class(), Data: []byte(token)})
	switch {
	case err == nil:
		t.Errorf("%s: accepted until %v, want an error with %q", name, expiry, reason)
	case !strings.HasPrefix(err.Error(), "jwt: ") || !strings.Contains(err.Error(), reason) || !expiry.IsZero():
		t.Errorf("%s: %v, %v, want an error with %q", name, expiry, err, reason)
	}
}

// wantAccepted fails the test unless the validator accepts until the time.
func wantAccepted(t *testing.T, name string, v *Validator, token string, until time.Time) {
	t.Helper()
	expiry, err := v.Validate(now, peer, Ticket(token))
	if err != nil || !expiry.Equal(until) {
		t.Errorf("%s: %v, %v, want %v", name, expiry, err, until)
	}
}
