package jwt

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
)

// The tests of this file cover the classes of attacks on signed tokens that Project Wycheproof
// collects for JWS and for ECDSA and EdDSA signatures, with our own tokens. Each honest token is
// accepted. Each variant of it must be refused, for any reason.

// everyKey returns a validator with the key of every algorithm, each with an id that is
// its algorithm.
func everyKey(t *testing.T) *Validator {
	t.Helper()
	var keys []Key
	for a := range signers {
		keys = append(keys, keyOfSigner(t, a).WithID(string(a)))
	}
	return newValidator(t, Config{Keys: keys})
}

// refuse fails the test if the validator accepts the token.
func refuse(t *testing.T, v *Validator, name, token string) {
	t.Helper()
	if until, err := v.Validate(now, peer, ticket.Ticket{Class: Class(), Data: []byte(token)}); err == nil {
		t.Errorf("%s: accepted until %v: %s", name, until, token)
	}
}

// eachAlgorithm calls f with an honest token of every algorithm, which the validator
// accepts, in parts.
func eachAlgorithm(t *testing.T, v *Validator, f func(a Algorithm, header, claims string, signature []byte)) {
	t.Helper()
	for a := range signers {
		token := sign(t, a, set{"alg": a, "kid": a}, good())
		wantAccepted(t, string(a), v, token, now.Add(time.Hour))
		parts := strings.Split(token, ".")
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		f(a, parts[0], parts[1], signature)
	}
}

// stride is the step of the tests that change each byte. With -short they skip most bytes.
func stride() int {
	if testing.Short() {
		return 11
	}
	return 1
}

