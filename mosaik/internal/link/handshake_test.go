package link

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// certOf returns a certificate that carries owner's key, signed by signer.
func certOf(t testing.TB, owner, signer crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	// With the owner's key in the parent, CreateCertificate would check that signer matches
	// it. The parent only provides the issuer's name.
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{}, owner.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: owner}
}

// badCerts returns certificates that no peer may present.
func badCerts(t testing.TB) map[string]tls.Certificate {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain := certOf(t, keyOf(8), keyOf(8))
	chain.Certificate = append(chain.Certificate, certOf(t, keyOf(9), keyOf(9)).Certificate...)
	stolen := certOf(t, keyOf(8), keyOf(8))
	stolen.PrivateKey = keyOf(9)
	return map[string]tls.Certificate{
		"signed by another key":      certOf(t, keyOf(8), keyOf(9)),
		"ed25519 signed by ECDSA":    certOf(t, keyOf(8), ecKey),
		"RSA":                        certOf(t, rsaKey, rsaKey),
		"ECDSA":                      certOf(t, ecKey, ecKey),
		"ECDSA signed by ed25519":    certOf(t, ecKey, keyOf(8)),
		"two certificates":           chain,
		"another's, without its key": stolen,
	}
}

// clientTLS is the TLS configuration of an honest dialer with identity 8.
func clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	return &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         []string{string(Bond)},
		Certificates:       []tls.Certificate{certOf(t, keyOf(8), keyOf(8))},
	}
}

// greetRaw runs a dialer's handshake and preface on raw and returns what the
// link answers.
func greetRaw(raw net.Conn, config *tls.Config) (consensus.CloseCode, error) {
	conn := tls.Client(raw, config)
	if _, err := conn.Write(appendPreface(nil, testNetwork)); err != nil {
		return 0, err
	}
	return readAnswer(conn)
}

func TestAcceptRefusesBadPeers(t *testing.T) {
	t.Parallel()
	l := listen(t, 1, nil)
	l.Handle(Bond, func(_ context.Context, c *Conn) {
		if want := identityOf(t, 8).Peer(); c.Peer() != want {
			t.Errorf("a handler was run for peer %s, want only %s", c.Peer().Short(), want.Short())
		}
	})
	l.Serve()

	change := func(f func(*tls.Config)) *tls.Config {
		config := clientTLS(t)
		f(config)
		return config
	}
	if code, err := greetRaw(dialRaw(t, l), clientTLS(t)); code != consensus.CodeAccepted || err != nil {
		t.Fatalf("well-behaved peer: code %d, error %v, want a welcome", code, err)
	}
	bad := map[string]*tls.Config{
		"no certificate":   change(func(c *tls.Config) { c.Certificates = nil }),
		"TLS 1.2":          change(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
		"unknown protocol": change(func(c *tls.Config) { c.NextProtos = []string{"mosaik/bond/2"} }),
		"unserved":         change(func(c *tls.Config) { c.NextProtos = []string{string(Raft)} }),
		"no protocol":      change(func(c *tls.Config) { c.NextProtos = nil }),
		"our own identity": change(func(c *tls.Config) { c.Certificates = []tls.Certificate{certOf(t, keyOf(1), keyOf(1))} }),
	}
	for name, cert := range badCerts(t) {
		bad[name] = change(func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} })
	}
	for name, config := range bad {
		if code, err := greetRaw(dialRaw(t, l), config); err == nil {
			t.Errorf("%s: answered %d, want no answer", name, code)
		}
	}
}

func TestDialRefusesBadPeers(t *testing.T) {
	t.Parallel()
	l := listen(t, 1, nil)
	good := clientTLS(t)
	good.ClientAuth = tls.RequireAnyClientCert
	change := func(f func(*tls.Config)) *tls.Config {
		config := good.Clone()
		f(config)
		return config
	}
	servers := map[string]*tls.Config{
		"":                 good,
		"TLS 1.2":          change(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
		"other protocol":   change(func(c *tls.Config) { c.NextProtos = []string{string(Raft)} }),
		"no protocol":      change(func(c *tls.Config) { c.NextProtos = nil }),
		"our own identity": change(func(c *tls.Config) { c.Certificates = []tls.Certificate{certOf(t, keyOf(1), keyOf(1))} }),
	}
	for name, cert := range badCerts(t) {
		servers[name] = change(func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} })
	}
	for name, config := range servers {
		addr := serveRaw(t, func(raw net.Conn) {
			conn := tls.Server(raw, config)
			if _, err := readPreface(conn); err == nil {
				conn.Write(appendAnswer(nil, consensus.CodeAccepted))
			}
		})
		c, err := l.Dial(t.Context(), addr, sm.PeerID{}, Bond)
		if (err == nil) != (name == "") {
			t.Errorf("peer with %q: error %v", name, err)
		}
		if name == "our own identity" {
			wantIs(t, err, ErrSelf)
		}
		if err == nil {
			c.Close()
		}
	}
}

