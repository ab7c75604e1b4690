// Package jwt admits peers to a group by JSON Web Tokens (RFC 7519) that an issuer has signed
// for them.
//
// A [Validator] holds the keys and the rules. A group requires it with RequireTicket. A peer
// shows its token with AddTicket, as a [Ticket]. The issuer can use any JWT library. The
// subject is the peer's id in text form, 64 lower-case hexadecimal digits:
//
//	{"alg":"EdDSA","kid":"2026"}
//	{"sub":"5094fec7…","iss":"https://id.example","exp":1767323045}
//
// # Format of a token
//
// A token is a JWS in compact form, signed with HS256, HS384, HS512, ES256, ES384 or EdDSA
// (Ed25519). Every [Key] is made for one of these algorithms and verifies no other, so the
// algorithm that a token names decides nothing. RSA and "none" are not supported. Duplicate
// members of a JSON object, crit headers, b64 headers that are not true, padding, and
// characters outside base64url are refused.
//
// # Visibility
//
// Every peer on the network can read tickets. A token whose subject is its peer is useless to
// other peers. A token with a fixed [Config.Subject] is a password that every peer can read:
// use it only on networks whose peers may all join.
//
// Any process that knows the configuration can compute the signature of a validator with
// public keys or a name. A group key that is made of the signature keeps no peer out: require
// the validator as well. With HMAC keys and without a name, the signature is as secret as the
// keys.
package jwt