func raw(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// TestModifiedSignatures changes every bit of every signature, cuts it to every length
// and makes it longer.
func TestModifiedSignatures(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	eachAlgorithm(t, v, func(a Algorithm, header, claims string, signature []byte) {
		text := header + "." + claims + "."
		for i := 0; i < len(signature); i += stride() {
			for bit := range 8 {
				changed := slices.Clone(signature)
				changed[i] ^= 1 << bit
				refuse(t, v, fmt.Sprintf("%s, bit %d of byte %d changed", a, bit, i), text+raw(changed))
			}
			refuse(t, v, fmt.Sprintf("%s, cut to %d bytes", a, i), text+raw(signature[:i]))
			refuse(t, v, fmt.Sprintf("%s, without the first %d bytes", a, i+1), text+raw(signature[i+1:]))
		}
		for name, changed := range map[string][]byte{
			"a zero behind":      append(slices.Clone(signature), 0),
			"a zero before":      append([]byte{0}, signature...),
			"twice":              append(slices.Clone(signature), signature...),
			"all zeros":          make([]byte, len(signature)),
			"all ones":           slices.Repeat([]byte{0xff}, len(signature)),
			"halves swapped":     append(slices.Clone(signature[len(signature)/2:]), signature[:len(signature)/2]...),
			"bytes reversed":     reversed(signature),
			"one byte":           {1},
			"longer than a hash": make([]byte, 1000),
		} {
			refuse(t, v, string(a)+", "+name, text+raw(changed))
		}
		refuse(t, v, string(a)+", no signature", text)
		refuse(t, v, string(a)+", no signature and no dot", header+"."+claims)
	})
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

// TestModifiedText changes each character of the signed text to other characters.
func TestModifiedText(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	eachAlgorithm(t, v, func(a Algorithm, header, claims string, signature []byte) {
		text := header + "." + claims
		for i := 0; i < len(text); i += stride() {
			for _, c := range "A_.=+/ \n\x00é" {
				if rune(text[i]) == c {
					continue
				}
				refuse(t, v, fmt.Sprintf("%s, character %d is %q", a, i, c), text[:i]+string(c)+text[i+1:]+"."+raw(signature))
			}
			refuse(t, v, fmt.Sprintf("%s, without character %d", a, i), text[:i]+text[i+1:]+"."+raw(signature))
		}
	})
}

// TestBase64Variants writes each part of a token in ways that lax decoders read as the
// same bytes.
func TestBase64Variants(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	eachAlgorithm(t, v, func(a Algorithm, header, claims string, signature []byte) {
		for part := range 3 {
			for name, change := range map[string]func(string) string{
				"padding":             func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4+4*b2i(len(s)%4 == 0)) },
				"one =":               func(s string) string { return s + "=" },
				"padding within":      func(s string) string { return s[:4] + "====" + s[4:] },
				"space behind":        func(s string) string { return s + " " },
				"space before":        func(s string) string { return " " + s },
				"space within":        func(s string) string { return s[:4] + " " + s[4:] },
				"line break behind":   func(s string) string { return s + "\n" },
				"line break within":   func(s string) string { return s[:4] + "\r\n" + s[4:] },
				"carriage return":     func(s string) string { return s[:8] + "\r" + s[8:] },
				"tab":                 func(s string) string { return s[:4] + "\t" + s[4:] },
				"zero byte":           func(s string) string { return s + "\x00" },
				"percent encoding":    func(s string) string { return fmt.Sprintf("%%%02x", s[0]) + s[1:] },
				"standard alphabet":   func(s string) string { return "+/" + s[2:] },
				"a character too few": func(s string) string { return s[:len(s)-1] },
				"a single character":  func(s string) string { return s[:1] },
				"nothing":             func(string) string { return "" },
				"a dot more":          func(s string) string { return s + "." },
				"hexadecimal":         func(s string) string { b, _ := base64.RawURLEncoding.DecodeString(s); return fmt.Sprintf("%x", b) },
			} {
				parts := []string{header, claims, raw(signature)}
				parts[part] = change(parts[part])
				refuse(t, v, fmt.Sprintf("%s, part %d: %s", a, part, name), strings.Join(parts, "."))
			}
			// The bits that the last character has and no byte needs.
			parts := []string{header, claims, raw(signature)}
			if spare := map[int]int{2: 4, 3: 2}[len(parts[part])%4]; spare > 0 {
				const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
				s := parts[part]
				at := strings.IndexByte(alphabet, s[len(s)-1])
				for more := 1; more < 1<<spare; more++ {
					parts[part] = s[:len(s)-1] + alphabet[at+more:at+more+1]
					refuse(t, v, fmt.Sprintf("%s, part %d: spare bits %d", a, part, more), strings.Join(parts, "."))
				}
			}
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestVariantsThatAreSigned signs parts whose encoding is not canonical, so that only the decoder can
// refuse them.
func TestVariantsThatAreSigned(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	signed := func(header, claims string) string {
		text := header + "." + claims
		return text + "." + raw(hmacOf(text, signers[HS256].([]byte)))
	}
	claims := segment(t, good())
	for pad := range 3 {
		header := segment(t, `{"alg":"HS256"`+strings.Repeat(" ", pad)+`}`)
		wantAccepted(t, "honest", v, signed(header, claims), now.Add(time.Hour))
		for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			if changed := header[:len(header)-1] + string(last); changed != header {
				refuse(t, v, fmt.Sprintf("%d spaces, last character %c", pad, last), signed(changed, claims))
			}
		}
		for _, more := range []string{"=", "==", "===", "\n", "\r\n", "\r", " ", "\t", "\x00", "."} {
			for _, at := range []int{0, 1, 4, 8, len(header)} {
				refuse(t, v, fmt.Sprintf("%q at %d of the header", more, at), signed(header[:at]+more+header[at:], claims))
			}
			for _, at := range []int{0, 1, 4, 8, len(claims)} {
				refuse(t, v, fmt.Sprintf("%q at %d of the claims", more, at), signed(header, claims[:at]+more+claims[at:]))
			}
		}
	}
	refuse(t, v, "claims that are not encoded", signed(segment(t, set{"alg": "HS256"}), `{"sub":"`+peer.String()+`","exp":9999999999}`))
	refuse(t, v, "claims that are not encoded, and b64", signed(segment(t, set{"alg": "HS256", "b64": false}), `{"sub":"`+peer.String()+`","exp":9999999999}`))
}

func hmacOf(text string, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// TestUnsecuredTokens validates tokens that claim to need no signature.
func TestUnsecuredTokens(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	eachAlgorithm(t, v, func(a Algorithm, header, claims string, signature []byte) {
		for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", " none", "no\u006ee", "null", "", "\u0000"} {
			for _, kid := range []any{nil, a} {
				other := segment(t, with(set{"alg": alg}, set{"kid": kid}))
				for _, s := range []string{"", raw(signature), raw(nil), "AA"} {
					refuse(t, v, fmt.Sprintf("alg %q, kid %v, signature %q", alg, kid, s), other+"."+claims+"."+s)
				}
				refuse(t, v, "two parts", other+"."+claims)
			}
		}
		for _, text := range []string{`{}`, `{"alg":null}`, `{"alg":false}`, `{"alg":0}`, `{"alg":[]}`, `{"alg":{}}`, `{"Alg":"` + string(a) + `"}`,
			`{"ALG":"` + string(a) + `"}`, `{"typ":"JWT"}`, ``, `null`, `[]`, `""`} {
			for _, s := range []string{"", raw(signature)} {
				refuse(t, v, "header "+text, segment(t, text)+"."+claims+"."+s)
			}
		}
		nested := segment(t, set{"alg": "none"}) + "." + claims + "."
		for name, token := range map[string]string{
			"an unsecured token as claims":       sign(t, a, set{"alg": a, "cty": "JWT"}, nested),
			"an unsecured token as JSON text":    sign(t, a, set{"alg": a, "cty": "JWT"}, fmt.Sprintf("%q", nested)),
			"a signed token as claims":           sign(t, a, set{"alg": a, "cty": "JWT"}, sign(t, a, set{"alg": a}, good())),
			"a signed token in an unsecured one": segment(t, set{"alg": "none", "cty": "JWT"}) + "." + segment(t, sign(t, a, set{"alg": a}, good())) + ".",
			"encrypted, five parts":              segment(t, set{"alg": "dir", "enc": "A256GCM"}) + "..AAAA." + claims + ".AAAA",
			"JSON serialisation":                 fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, claims, header, raw(signature)),
			"flat JSON":                          fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, claims, header, raw(signature)),
			"detached claims":                    header + ".." + raw(signature),
		} {
			refuse(t, v, string(a)+", "+name, token)
		}
	})
}

// TestAlgorithmConfusion signs with each key as if it were one of every other algorithm:
// with public keys as secrets, with the right key under another name, and with RSA.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	claims := segment(t, good())
	private, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"HS256", "HS384", "HS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448", "RS256", "RS384", "RS512",
		"PS256", "PS384", "PS512", "HS1", "HS256/64", "hs256", "es256", "eddsa", "A128KW", "dir", "HMAC", "SHA256"}
	for of := range signers {
		only := newValidator(t, Config{Keys: []Key{keyOfSigner(t, of)}})
		for _, name := range names {
			for _, kid := range []any{nil, string(of), name} {
				header := segment(t, with(set{"alg": name}, set{"kid": kid}))
				text := header + "." + claims
				if name != string(of) { // what the signer makes, under another name
					token := sign(t, of, with(set{"alg": name}, set{"kid": kid}), good())
					refuse(t, v, fmt.Sprintf("%s called %s, kid %v", of, name, kid), token)
					refuse(t, only, fmt.Sprintf("%s called %s, kid %v, one key", of, name, kid), token)
				}
				if strings.HasPrefix(name, "HS") && !strings.HasPrefix(string(of), "HS") {
					for _, secret := range [][]byte{material(t, of), pemOf(t, of), []byte(jwkText[of]), {}, {0}} {
						refuse(t, v, fmt.Sprintf("public key of %s as the secret of %s", of, name), text+"."+raw(hmacOf(text, secret)))
						refuse(t, only, fmt.Sprintf("public key of %s as the secret of %s, one key", of, name), text+"."+raw(hmacOf(text, secret)))
					}
				}
				if of != ES256 {
					continue // the same for each of them
				}
				sum := sha256.Sum256([]byte(text))
				signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
				if err != nil {
					t.Fatal(err)
				}
				refuse(t, v, "RSA called "+name, text+"."+raw(signature))
			}
		}
	}
}

