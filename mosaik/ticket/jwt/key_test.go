package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"
)

// publicOf returns the public key of the algorithm's signer.
func publicOf(a Algorithm) crypto.PublicKey { return signers[a].(crypto.Signer).Public() }

// pemOf returns the signer's public key as openssl writes it.
func pemOf(t testing.TB, a Algorithm) []byte { return block(t, publicOf(a)) }

func block(t testing.TB, public any) []byte {
	t.Helper()
	b, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b})
}

// coordinates returns x and y of an EC key in base64.
func coordinates(a Algorithm) (x, y string) {
	b, err := signers[a].(*ecdsa.PrivateKey).PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	n := (len(b) - 1) / 2
	return base64Of(b[1 : 1+n]), base64Of(b[1+n:])
}

// jwkText is a JWK of every signer.
var jwkText = func() map[Algorithm]string {
	all := map[Algorithm]string{EdDSA: `{"kty":"OKP","crv":"Ed25519","kid":"the kid","x":"` + base64Of(publicOf(EdDSA).(ed25519.PublicKey)) + `"}`}
	for _, a := range []Algorithm{HS256, HS384, HS512} {
		all[a] = fmt.Sprintf(`{"kty":"oct","kid":"the kid","alg":%q,"use":"sig","k":%q}`, a, base64Of(signers[a].([]byte)))
	}
	for a, curve := range map[Algorithm]string{ES256: "P-256", ES384: "P-384"} {
		x, y := coordinates(a)
		all[a] = fmt.Sprintf(`{"kty":"EC","crv":%q,"kid":"the kid","key_ops":["verify"],"x":%q,"y":%q,"x5t":"ignored"}`, curve, x, y)
	}
	return all
}()

func TestKeysFromTextVerify(t *testing.T) {
	t.Parallel()
	check := func(name string, a Algorithm, keys []Key, err error, id string) {
		t.Helper()
		if err != nil || len(keys) != 1 || keys[0].Algorithm() != a || keys[0].ID() != id {
			t.Errorf("%s for %s: %v, %v, want one with the id %q", name, a, keys, err, id)
			return
		}
		wantAccepted(t, name, newValidator(t, Config{Keys: keys}), sign(t, a, set{"alg": a}, good()), now.Add(time.Hour))
	}
	for a, text := range jwkText {
		keys, err := KeysFromJWK([]byte(text))
		check("JWK", a, keys, err, "the kid")
		keys, err = KeysFromJWK([]byte("\n{\"keys\": [" + text + "]}\n"))
		check("set", a, keys, err, "the kid")
	}
	for _, a := range []Algorithm{ES256, ES384, EdDSA} {
		keys, err := KeysFromPEM(append([]byte("\n"), pemOf(t, a)...))
		check("PEM", a, keys, err, "")
	}
	keys, err := KeysFromPEM(bytes.Join([][]byte{pemOf(t, ES256), pemOf(t, EdDSA), nil}, []byte("\n")))
	if err != nil || len(keys) != 2 || keys[0].Algorithm() != ES256 || keys[1].Algorithm() != EdDSA {
		t.Errorf("two blocks: %v, %v", keys, err)
	}
}

