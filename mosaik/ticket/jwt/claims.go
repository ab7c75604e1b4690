package jwt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// claims are the claims of a token. Package golang-jwt only decodes them. This package checks
// the rules, at the time that the group passes to Validate.
type claims struct {
	jwt.MapClaims
	object object
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *claims) UnmarshalJSON(text []byte) (err error) {
	c.object, err = parseObject(text)
	return err
}

// check returns the time until which the claims admit the peer, zero for without end.
func (c *Config) check(now time.Time, peer sm.PeerID, o object) (time.Time, error) {
	if err := c.checkParties(peer, o); err != nil {
		return time.Time{}, err
	}
	for name, want := range c.Claims {
		if value := o[name]; value == nil || want != "" && !slices.Contains(texts(value), want) {
			return time.Time{}, fmt.Errorf("claim %q is missing or has another value", name)
		}
	}
	return c.checkTimes(now, o)
}

// checkParties checks the issuer, the subject and the audience.
func (c *Config) checkParties(peer sm.PeerID, o object) error {
	issuer, _ := o["iss"].(string)
	if len(c.Issuers) > 0 && !slices.Contains(c.Issuers, issuer) {
		return fmt.Errorf("issuer %s is not accepted", quote(issuer))
	}
	want := c.Subject
	if want == "" {
		want = peer.String()
	}
	if subject, _ := o["sub"].(string); subject != want {
		return fmt.Errorf("subject %s is not %s", quote(subject), quote(want))
	}
	aud, there := o["aud"]
	if there && len(c.Audiences) == 0 {
		return errors.New("it is meant for an audience, and the validator names none; set Config.Audiences")
	}
	if len(c.Audiences) > 0 && !slices.ContainsFunc(texts(aud), func(a string) bool { return slices.Contains(c.Audiences, a) }) {
		return errors.New("it is meant for another audience")
	}
	return nil
}

// texts returns the strings of a claim: the claim itself, or the elements of an array.
func texts(value any) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var all []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// checkTimes checks the token's times and returns when it expires.
func (c *Config) checkTimes(now time.Time, o object) (expiry time.Time, err error) {
	times := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if times[name], err = o.time(name); err != nil {
			return time.Time{}, err
		}
	}
	exp, nbf, iat := times["exp"], times["nbf"], times["iat"]
	start := iat
	if start.IsZero() {
		start = nbf
	}
	switch {
	case exp.IsZero() && !c.AllowNoExpiry:
		return time.Time{}, errors.New("exp is missing")
	case !nbf.IsZero() && now.Before(nbf.Add(-c.Leeway)):
		return time.Time{}, fmt.Errorf("it is not valid before %v (nbf)", nbf)
	case !iat.IsZero() && now.Before(iat.Add(-c.Leeway)):
		return time.Time{}, fmt.Errorf("it was issued in the future, at %v (iat)", iat)
	case c.MaxLifetime > 0 && start.IsZero():
		return time.Time{}, errors.New("its lifetime is bounded, and both iat and nbf are missing")
	case c.MaxLifetime > 0 && exp.Sub(start) > c.MaxLifetime:
		return time.Time{}, fmt.Errorf("its lifetime is %v, at most %v is allowed", exp.Sub(start), c.MaxLifetime)
	case c.MaxAge > 0 && iat.IsZero():
		return time.Time{}, errors.New("its age is bounded, and iat is missing")
	}
	if !exp.IsZero() {
		expiry = exp.Add(c.Leeway)
	}
	if c.MaxAge > 0 {
		if old := iat.Add(c.MaxAge + c.Leeway); expiry.IsZero() || old.Before(expiry) {
			expiry = old
		}
	}
	if !expiry.IsZero() && !expiry.After(now) {
		return time.Time{}, fmt.Errorf("%w at %v", ticket.ErrExpired, expiry)
	}
	return expiry, nil
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// time returns a member that is a NumericDate (RFC 7519 §2), the zero time if it is missing.
func (o object) time(name string) (time.Time, error) {
	value, there := o[name]
	if !there {
		return time.Time{}, nil
	}
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, fmt.Errorf("%s is not a number", name)
	}
	seconds, err := number.Float64()
	if err != nil || seconds < 0 || seconds > maxSeconds {
		return time.Time{}, fmt.Errorf("%s is not between the years 1970 and 9999", name)
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}