// zeroKey signs for the zero key, a point of small order. Its signature is valid for about every
// fourth message.
type zeroKey struct{}

func (zeroKey) Public() crypto.PublicKey { return make(ed25519.PublicKey, ed25519.PublicKeySize) }

func (zeroKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	sig := make([]byte, ed25519.SignatureSize)
	sig[0] = 1 // R is the neutral point, S is 0
	return sig, nil
}

func TestIdentifyRefusesTheZeroKey(t *testing.T) {
	t.Parallel()
	for serial := range int64(1000) {
		template := &x509.Certificate{SerialNumber: big.NewInt(serial + 1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, zeroKey{}.Public(), zeroKey{})
		if err != nil {
			continue // CreateCertificate checks the signature, which is not valid for this message
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if peer, err := identify([]*x509.Certificate{cert}); err == nil {
			t.Errorf("a certificate that any process can make identifies peer %s", peer.Short())
		}
		return
	}
	t.Error("no certificate of the zero key could be made; the test shows nothing")
}

// serveRaw accepts one TCP connection, calls serve with it, and then closes it. It returns the
// address. The test ends after serve has returned.
func serveRaw(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := listener.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		serve(raw)
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}

func TestAcceptSurvivesGarbage(t *testing.T) {
	t.Parallel()
	l, accepted := accepting(t, 1, nil)
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", strings.Repeat("\x00", 1000), "\x15\x03\x03\x00\x02\x02\x28"} {
		raw := dialRaw(t, l)
		if _, err := io.WriteString(raw, garbage); err != nil {
			t.Fatal(err)
		}
		raw.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, raw) // until the link closes the connection
	}
	raw := dialRaw(t, l)
	if code, err := greetRaw(raw, clientTLS(t)); code != consensus.CodeAccepted || err != nil {
		t.Fatalf("after garbage: code %d, error %v, want a welcome", code, err)
	}
	<-accepted
}

func TestAcceptAnswersAStrangePreface(t *testing.T) {
	t.Parallel()
	l, _ := accepting(t, 1, nil)
	for preface, want := range map[string]consensus.CloseCode{
		"MSK\x02" + strings.Repeat("n", 32):               consensus.CodeUndecodable,
		"GET / HTTP/1.1\r\nHost: example.org\r\nmore\r\n": consensus.CodeUndecodable,
		string(appendPreface(nil, sm.ID("other"))):        consensus.CodeOtherNetwork,
	} {
		conn := tls.Client(dialRaw(t, l), clientTLS(t))
		if _, err := io.WriteString(conn, preface[:prefaceSize]); err != nil {
			t.Fatal(err)
		}
		if code, err := readAnswer(conn); code != want || err != nil {
			t.Errorf("preface %q: code %d, error %v, want %d", preface, code, err, want)
		}
		if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("preface %q: %d bytes after the refusal, error %v, want the end", preface, n, err)
		}
	}
}

// TestAcceptHangsUpOnSlowPeers stops in TLS, and before and within the preface.
func TestAcceptHangsUpOnSlowPeers(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond // TLS is usually complete by then; the test does not depend on it
	l, _ := accepting(t, 1, func(c *Config) { c.HandshakeTimeout = timeout })
	preface := string(appendPreface(nil, testNetwork))
	for _, sent := range []string{"", preface[:1], preface[:prefaceSize-1]} {
		conn := tls.Client(dialRaw(t, l), clientTLS(t))
		io.WriteString(conn, sent)
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("after %d bytes of preface: %d bytes came, want the end", len(sent), n)
		}
	}
	if n, err := dialRaw(t, l).Read(make([]byte, 1)); err == nil {
		t.Errorf("without TLS: %d bytes came, want the end", n)
	}
}
