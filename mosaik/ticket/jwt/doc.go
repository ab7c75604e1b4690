// Package jwt lets peers into a group by JSON Web Tokens (RFC 7519) that
// somebody whom the group trusts has signed for them.
//
// A [Validator] holds the keys and the rules; a group requires it with
// RequireTicket. A peer shows its token as a ticket, [Ticket], with AddTicket.
// Whoever issues tokens uses any JWT library; the subject is the peer's id in
// text form, 64 lower-case hexadecimal digits:
//
//	{"alg":"EdDSA","kid":"2026"}
//	{"sub":"5094fec7…","iss":"https://id.example","exp":1767323045}
//
// # What a token must be
//
// A JWS in compact form, signed with HS256, HS384, HS512, ES256, ES384 or EdDSA
// (Ed25519). Every [Key] is made for one of them and verifies no other, so that
// the token's own word about its algorithm decides nothing. RSA, and "none", do
// not exist here. Members of a JSON object that stand there twice, crit headers,
// b64 headers that are not true, padding and characters that base64url does not
// have are refused.
//
// # What is public
//
// Tickets can be seen by every peer on the network. A token that names its peer
// as the subject is of no use to others; one with a fixed [Config.Subject] is a
// password that every peer reads, so use that only on networks whose peers may
// all join.
//
// A signature that is made of public keys, or of a name, can be computed by
// whoever knows the configuration. A group key made of it
// keeps nobody out: require the validator as well. With HMAC keys and without a
// name the signature is as secret as they are.
package jwt
