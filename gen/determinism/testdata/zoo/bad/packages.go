package bad

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io/ioutil"
	"math/cmplx"
	"math/rand"
	"net/http"
	"net/rpc"
	"net/smtp"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"plugin"
	"strings"
	"time"
	"weak"

	"github.com/mosaik-go/mosaik/sm"
)

// Packages uses packages that a machine must not use.
type Packages struct {
	text   strings.Builder
	buffer bytes.Buffer
	byTime map[int64]bool
	weak   weak.Pointer[int]
	n      int
}

type Keys struct{}

func (Keys) ApplyTo(m *Packages, _ sm.ApplyContext) (bool, error) {
	_, _ = ecdh.P256().GenerateKey(nil)                 // want `ecdh.Curve.GenerateKey draws`
	_, _ = ecdsa.GenerateKey(elliptic.P256(), nil)      // want `ecdsa.GenerateKey draws`
	_, key, err := ed25519.GenerateKey(nil)             // want `ed25519.GenerateKey draws`
	_, _ = rsa.GenerateKey(nil, 2048)                   // want `rsa.GenerateKey draws`
	m.n = len(key) + rand.Intn(3)                       // want `rand.Intn draws a random number; use at.Rand\(\)`
	return cmplx.Abs(complex(float64(m.n), 2)) > 1, err // want `cmplx.Abs has different results`
}

type Reach struct{}

func (Reach) ApplyTo(m *Packages, _ sm.ApplyContext) (bool, error) {
	_, err := tls.Dial("tcp", "", nil)                   // want `tls.Dial uses the network`
	_, _ = sql.Open("x", "")                             // want `sql.Open uses the network`
	_, _ = http.Get("http://127.0.0.1")                  // want `http.Get uses the network`
	_, _ = rpc.Dial("tcp", "")                           // want `rpc.Dial uses the network`
	_ = smtp.SendMail("", nil, "", nil, nil)             // want `smtp.SendMail uses the network`
	p, _ := os.FindProcess(1)                            // want `os.FindProcess uses another process`
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // want `signal.Notify uses another process`
	_, _ = plugin.Open("x")                              // want `plugin.Open uses another process`
	m.n = p.Pid
	return true, err
}

type Look struct{}

func (Look) ApplyTo(m *Packages, _ sm.ApplyContext) (string, error) {
	b, _ := ioutil.ReadFile("x")       // want `accesses files`
	u, err := user.Current()           // want `user.Current reads the environment`
	path, _ := filepath.Abs("x")       // want `filepath.Abs accesses files`
	if p := m.weak.Value(); p == nil { // want `weak.Pointer.Value depends on the garbage collector`
		m.n++
	}
	return string(b) + u.Name + path, err
}

// Stamped writes the time into its state through calls that only seem to log it.
type Stamped struct{}

func (Stamped) ApplyTo(m *Packages, _ sm.ApplyContext) (bool, error) {
	fmt.Fprintf(&m.buffer, "at %v", time.Now())  // want `time.Now reads the clock`
	m.text.WriteString(time.Now().String())      // want `time.Now reads the clock`
	m.byTime[time.Now().Unix()] = true           // want `time.Now reads the clock`
	start := time.Now()                          // want `time.Now reads the clock`
	m.n += int(time.Since(start).Milliseconds()) // want `time.Since reads the clock`
	return true, nil
}

type Partial struct{}

func (Partial) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name, n := range m.balances { // want `the loop ends at an element that depends on it`
		if n < 0 {
			return false, nil
		}
		m.index[name] = 1
	}
	return true, nil
}

type Signs struct{}

func (Signs) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for _, n := range m.balances { // want `m.first keeps the value of the last element`
		if n < 0 {
			m.first = "negative"
		} else {
			m.first = "positive"
		}
	}
	return true, nil
}

type Indexed struct{}

func (Indexed) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	names := make([]string, len(m.balances))
	i := 0
	for name := range m.balances { // want `names gets its elements in it`
		names[i] = name
		i++
	}
	m.order = names
	return true, nil
}