func TestKeysFromJWKRefuses(t *testing.T) {
	t.Parallel()
	x, y := coordinates(ES256)
	longX, longY := coordinates(ES384)
	ed, oct := jwkText[EdDSA], jwkText[HS256]
	with := func(text, more string) string { return strings.TrimSuffix(text, "}") + "," + more + "}" }
	ec := func(crv, x, y string) string {
		return fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q}`, crv, x, y)
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "not one JSON object"},
		"PEM":                 {string(pemOf(t, EdDSA)), "not one JSON object"},
		"array":               {"[" + ed + "]", "not one JSON object"},
		"two":                 {ed + ed, "not one JSON object"},
		"empty object":        {"{}", `kty "" with crv "" is not accepted`},
		"oversized":           {strings.Repeat(" ", maxKeyFile) + ed, "at most 65536 are allowed"},
		"member twice":        {with(ed, `"x":"AA"`), `"x" appears twice`},
		"RSA":                 {`{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RS256"}`, "RSA keys are not accepted"},
		"RSA in a set":        {`{"keys":[` + ed + `,{"kty":"RSA"}]}`, "key 2: RSA keys are not accepted"},
		"secp256k1":           {ec("secp256k1", x, y), `crv "secp256k1" is not accepted`},
		"P-521":               {ec("P-521", x, y), "is not accepted"},
		"X25519":              {`{"kty":"OKP","crv":"X25519","x":"` + x + `"}`, "is not accepted"},
		"Ed448":               {`{"kty":"OKP","crv":"Ed448","x":"` + x + `"}`, "is not accepted"},
		"kty in capitals":     {strings.Replace(ed, "OKP", "okp", 1), "is not accepted"},
		"kty is no text":      {`{"kty":1}`, "kty is not a string"},
		"kid is no text":      {strings.Replace(ed, `"the kid"`, "1", 1), "kid is not a string"},
		"crv with oct":        {with(oct, `"crv":"P-256"`), "is not accepted"},
		"private OKP":         {with(ed, `"d":"AA"`), "it is a private key"},
		"private EC":          {with(ec("P-256", x, y), `"d":null`), "it is a private key"},
		"for encryption":      {with(ed, `"use":"enc"`), `use is "enc"`},
		"for signing":         {with(ed, `"key_ops":["sign"]`), "key_ops does not hold verify"},
		"key_ops is no array": {with(ed, `"key_ops":"verify"`), "key_ops does not hold verify"},
		"other alg":           {with(ed, `"alg":"ES256"`), `alg is "ES256"; the key is for EdDSA`},
		"EC for HMAC":         {with(ec("P-256", x, y), `"alg":"HS256"`), `alg is "HS256"; the key is for ES256`},
		"EC of another hash":  {with(ec("P-256", x, y), `"alg":"ES384"`), "the key is for ES256"},
		"oct without alg":     {`{"kty":"oct","k":"` + x + `"}`, `algorithm ""`},
		"oct for none":        {`{"kty":"oct","alg":"none","k":"` + x + `"}`, `algorithm "none"`},
		"oct for RSA":         {`{"kty":"oct","alg":"RS256","k":"` + x + `"}`, `algorithm "RS256"`},
		"oct without k":       {`{"kty":"oct","alg":"HS256"}`, "k is missing or not a string"},
		"short secret":        {`{"kty":"oct","alg":"HS256","k":"` + base64Of(make([]byte, 31)) + `"}`, "the secret has 31 bytes; HS256 needs 32"},
		"short for HS512":     {`{"kty":"oct","alg":"HS512","k":"` + base64Of(make([]byte, 63)) + `"}`, "HS512 needs 64"},
		"padded":              {strings.Replace(ed, `"}`, `="}`, 1), "x is not base64url"},
		"line break":          {strings.Replace(ed, `"x":"`, `"x":"\n`, 1), "x is not base64url"},
		"bits to spare":       {`{"kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("A", 42) + `B"}`, "x is not base64url"},
		"short x":             {`{"kty":"OKP","crv":"Ed25519","x":"` + base64Of(make([]byte, 31)) + `"}`, "x has 31 bytes, not 32"},
		"zeros":               {`{"kty":"OKP","crv":"Ed25519","x":"` + base64Of(make([]byte, 32)) + `"}`, "all zeros"},
		"long coordinates":    {ec("P-256", longX, longY), "x has 48 bytes, not 32"},
		"short coordinates":   {ec("P-384", x, y), "x has 32 bytes, not 48"},
		"no y":                {`{"kty":"EC","crv":"P-256","x":"` + x + `"}`, "y is missing"},
		"off the curve":       {ec("P-256", x, x), "x and y: "},
		"infinity":            {ec("P-256", base64Of(make([]byte, 32)), base64Of(make([]byte, 32))), "x and y: "},
		"empty set":           {`{"keys":[]}`, "not an array of 1 to 16 keys"},
		"large set":           {`{"keys":[` + strings.Repeat(ed+",", MaxKeys) + ed + `]}`, "not an array of 1 to 16 keys"},
		"set of one object":   {`{"keys":` + ed + `}`, "not an array"},
		"set of text":         {`{"keys":["x"]}`, "key 1 is not an object"},
	} {
		keys, err := KeysFromJWK([]byte(c.text))
		if err == nil || keys != nil || !strings.HasPrefix(err.Error(), "jwt: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", name, keys, err, c.want)
		}
	}
}