// material returns the public key of a signer as bytes.
func material(t *testing.T, a Algorithm) []byte {
	t.Helper()
	_, b := keyOfSigner(t, a).reveal()
	return b
}

// TestWrongKeys signs tokens with keys that the validator does not have.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	others := map[Algorithm]any{
		HS256: slices.Repeat([]byte{9}, 32), HS384: slices.Repeat([]byte{9}, 48), HS512: slices.Repeat([]byte{9}, 64),
		ES256: scalar(elliptic.P256(), 9), ES384: scalar(elliptic.P384(), 9),
		EdDSA: ed25519.NewKeyFromSeed(slices.Repeat([]byte{9}, 32)),
	}
	for a, key := range others {
		for _, kid := range []any{nil, string(a)} {
			refuse(t, v, string(a)+" of another key", signWith(t, a, key, with(set{"alg": a}, set{"kid": kid}), good()))
		}
	}
	for _, secret := range [][]byte{{}, {1}, slices.Repeat([]byte{1}, 31), slices.Repeat([]byte{1}, 33), append(slices.Repeat([]byte{1}, 32), 1)} {
		refuse(t, v, fmt.Sprintf("secret of %d bytes", len(secret)), signWith(t, HS256, secret, set{"alg": HS256}, good()))
	}
	// HMAC pads secrets with zeros, so this one is the same to it.
	padded := append(slices.Clone(signers[HS256].([]byte)), 0)
	wantAccepted(t, "the secret with a zero behind", v, signWith(t, HS256, padded, set{"alg": HS256}, good()), now.Add(time.Hour))
}

