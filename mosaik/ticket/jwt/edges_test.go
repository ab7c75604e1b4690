package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestECDSAEdgeCases builds signatures from numbers at the edges, in other encodings and
// for other curves.
func TestECDSAEdgeCases(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	for a, curve := range map[Algorithm]elliptic.Curve{ES256: elliptic.P256(), ES384: elliptic.P384()} {
		token := sign(t, a, set{"alg": a}, good())
		cut := strings.LastIndexByte(token, '.') + 1
		text := token[:cut]
		signature, err := base64.RawURLEncoding.DecodeString(token[cut:])
		if err != nil {
			t.Fatal(err)
		}
		size := len(signature) / 2
		n, p := curve.Params().N, curve.Params().P
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		number := func(x *big.Int, size int) []byte {
			if b := x.Bytes(); len(b) > size {
				return b
			}
			return x.FillBytes(make([]byte, size))
		}
		wantAccepted(t, string(a), v, text+raw(append(number(r, size), number(s, size)...)), now.Add(time.Hour))

		one := big.NewInt(1)
		edges := map[string]*big.Int{
			"0": big.NewInt(0), "1": one, "2": big.NewInt(2), "n-1": new(big.Int).Sub(n, one), "n": n, "n+1": new(big.Int).Add(n, one),
			"p-1": new(big.Int).Sub(p, one), "p": p, "p+1": new(big.Int).Add(p, one), "n/2": new(big.Int).Rsh(n, 1),
			"2^bits-1": new(big.Int).Sub(new(big.Int).Lsh(one, uint(8*size)), one), "p-n": new(big.Int).Sub(p, n),
		}
		for first, x := range edges {
			for second, y := range edges {
				refuse(t, v, fmt.Sprintf("%s, r = %s, s = %s", a, first, second), text+raw(append(number(x, size), number(y, size)...)))
			}
			refuse(t, v, fmt.Sprintf("%s, r = %s", a, first), text+raw(append(number(x, size), number(s, size)...)))
			refuse(t, v, fmt.Sprintf("%s, s = %s", a, first), text+raw(append(number(r, size), number(x, size)...)))
		}
		for name, b := range map[string][]byte{
			"r and s swapped":            append(number(s, size), number(r, size)...),
			"r + n":                      append(number(new(big.Int).Add(r, n), size), number(s, size)...),
			"s + n":                      append(number(r, size), number(new(big.Int).Add(s, n), size)...),
			"-r":                         append(number(new(big.Int).Sub(n, r), size), number(s, size)...),
			"a leading zero each":        append(number(r, size+1), number(s, size+1)...),
			"16 leading zeros each":      append(number(r, size+16), number(s, size+16)...),
			"a leading zero, r":          append(number(r, size+1), number(s, size)...),
			"a leading zero, s":          append(number(r, size), number(s, size+1)...),
			"DER":                        der(t, r, s),
			"DER with zeros":             append(der(t, r, s), 0, 0),
			"DER, filled":                append(der(t, r, s), make([]byte, max(0, 2*size-len(der(t, r, s))))...)[:2*size],
			"r alone":                    number(r, size),
			"s alone":                    number(s, size),
			"r, r":                       append(number(r, size), number(r, size)...),
			"uncompressed point before":  append([]byte{4}, signature...),
			"recovery id behind":         append(slices.Clone(signature), 27),
			"each byte reversed by half": append(reversed(signature[:size]), reversed(signature[size:])...),
		} {
			refuse(t, v, string(a)+", "+name, text+raw(b))
		}
	}

	// A signature with a shorter number keeps its leading zeros, and is cut for none.
	for i := 0; ; i++ {
		token := sign(t, ES256, set{"alg": ES256, "i": i}, good())
		cut := strings.LastIndexByte(token, '.') + 1
		b, err := base64.RawURLEncoding.DecodeString(token[cut:])
		if err != nil {
			t.Fatal(err)
		}
		if b[0] != 0 && b[32] != 0 {
			continue
		}
		wantAccepted(t, "a number with a leading zero", v, token, now.Add(time.Hour))
		short := slices.Concat([]byte(strings.TrimLeft(string(b[:32]), "\x00")), []byte(strings.TrimLeft(string(b[32:]), "\x00")))
		refuse(t, v, "without its leading zero", token[:cut]+raw(short))
		break
	}

	// ECDSA has two valid values of s for a signature. So a token is no unique id, and no code
	// here uses it as one.
	token := sign(t, ES256, set{"alg": ES256}, good())
	cut := strings.LastIndexByte(token, '.') + 1
	b, _ := base64.RawURLEncoding.DecodeString(token[cut:])
	other := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(b[32:]))
	wantAccepted(t, "n-s", v, token[:cut]+raw(append(b[:32], other.FillBytes(make([]byte, 32))...)), now.Add(time.Hour))

	for name, key := range map[string]*ecdsa.PrivateKey{"P-224": scalar(elliptic.P224(), 4), "P-384": scalar(elliptic.P384(), 4), "P-521": scalar(elliptic.P521(), 1)} {
		refuse(t, v, "ES256 with a key on "+name, curveToken(t, key))
	}
}

func der(t *testing.T, r, s *big.Int) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// curveToken signs a token called ES256 with a key on another curve.
func curveToken(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	text := segment(t, set{"alg": ES256}) + "." + segment(t, good())
	sum := sha256.Sum256([]byte(text))
	signature, err := key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &numbers); err != nil {
		t.Fatal(err)
	}
	size := (key.Params().BitSize + 7) / 8
	return text + "." + raw(append(numbers.R.FillBytes(make([]byte, size)), numbers.S.FillBytes(make([]byte, size))...))
}

// TestEdDSAEdgeCases changes signatures of Ed25519 in ways that lax verifiers accept.
func TestEdDSAEdgeCases(t *testing.T) {
	t.Parallel()
	v := everyKey(t)
	token := sign(t, EdDSA, set{"alg": EdDSA}, good())
	cut := strings.LastIndexByte(token, '.') + 1
	text := token[:cut]
	signature, err := base64.RawURLEncoding.DecodeString(token[cut:])
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).SetBytes(reversed(signature[32:]))
	scalar := func(x *big.Int) []byte { return reversed(x.FillBytes(make([]byte, 32))) }
	wantAccepted(t, "honest", v, text+raw(append(slices.Clone(signature[:32]), scalar(s)...)), now.Add(time.Hour))
	for k := int64(1); k <= 15; k++ {
		more := new(big.Int).Add(s, new(big.Int).Mul(order, big.NewInt(k)))
		if more.BitLen() > 256 {
			break
		}
		refuse(t, v, fmt.Sprintf("s + %d times the order", k), text+raw(append(slices.Clone(signature[:32]), scalar(more)...)))
	}
	identity := append([]byte{1}, make([]byte, 31)...)
	for name, r := range map[string][]byte{
		"zeros": make([]byte, 32), "the identity": identity, "ones": slices.Repeat([]byte{0xff}, 32),
		"the field's prime": append([]byte{0xed}, append(slices.Repeat([]byte{0xff}, 30), 0x7f)...),
		"the public key":    material(t, EdDSA), "another sign": append(slices.Clone(signature[:31]), signature[31]^0x80),
	} {
		for of, x := range map[string]*big.Int{"0": big.NewInt(0), "1": big.NewInt(1), "s": s, "the order": order} {
			refuse(t, v, fmt.Sprintf("R is %s, S is %s", name, of), text+raw(append(slices.Clone(r), scalar(x)...)))
		}
	}
}