func TestKeysFromPEMRefuses(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	large, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signers[EdDSA])
	if err != nil {
		t.Fatal(err)
	}
	of := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	good := string(pemOf(t, EdDSA))
	for name, c := range map[string]struct{ text, want string }{
		"nothing":       {" \n", "the text is blank"},
		"JWK":           {jwkText[EdDSA], "no PEM block after the first 0"},
		"cut off":       {good[:len(good)-9], "no PEM block"},
		"text after":    {good + "and more", "no PEM block after the first 1"},
		"private key":   {of("PRIVATE KEY", private), `block 1 is "PRIVATE KEY"`},
		"certificate":   {good + of("CERTIFICATE", nil), `block 2 is "CERTIFICATE"`},
		"PKCS #1":       {of("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), `"RSA PUBLIC KEY"`},
		"RSA":           {string(block(t, &rsaKey.PublicKey)), "*rsa.PublicKey cannot be used"},
		"P-521":         {string(block(t, &large.PublicKey)), "the curve is not P-256 or P-384"},
		"no public key": {of("PUBLIC KEY", private), "block 1: "},
		"too many":      {strings.Repeat(good, MaxKeys+1), "more than 16 keys"},
		"oversized":     {strings.Repeat(" ", maxKeyFile) + good, "at most 65536 are allowed"},
	} {
		keys, err := KeysFromPEM([]byte(c.text))
		if err == nil || keys != nil || !strings.HasPrefix(err.Error(), "jwt: read PEM keys: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", name, keys, err, c.want)
		}
	}
}

func TestMakeKeyRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func() (Key, error)
		want string
	}{
		"nil":           {func() (Key, error) { return PublicKey(nil) }, "the key is nil"},
		"nil pointer":   {func() (Key, error) { return PublicKey((*ecdsa.PublicKey)(nil)) }, "the key is nil"},
		"empty ECDSA":   {func() (Key, error) { return PublicKey(&ecdsa.PublicKey{}) }, "has no point"},
		"no point":      {func() (Key, error) { return PublicKey(&ecdsa.PublicKey{Curve: elliptic.P256()}) }, "has no point"},
		"private key":   {func() (Key, error) { return PublicKey(signers[EdDSA]) }, "ed25519.PrivateKey cannot be used"},
		"secret":        {func() (Key, error) { return PublicKey(signers[HS256]) }, "[]uint8 cannot be used"},
		"short Ed25519": {func() (Key, error) { return PublicKey(ed25519.PublicKey{1}) }, "has 1 bytes, not 32"},
		"HMAC of ES256": {func() (Key, error) { return HMACKey(ES256, make([]byte, 99)) }, `algorithm "ES256"`},
		"short secret":  {func() (Key, error) { return HMACKey(HS384, make([]byte, 47)) }, "has 47 bytes; HS384 needs 48"},
	} {
		key, err := c.make()
		if err == nil || key.reveal != nil || !strings.HasPrefix(err.Error(), "jwt: make key: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", name, key, err, c.want)
		}
	}
}

func TestKeysCopyAndKeepTheirSecret(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret of thirty-two bytes, or more")
	key, err := HMACKey(HS256, secret)
	if err != nil {
		t.Fatal(err)
	}
	token := signWith(t, HS256, bytes.Clone(secret), set{"alg": HS256}, good())
	shown := fmt.Sprintf("%x", secret[:8])
	text := string(secret[:8])
	clear(secret)
	v := newValidator(t, Config{Keys: []Key{key.WithID("a")}})
	wantAccepted(t, "after the caller cleared its secret", v, token, now.Add(time.Hour))

	if got := fmt.Sprintf("%v, %s, %v, %v", key, key.WithID("a"), Key{}, v); got != `HS256 key, HS256 key "a", none, JWT validator with [HS256 key "a"]` {
		t.Errorf("prints as %s", got)
	}
	if got := newValidator(t, Config{Name: "fleet", Keys: []Key{key}}).String(); got != `JWT validator "fleet"` {
		t.Errorf("prints as %s", got)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, value := range []any{key, &key, []Key{key}, v, struct{ private Key }{key}, Config{Keys: []Key{key}}} {
			got := fmt.Sprintf(format, value)
			if strings.Contains(got, text) || strings.Contains(got, shown) || strings.Contains(got, "97 32 115 101") {
				t.Errorf("%s of %T shows the secret: %s", format, value, got)
			}
		}
	}
}

func FuzzKeysFromJWK(f *testing.F) {
	for _, text := range jwkText {
		f.Add([]byte(text))
		f.Add([]byte(`{"keys":[` + text + `,` + text + `]}`))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA"},1,null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := KeysFromJWK(text)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and the error %v", len(keys), err)
		}
		for _, k := range keys {
			if _, err := New(Config{Keys: []Key{k}}); err != nil {
				t.Errorf("%v makes no validator: %v", k, err)
			}
		}
	})
}
