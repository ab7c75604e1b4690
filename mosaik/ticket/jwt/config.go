package jwt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Limits of a [Config].
const (
	MaxKeys   = 16              // keys that a validator accepts at a time
	MaxLeeway = 5 * time.Minute // of clocks that differ
)

// Config is what a [Validator] decides by. All of it but Keys, which a Name can
// stand for, is part of the validator's signature and so of the group's id.
type Config struct {
	// Name, if it is not empty, stands for the keys in the signature: all
	// members use the same name, and their keys can differ for a while and be
	// changed without changing the group's id. See [Validator.SetKeys].
	Name string

	// Keys verify tokens, 1 to [MaxKeys]; their order does not matter. A token
	// that names a key (kid) is verified with the key of that id or with keys
	// that have none; one that names none, with all keys of its algorithm.
	Keys []Key

	// Issuers are the accepted values of iss; with none, iss is not looked at.
	Issuers []string

	// Audiences are the accepted values of aud, one of which the token must
	// hold. With none, a token that holds any audience is meant for somebody
	// else and refused.
	Audiences []string

	// Subject is the required value of sub, the peer's id if it is empty. A
	// token with a fixed subject serves every peer that has seen it.
	Subject string

	// Claims must be in the token, whatever else is. The value is a string that
	// the claim must be, or contain if it is an array; "" accepts any but null.
	Claims map[string]string

	// AllowNoExpiry accepts tokens without exp. They can be taken back only by
	// changing keys, or by MaxAge.
	AllowNoExpiry bool

	// MaxLifetime bounds exp − iat, or exp − nbf in tokens without iat; those
	// with neither are refused. 0 is no bound.
	MaxLifetime time.Duration

	// MaxAge bounds the time since iat, which tokens then must have: the ticket
	// expires after it, whatever exp says. 0 is no bound.
	MaxAge time.Duration

	// Leeway, 0 to [MaxLeeway], is how far clocks may differ. It is allowed at
	// exp, nbf, iat and MaxAge.
	Leeway time.Duration
}

// validate reports what is wrong with everything but the keys.
func (c Config) validate() error {
	switch {
	case c.MaxLifetime < 0:
		return fmt.Errorf("Config.MaxLifetime is %v; it must not be negative", c.MaxLifetime)
	case c.MaxAge < 0:
		return fmt.Errorf("Config.MaxAge is %v; it must not be negative", c.MaxAge)
	case c.Leeway < 0 || c.Leeway > MaxLeeway:
		return fmt.Errorf("Config.Leeway is %v; it must be 0 to %v", c.Leeway, MaxLeeway)
	case c.AllowNoExpiry && c.MaxLifetime > 0:
		return errors.New("Config.AllowNoExpiry contradicts MaxLifetime; use MaxAge to bound tokens without exp")
	case slices.Contains(c.Issuers, ""):
		return errors.New("Config.Issuers has an empty one")
	case slices.Contains(c.Audiences, ""):
		return errors.New("Config.Audiences has an empty one")
	}
	for name := range c.Claims {
		switch name {
		case "":
			return errors.New("Config.Claims has an empty name")
		case "iss", "sub", "aud", "exp", "nbf", "iat":
			return fmt.Errorf("Config.Claims has %q, which has a field of its own", name)
		}
	}
	return nil
}

// checkKeys reports what is wrong with the keys.
func checkKeys(keys []Key) error {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return fmt.Errorf("%d keys; 1 to %d are allowed", len(keys), MaxKeys)
	}
	ids := map[string]bool{}
	for i, k := range keys {
		switch {
		case k.reveal == nil:
			return fmt.Errorf("key %d is the zero Key; make one with HMACKey, PublicKey, KeysFromPEM or KeysFromJWK", i+1)
		case k.id != "" && ids[k.id]:
			return fmt.Errorf("two keys have the id %q; a token could not say which it means", k.id)
		}
		ids[k.id] = true
	}
	return nil
}

// normal returns a copy that shares nothing with c and whose sets are sorted.
func (c Config) normal() Config {
	set := func(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }
	c.Issuers, c.Audiences, c.Claims = set(c.Issuers), set(c.Audiences), maps.Clone(c.Claims)
	c.Keys = slices.Clone(c.Keys)
	return c
}
