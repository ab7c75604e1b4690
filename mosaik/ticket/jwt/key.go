package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// Algorithm is a signature algorithm by its name in JWTs.
type Algorithm string

// The supported algorithms.
const (
	HS256 Algorithm = "HS256" // HMAC with SHA-256
	HS384 Algorithm = "HS384" // HMAC with SHA-384
	HS512 Algorithm = "HS512" // HMAC with SHA-512
	ES256 Algorithm = "ES256" // ECDSA on P-256 with SHA-256
	ES384 Algorithm = "ES384" // ECDSA on P-384 with SHA-384
	EdDSA Algorithm = "EdDSA" // Ed25519
)

// algorithms are the names of all algorithms.
var algorithms = []string{string(HS256), string(HS384), string(HS512), string(ES256), string(ES384), string(EdDSA)}

// hmacSizes are the lengths of the shortest secrets in bytes (RFC 7518 §3.2).
var hmacSizes = map[Algorithm]int{HS256: 32, HS384: 48, HS512: 64}

// Key verifies tokens of one algorithm. It prints without its secret. The zero Key is
// invalid. A Key is immutable and may be used concurrently.
type Key struct {
	algorithm Algorithm
	id        string
	// reveal returns the key for package golang-jwt, and the same as bytes. It is a function
	// because printers that walk private fields show only the address of a function.
	reveal func() (key any, material []byte)
}

// HMACKey returns a key that verifies with a secret. Issuer and members share the secret, so
// each member can issue tokens. The algorithm is HS256, HS384 or HS512. The secret must be
// random and have at least 32, 48 or 64 bytes. It is copied.
func HMACKey(a Algorithm, secret []byte) (Key, error) {
	least, ok := hmacSizes[a]
	switch {
	case !ok:
		return Key{}, fmt.Errorf("jwt: make key: algorithm %q takes no secret; use HS256, HS384 or HS512", a)
	case len(secret) < least:
		return Key{}, fmt.Errorf("jwt: make key: the secret has %d bytes; %s needs %d or more", len(secret), a, least)
	}
	secret = slices.Clone(secret)
	return Key{algorithm: a, reveal: func() (any, []byte) { return secret, secret }}, nil
}

// PublicKey returns a key that verifies with a public key: an ed25519.PublicKey for EdDSA, an
// *ecdsa.PublicKey on P-256 for ES256 or on P-384 for ES384. The public key is copied. RSA
// keys and other curves are errors.
func PublicKey(key crypto.PublicKey) (Key, error) {
	fail := func(format string, args ...any) (Key, error) {
		return Key{}, fmt.Errorf("jwt: make key: "+format, args...)
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		switch {
		case len(k) != ed25519.PublicKeySize:
			return fail("the Ed25519 key has %d bytes, not %d", len(k), ed25519.PublicKeySize)
		case !slices.ContainsFunc(k, func(b byte) bool { return b != 0 }):
			return fail("the Ed25519 key is all zeros")
		}
		k = slices.Clone(k)
		return Key{algorithm: EdDSA, reveal: func() (any, []byte) { return k, k }}, nil
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 Bytes panics without them
		if k == nil || k.X == nil || k.Y == nil {
			return fail("the key is nil or has no point")
		}
		algorithm, ok := map[elliptic.Curve]Algorithm{elliptic.P256(): ES256, elliptic.P384(): ES384}[k.Curve]
		if !ok {
			return fail("the curve is not P-256 or P-384")
		}
		point, err := k.Bytes()
		if err != nil {
			return fail("%w", err)
		}
		own, err := ecdsa.ParseUncompressedPublicKey(k.Curve, point)
		if err != nil {
			return fail("%w", err)
		}
		return Key{algorithm: algorithm, reveal: func() (any, []byte) { return own, point }}, nil
	case nil:
		return fail("the key is nil")
	}
	return fail("a %T cannot be used; use Ed25519, or ECDSA on P-256 or P-384", key)
}

// WithID returns the key with the id by which tokens name it (kid). "" is no id.
func (k Key) WithID(id string) Key {
	k.id = id
	return k
}

// ID returns the id by which tokens name the key, "" for none.
func (k Key) ID() string { return k.id }

// Algorithm returns the algorithm of the tokens that the key verifies.
func (k Key) Algorithm() Algorithm { return k.algorithm }

// String returns the algorithm and the id, without the secret.
func (k Key) String() string {
	switch {
	case k.reveal == nil:
		return "none"
	case k.id == "":
		return string(k.algorithm) + " key"
	}
	return fmt.Sprintf("%s key %q", k.algorithm, k.id)
}

// digest returns the digest of the key for the validator's signature.
func (k Key) digest() sm.Digest {
	_, material := k.reveal()
	return sm.ID("mosaik_jwt_key").Derive(material)
}
