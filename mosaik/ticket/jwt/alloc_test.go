package jwt

import (
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
)

// TestValidateAllocatesWhatItReads measures what validating tokens allocates, with right and wrong
// signatures. JSON with many small values costs most.
func TestValidateAllocatesWhatItReads(t *testing.T) {
	v := newValidator(t, Config{Keys: []Key{keyOfSigner(t, HS256)}, Issuers: []string{"a"}, Leeway: time.Minute, MaxAge: time.Hour})
	many := func(value string) string {
		return `{"a":[` + value + strings.Repeat(","+value, ticket.MaxData*5/8/(len(value)+1)) + `]}`
	}
	claims := []string{
		`{"sub":"x","exp":9999999999,"iat":1767323045,"iss":"a","role":[1,"b"]}`, `null`, `[{"a":1,"a":2}]`,
		many("1"), many(`""`), many("[]"), many("{}"), many("null"), many(`{"a":1}`), many("[[[]]]"),
		strings.Repeat("[", ticket.MaxData*5/8), `{"a":` + strings.Repeat(`{"a":`, ticket.MaxData/8),
	}
	var inputs [][]byte
	for _, c := range claims {
		for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"EdDSA","kid":"a"}`, `{"alg":"none"}`} {
			inputs = append(inputs, []byte(segment(t, header)+"."+segment(t, c)+".AAAA"))
		}
		inputs = append(inputs, []byte(sign(t, HS256, `{"alg":"HS256"}`, c)), []byte(segment(t, c)+"."+segment(t, c)+"."))
	}
	inputs = append(inputs, alloc.Variants([]byte(sign(t, HS256, `{"alg":"HS256"}`, claims[0])))...)
	inputs = append(inputs, []byte(strings.Repeat(".", ticket.MaxData)), []byte(strings.Repeat("a", ticket.MaxData)))
	alloc.Bound{PerByte: 64, Fixed: 32 << 10}.Check(t, func(b []byte) { v.Validate(now, peer, ticket.Ticket{Data: b}) }, inputs...)
}
