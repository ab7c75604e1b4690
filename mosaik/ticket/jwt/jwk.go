package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// KeysFromJWK returns the keys of a JSON Web Key or of a JWK Set (RFC 7517) with their ids
// (kid):
//
//   - kty OKP with crv Ed25519, for EdDSA;
//   - kty EC with crv P-256 or P-384, for ES256 and ES384;
//   - kty oct with alg HS256, HS384 or HS512, which it must name.
//
// An alg, use or key_ops that contradicts this, a private key, and any other kind of key,
// such as RSA, are errors, also within a set: remove those keys from it. Other members are
// ignored. The text has at most 64 KiB.
func KeysFromJWK(text []byte) ([]Key, error) {
	fail := func(format string, args ...any) ([]Key, error) {
		return nil, fmt.Errorf("jwt: read JWK: "+format, args...)
	}
	if len(text) > maxKeyFile {
		return fail("%d bytes, at most %d are allowed", len(text), maxKeyFile)
	}
	o, err := parseObject(text)
	if err != nil {
		return fail("%w", err)
	}
	if _, set := o["keys"]; !set {
		key, err := keyOf(o)
		if err != nil {
			return fail("%w", err)
		}
		return []Key{key}, nil
	}
	members, ok := o["keys"].([]any)
	if !ok || len(members) == 0 || len(members) > MaxKeys {
		return fail("keys is not an array of 1 to %d keys", MaxKeys)
	}
	var keys []Key
	for i, m := range members {
		o, ok := m.(object)
		if !ok {
			return fail("key %d is not an object", i+1)
		}
		key, err := keyOf(o)
		if err != nil {
			return fail("key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// keyOf returns the key of one JWK.
func keyOf(o object) (Key, error) {
	fields := map[string]string{}
	for _, name := range []string{"kty", "kid", "alg", "use", "crv"} {
		value, there := o[name]
		text, ok := value.(string)
		if there && !ok {
			return Key{}, fmt.Errorf("%s is not a string", name)
		}
		fields[name] = text
	}
	if use := fields["use"]; use != "" && use != "sig" {
		return Key{}, fmt.Errorf("use is %q; it must be sig", use)
	}
	if ops, there := o["key_ops"]; there {
		if list, ok := ops.([]any); !ok || !slices.Contains(list, any("verify")) {
			return Key{}, errors.New("key_ops does not hold verify")
		}
	}
	if _, private := o["d"]; private {
		return Key{}, errors.New("it is a private key; remove d, which only the issuer may have")
	}
	key, err := o.key(fields["kty"], fields["crv"], Algorithm(fields["alg"]))
	if err != nil {
		return Key{}, err
	}
	if alg := fields["alg"]; alg != "" && alg != string(key.algorithm) {
		return Key{}, fmt.Errorf("alg is %q; the key is for %s", alg, key.algorithm)
	}
	return key.WithID(fields["kid"]), nil
}

func (o object) key(kty, crv string, alg Algorithm) (Key, error) {
	switch kty + " " + crv {
	case "oct ":
		k, err := o.bytes("k", -1)
		if err != nil {
			return Key{}, err
		}
		return HMACKey(alg, k)
	case "OKP Ed25519":
		x, err := o.bytes("x", ed25519.PublicKeySize)
		if err != nil {
			return Key{}, err
		}
		return PublicKey(ed25519.PublicKey(x))
	case "EC P-256":
		return o.ecdsa(elliptic.P256(), 32)
	case "EC P-384":
		return o.ecdsa(elliptic.P384(), 48)
	case "RSA ":
		return Key{}, errors.New("RSA keys are not accepted; use OKP with Ed25519, or EC")
	}
	return Key{}, fmt.Errorf("kty %q with crv %q is not accepted; use OKP with Ed25519, EC with P-256 or P-384, or oct", kty, crv)
}

func (o object) ecdsa(curve elliptic.Curve, size int) (Key, error) {
	x, err := o.bytes("x", size)
	if err != nil {
		return Key{}, err
	}
	y, err := o.bytes("y", size)
	if err != nil {
		return Key{}, err
	}
	const uncompressed = 4
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{uncompressed}, x, y))
	if err != nil {
		return Key{}, fmt.Errorf("x and y: %w", err)
	}
	return PublicKey(key)
}

// bytes decodes a member, which must have size bytes unless size is negative.
func (o object) bytes(name string, size int) ([]byte, error) {
	text, ok := o[name].(string)
	if !ok {
		return nil, fmt.Errorf("%s is missing or not a string", name)
	}
	if !onlyBase64(text) {
		return nil, fmt.Errorf("%s is not base64url without padding", name)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	switch {
	case err != nil: // the error would quote a part of what may be a secret
		return nil, fmt.Errorf("%s is not base64url without padding", name)
	case size >= 0 && len(b) != size:
		return nil, fmt.Errorf("%s has %d bytes, not %d", name, len(b), size)
	}
	return b, nil
}
