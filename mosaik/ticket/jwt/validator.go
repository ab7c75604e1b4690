package jwt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// Class returns the class of tickets that are JWTs. All validators of this package share it.
// Each validator of a group needs a ticket that it accepts; one ticket can serve several.
func Class() sm.Digest { return sm.ID("mosaik_jwt_ticket") }

// Ticket returns a ticket for a token in compact form. White space around the token is
// removed.
func Ticket(token string) ticket.Ticket {
	return ticket.Ticket{Class: Class(), Data: []byte(strings.TrimSpace(token))}
}

// Validator admits the peers that show a token which fulfils the rules of a [Config]. It
// implements [ticket.Validator] and [ticket.Watchable]. Make one with [New]. Its methods may
// be called concurrently.
type Validator struct {
	config    Config // without keys
	signature sm.Digest

	mu       sync.Mutex
	keys     []Key // the slice is replaced, never changed
	watchers map[*func()]struct{}
}

var _ ticket.Watchable = (*Validator)(nil)

// New returns a validator with a copy of the configuration. The error names the field that is
// out of its bounds.
func New(c Config) (*Validator, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("jwt: make validator: %w", err)
	}
	if err := checkKeys(c.Keys); err != nil {
		return nil, fmt.Errorf("jwt: make validator: Config.Keys: %w", err)
	}
	c = c.normal()
	v := &Validator{config: c, signature: c.signature(), keys: c.Keys, watchers: map[*func()]struct{}{}}
	v.config.Keys = nil
	return v, nil
}

// SetKeys replaces the keys of a validator that groups may already require. The groups check
// the tickets of every peer again at once, and end bonds with peers whose tokens no longer
// verify. To change keys without a gap, give every member the new key beside the old one,
// issue tokens with the new one, and then remove the old one. Only a validator with a
// [Config.Name] can replace its keys: otherwise they are part of the group's id. The keys
// must fulfil the rules of [Config.Keys].
func (v *Validator) SetKeys(keys ...Key) error {
	if v.config.Name == "" {
		return errors.New("jwt: set keys: the validator has no name, so its keys are part of the group's id; set Config.Name")
	}
	if err := checkKeys(keys); err != nil {
		return fmt.Errorf("jwt: set keys: %w", err)
	}
	v.mu.Lock()
	v.keys = slices.Clone(keys)
	watchers := make([]func(), 0, len(v.watchers))
	for f := range v.watchers {
		watchers = append(watchers, *f)
	}
	v.mu.Unlock()
	for _, f := range watchers {
		f()
	}
	return nil
}

// Watch implements [ticket.Watchable].
func (v *Validator) Watch(f func()) (stop func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watchers[&f] = struct{}{}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.watchers, &f)
	}
}

// Class implements [ticket.Validator] with [Class].
func (v *Validator) Class() sm.Digest { return Class() }

// Signature implements [ticket.Validator].
func (v *Validator) Signature() sm.Digest { return v.signature }

// Validate implements [ticket.Validator]. The expiry is the earlier one of exp and the end of
// [Config.MaxAge], plus the leeway.
func (v *Validator) Validate(now time.Time, peer sm.PeerID, t ticket.Ticket) (expiry time.Time, err error) {
	o, err := v.parse(t.Data)
	if err == nil {
		expiry, err = v.config.check(now, peer, o)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("jwt: %w", err)
	}
	return expiry, nil
}

// String returns the name of the validator or, without one, its keys.
func (v *Validator) String() string {
	if v.config.Name != "" {
		return fmt.Sprintf("JWT validator %q", v.config.Name)
	}
	return fmt.Sprintf("JWT validator with %v", v.current())
}

func (v *Validator) current() []Key {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keys
}

// parser verifies signatures. It checks no claims.
var parser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// parse verifies the signature of a token and returns its claims.
func (v *Validator) parse(token []byte) (object, error) {
	if len(token) > ticket.MaxData {
		return nil, fmt.Errorf("the token has %d bytes, at most %d are allowed", len(token), ticket.MaxData)
	}
	text := string(token)
	for part := range strings.SplitSeq(text, ".") {
		if !onlyBase64(part) {
			return nil, errors.New("the token has characters that do not belong to base64url")
		}
	}
	var c claims
	if _, err := parser.ParseWithClaims(text, &c, v.candidates); err != nil {
		return nil, err
	}
	return c.object, nil
}

// candidates returns the keys that may have signed a token: those that its kid selects and
// whose algorithm is the one that it names.
func (v *Validator) candidates(t *jwt.Token) (any, error) {
	first, _, _ := strings.Cut(t.Raw, ".")
	text, err := parser.DecodeSegment(first)
	if err != nil {
		return nil, err
	}
	header, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if _, critical := header["crit"]; critical {
		return nil, errors.New("header: it has crit, and no extension is supported")
	}
	if encoded, has := header["b64"]; has && encoded != true {
		return nil, errors.New("header: b64 is not true, and claims that are not encoded are not accepted")
	}
	id, there := header["kid"].(string)
	if _, has := header["kid"]; has && !there {
		return nil, errors.New("header: kid is not a string")
	}
	var set jwt.VerificationKeySet
	named := false
	for _, k := range v.current() {
		if there && k.id != "" && k.id != id {
			continue
		}
		named = true
		if string(k.algorithm) == t.Method.Alg() {
			key, _ := k.reveal()
			set.Keys = append(set.Keys, key)
		}
	}
	switch {
	case !named:
		return nil, fmt.Errorf("key %s is not known", quote(id))
	case len(set.Keys) == 0:
		return nil, fmt.Errorf("no key that it may be signed with is for %s", t.Method.Alg())
	}
	return set, nil
}
