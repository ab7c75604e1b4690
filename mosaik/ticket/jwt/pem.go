package jwt

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// maxKeyFile bounds a text that contains keys, in bytes.
const maxKeyFile = 64 << 10

// KeysFromPEM returns the keys of a PEM text: one or more PUBLIC KEY blocks with Ed25519 keys
// or ECDSA keys on P-256 or P-384. The keys have no ids; see [Key.WithID]. Any other block,
// such as a private key or a certificate, is an error, as is text after the last block. The
// text has at most 64 KiB.
func KeysFromPEM(text []byte) ([]Key, error) {
	fail := func(format string, args ...any) ([]Key, error) {
		return nil, fmt.Errorf("jwt: read PEM keys: "+format, args...)
	}
	if len(text) > maxKeyFile {
		return fail("%d bytes, at most %d are allowed", len(text), maxKeyFile)
	}
	var keys []Key
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil:
			return fail("there is no PEM block after the first %d", len(keys))
		case block.Type != "PUBLIC KEY":
			return fail("block %d is %q; only PUBLIC KEY is read (openssl pkey -pubout makes one)", len(keys)+1, block.Type)
		case len(keys) == MaxKeys:
			return fail("more than %d keys", MaxKeys)
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return fail("block %d: %w", len(keys)+1, err)
		}
		key, err := PublicKey(public)
		if err != nil {
			return fail("block %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return fail("the text is blank")
	}
	return keys, nil
}