// TestHeaderTricks signs headers that contain or reference a key, have duplicate members, or have
// critical extensions. Headers with a key are signed with that key, the attacker's.
func TestHeaderTricks(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	eachAlgorithm(t, v, func(a Algorithm, _, _ string, _ []byte) {
		mine := fmt.Sprintf(`"alg":%q`, string(a))
		for name, header := range map[string]string{
			"alg twice":               `{` + mine + `,` + mine + `}`,
			"alg twice, none first":   `{"alg":"none",` + mine + `}`,
			"alg twice, none last":    `{` + mine + `,"alg":"none"}`,
			"alg escaped":             `{` + mine + `,"\u0061lg":"none"}`,
			"kid twice":               `{` + mine + `,"kid":"x","kid":"` + string(a) + `"}`,
			"typ twice":               `{` + mine + `,"typ":"JWT","typ":"x"}`,
			"twice within":            `{` + mine + `,"x":{"y":1,"y":2}}`,
			"crit":                    `{` + mine + `,"crit":["exp"],"exp":1}`,
			"crit, nothing":           `{` + mine + `,"crit":[]}`,
			"crit of what is unknown": `{` + mine + `,"crit":["x"],"x":1}`,
			"crit of alg":             `{` + mine + `,"crit":["alg"]}`,
			"crit that is missing":    `{` + mine + `,"crit":["x"]}`,
			"crit, a text":            `{` + mine + `,"crit":"exp"}`,
			"crit, null":              `{` + mine + `,"crit":null}`,
			"b64 false":               `{` + mine + `,"b64":false,"crit":["b64"]}`,
			"b64 false without crit":  `{` + mine + `,"b64":false}`,
			"b64 is null":             `{` + mine + `,"b64":null}`,
			"b64 true":                `{` + mine + `,"b64":true,"crit":["b64"]}`,
			"kid is another key":      `{` + mine + `,"kid":"` + string(otherThan(a)) + `"}`,
			"kid is unknown":          `{` + mine + `,"kid":"../../dev/null"}`,
			"kid is SQL":              `{` + mine + `,"kid":"x' UNION SELECT 'key"}`,
			"kid is empty":            `{` + mine + `,"kid":""}`,
			"kid is a number":         `{` + mine + `,"kid":0}`,
			"kid is null":             `{` + mine + `,"kid":null}`,
			"kid is a list":           `{` + mine + `,"kid":["` + string(a) + `"]}`,
			"kid with a zero":         `{` + mine + `,"kid":"` + string(a) + `\u0000"}`,
			"text behind":             `{` + mine + `}x`,
			"two objects":             `{` + mine + `}{` + mine + `}`,
			"a comment":               `{` + mine + `/**/}`,
			"a comma at the end":      `{` + mine + `,}`,
			"single quotes":           `{'alg':'` + string(a) + `'}`,
			"no UTF-8":                "{" + mine + ",\"x\":\"\xff\"}",
			"a byte order mark":       "\xef\xbb\xbf{" + mine + "}",
			"nested deep":             `{` + mine + `,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
		} {
			refuse(t, v, string(a)+", "+name, sign(t, a, header, good()))
		}
	})
	// Keys that a token contains or references are neither used nor fetched.
	attacker := ed25519.NewKeyFromSeed(slices.Repeat([]byte{66}, 32))
	jwk := set{"kty": "OKP", "crv": "Ed25519", "x": raw(attacker.Public().(ed25519.PublicKey))}
	for name, trick := range map[string]set{
		"jwk":                  {"jwk": jwk},
		"jwk and kid":          {"jwk": with(jwk, set{"kid": "EdDSA"}), "kid": "EdDSA"},
		"jwk, kid of another":  {"jwk": with(jwk, set{"kid": "evil"}), "kid": "evil"},
		"jku":                  {"jku": "http://127.0.0.1:1/keys", "kid": "EdDSA"},
		"x5u":                  {"x5u": "http://127.0.0.1:1/cert", "kid": "EdDSA"},
		"x5c":                  {"x5c": []string{"MAAwADAA"}, "kid": "EdDSA"},
		"x5t":                  {"x5t": "AAAA", "kid": "EdDSA"},
		"jwk of a secret":      {"jwk": set{"kty": "oct", "k": raw(slices.Repeat([]byte{1}, 32)), "alg": "HS256"}},
		"jwks":                 {"jwks": set{"keys": []set{jwk}}},
		"cty, typ":             {"cty": "JWT", "typ": "JWT"},
		"epk":                  {"epk": jwk},
		"nothing but its name": {},
	} {
		refuse(t, v, name, signWith(t, EdDSA, attacker, with(set{"alg": EdDSA}, trick), good()))
	}
	for name, header := range map[string]set{ // members that are not used do no harm
		"jwk": {"jwk": jwk}, "jku": {"jku": "http://127.0.0.1:1/keys"}, "x5c": {"x5c": []string{"MAAwADAA"}}, "cty": {"cty": "JWT"}, "typ": {"typ": "at+jwt"},
	} {
		wantAccepted(t, "honest with "+name, v, sign(t, EdDSA, with(header, set{"alg": EdDSA}), good()), now.Add(time.Hour))
	}
}

// otherThan returns another algorithm.
func otherThan(a Algorithm) Algorithm {
	if a == ES256 {
		return EdDSA
	}
	return ES256
}
