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
	MaxKeys   = 16              // keys of one validator
	MaxLeeway = 5 * time.Minute // the largest Config.Leeway
)

// Config holds the keys and the rules of a [Validator]. All fields are part of the
// validator's signature and so of the group's id, except for Keys if Name is set.
type Config struct {
	// Name, if not empty, replaces the keys in the signature. All members use the same name.
	// Their keys can differ for a while, and can be changed without changing the group's
	// id. See [Validator.SetKeys].
	Name string

	// Keys verify tokens, 1 to [MaxKeys] in any order. A token that names a key (kid) is
	// verified with the key of that id and with keys without an id. A token that names none
	// is verified with all keys of its algorithm.
	Keys []Key

	// Issuers are the accepted values of iss. If empty, iss is not checked.
	Issuers []string

	// Audiences are the accepted values of aud. The token must contain one of them. If
	// empty, a token with an audience is meant for another service and refused.
	Audiences []string

	// Subject is the required value of sub. If empty, sub must be the peer's id. A token
	// with a fixed subject admits every peer that has read it.
	Subject string

	// Claims are further claims that the token must have. The claim must be the string, or
	// an array that contains it. "" accepts any value but null.
	Claims map[string]string

	// AllowNoExpiry accepts tokens without exp. Only a change of keys or MaxAge ends their
	// use.
	AllowNoExpiry bool

	// MaxLifetime bounds exp − iat, or exp − nbf in tokens without iat. Tokens with neither
	// are refused. 0 means no bound.
	MaxLifetime time.Duration

	// MaxAge bounds the time since iat, which tokens must then have. The ticket expires at
	// the end of MaxAge or at exp, whichever is earlier. 0 means no bound.
	MaxAge time.Duration

	// Leeway is how much clocks may differ, 0 to [MaxLeeway]. It applies to exp, nbf, iat
	// and MaxAge.
	Leeway time.Duration
}

// validate returns an error for a field other than Keys that is out of its bounds.
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
		return errors.New("Config.Issuers has an empty string; remove it")
	case slices.Contains(c.Audiences, ""):
		return errors.New("Config.Audiences has an empty string; remove it")
	}
	for name := range c.Claims {
		switch name {
		case "":
			return errors.New("Config.Claims has an empty name")
		case "iss", "sub", "aud", "exp", "nbf", "iat":
			return fmt.Errorf("Config.Claims has %q; use the field of Config for it", name)
		}
	}
	return nil
}

// checkKeys returns an error if the keys break a rule of Config.Keys.
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
			return fmt.Errorf("two keys have the id %q; ids must differ", k.id)
		}
		ids[k.id] = true
	}
	return nil
}

// normal returns a copy that shares no memory with c and whose sets are sorted and without
// duplicates.
func (c Config) normal() Config {
	set := func(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }
	c.Issuers, c.Audiences, c.Claims = set(c.Issuers), set(c.Audiences), maps.Clone(c.Claims)
	c.Keys = slices.Clone(c.Keys)
	return c
}
