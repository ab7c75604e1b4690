package jwt_test

import (
	"crypto/ed25519"
	"fmt"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/mosaik/ticket/jwt"
	"github.com/mosaik-go/mosaik/sm"
)

func Example() {
	// The issuer has the private key and any JWT library.
	public, private, _ := ed25519.GenerateKey(nil)
	peer := sm.PeerID{1} // net.Self() of the process to admit
	issued := time.Now()
	text, err := gojwt.NewWithClaims(gojwt.SigningMethodEdDSA, gojwt.MapClaims{
		"iss": "https://id.example", "sub": peer.String(),
		"iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix(),
	}).SignedString(private)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The members have the public key and require the validator for the group.
	key, err := jwt.PublicKey(public)
	if err != nil {
		fmt.Println(err)
		return
	}
	validator, err := jwt.New(jwt.Config{
		Keys:        []jwt.Key{key},
		Issuers:     []string{"https://id.example"},
		MaxLifetime: 24 * time.Hour,
		Leeway:      10 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The process shows the token with net.AddTicket(jwt.Ticket(text)). The members check it:
	shown := []ticket.Ticket{jwt.Ticket(text)}
	for _, who := range []sm.PeerID{peer, {2}} {
		_, err := ticket.Check(time.Now(), []ticket.Validator{validator}, who, shown)
		fmt.Println(who.Short(), err == nil)
	}
	// Output:
	// 0100000000 true
	// 0200000000 false
}

// Keys are read from the text of files, PEM or JWK.
func ExampleKeysFromJWK() {
	keys, err := jwt.KeysFromJWK([]byte(`{"keys": [{
		"kty": "OKP", "crv": "Ed25519", "kid": "2026",
		"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	}]}`))
	fmt.Println(keys, err)
	_, err = jwt.KeysFromJWK([]byte(`{"kty": "RSA", "e": "AQAB", "n": "AQAB"}`))
	fmt.Println(err)
	// Output:
	// [EdDSA key "2026"] <nil>
	// jwt: read JWK: RSA keys are not accepted; use OKP with Ed25519, or EC
}

// The keys of a validator with a name can be changed while groups require it: first add the new key,
// then sign tokens with it, then remove the old key.
func ExampleValidator_SetKeys() {
	newKey := func(id string) jwt.Key {
		public, _, _ := ed25519.GenerateKey(nil)
		key, _ := jwt.PublicKey(public)
		return key.WithID(id)
	}
	old, next := newKey("2026"), newKey("2027")
	validator, err := jwt.New(jwt.Config{Name: "fleet", Keys: []jwt.Key{old}})
	if err != nil {
		fmt.Println(err)
		return
	}
	signature := validator.Signature()
	fmt.Println(validator.SetKeys(old, next), validator.SetKeys(next), validator.Signature() == signature)
	// Output: <nil> <nil> true
}
