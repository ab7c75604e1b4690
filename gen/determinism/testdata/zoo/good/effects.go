package good

import (
	"fmt"
	"log"
	"log/slog"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/sm"
)

// Machine uses clocks, logs and locks in ways that do not reach its state.
type Machine struct {
	mu      sync.Mutex
	until   map[string]time.Time
	n       int64
	price   float64
	rate    float64
	watch   chan struct{}
	entries []entry
	values  map[string][]byte
	cache   map[string]int `mosaik:"-"`
	logger  *slog.Logger
	now     func() time.Time
}

type entry struct {
	name string
	tags []string
}

type Lease struct{ Name string }

func (c Lease) ApplyTo(m *Machine, at sm.ApplyContext) (time.Time, error) {
	m.until[c.Name] = at.Now().Add(time.Minute)
	return m.until[c.Name], nil
}

type Roll struct{}

func (Roll) ApplyTo(m *Machine, at sm.ApplyContext) (int64, error) {
	r := at.Rand()
	m.n = r.Int64N(6) + draw(r.Int64N)
	return m.n, nil
}

func draw(next func(int64) int64) int64 { return next(6) }

type Logged struct{}

func (Logged) ApplyTo(m *Machine, at sm.ApplyContext) (int64, error) {
	start := time.Now()
	defer func() { slog.Info("applied", "took", time.Since(start)) }()
	log.Printf("machine %p at %v", m, m)
	fmt.Fprintln(os.Stderr, "pid", os.Getpid())
	m.n++
	m.logger.Info("lag", "lag", time.Since(at.Now()).String())
	return m.n, nil
}

type Measured struct{}

func (Measured) ApplyTo(m *Machine, _ sm.ApplyContext) (int64, error) {
	start := time.Now()
	m.n++
	if took := time.Since(start); took > time.Second {
		slog.Warn("slow", "took", took)
	}
	return m.n, nil
}

type Locked struct{}

func (Locked) ApplyTo(m *Machine, _ sm.ApplyContext) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	return m.n, nil
}

type Notified struct{}

func (Notified) ApplyTo(m *Machine, _ sm.ApplyContext) (int64, error) {
	m.n++
	select {
	case m.watch <- struct{}{}:
	default:
	}
	return m.n, nil
}

type Parsed struct{ Text string }

func (c Parsed) ApplyTo(m *Machine, _ sm.ApplyContext) (string, error) {
	t, err := time.Parse(time.RFC3339, c.Text)
	if err != nil {
		return "", fmt.Errorf("parse %q: %w", c.Text, err)
	}
	m.until[c.Text] = t
	return time.Unix(m.n, 0).UTC().Format(time.RFC3339), nil
}

type Priced struct{ Amount float64 }

func (c Priced) ApplyTo(m *Machine, _ sm.ApplyContext) (float64, error) {
	m.price = float64(c.Amount*m.rate) + 1
	m.price += m.price / 2
	m.price += 2 * c.Amount // a multiplication by 2 is exact
	return math.Sqrt(math.Floor(m.price)), nil
}

type Formatted struct{}

func (Formatted) ApplyTo(m *Machine, at sm.ApplyContext) (string, error) {
	e := &entry{name: "a"}
	return fmt.Sprintf("%v %+v %s %v", e, m.entries, at.Now(), []string{"x"}), nil
}

var (
	word     = regexp.MustCompile(`^\w+$`)
	patterns = map[string]*regexp.Regexp{}
	mu       sync.Mutex
	once     sync.Once
	primes   []int
	upper    map[string]string
	handlers = map[string]func(*Machine){"inc": func(m *Machine) { m.n++ }}
	kinds    = map[string]int{}
)

// RegisterKind is called while the program is initialized.
func RegisterKind(name string) { kinds[name] = len(kinds) }

func init() { RegisterKind("a") }

type Matched struct{ Pattern, Text string }

func (c Matched) ApplyTo(*Machine, sm.ApplyContext) (bool, error) {
	p, err := compile(c.Pattern)
	if err != nil {
		return false, err
	}
	return word.MatchString(c.Text) && p.MatchString(c.Text), nil
}

// compile keeps compiled expressions.
func compile(text string) (*regexp.Regexp, error) {
	mu.Lock()
	defer mu.Unlock()
	if p, ok := patterns[text]; ok {
		return p, nil
	}
	p, err := regexp.Compile(text)
	if err == nil {
		patterns[text] = p
	}
	return p, err
}

type Prime struct{ N int }

func (c Prime) ApplyTo(*Machine, sm.ApplyContext) (bool, error) {
	once.Do(func() { primes = append(primes, 2, 3, 5, 7) })
	if upper == nil {
		upper = map[string]string{"a": "A"}
	}
	return slices.Contains(primes, c.N) || upper["a"] == "" || kinds["a"] > 0, nil
}

type Dispatched struct{ Name string }

func (c Dispatched) ApplyTo(m *Machine, _ sm.ApplyContext) (bool, error) {
	h, ok := handlers[c.Name]
	if ok {
		h(m)
	}
	return ok, nil
}

type Debugged struct{}

func (Debugged) ApplyTo(m *Machine, _ sm.ApplyContext) (bool, error) {
	if lib.Debug() {
		slog.Debug("debugged", "n", m.n)
	}
	return true, nil
}

type Silenced struct{}

func (Silenced) ApplyTo(m *Machine, _ sm.ApplyContext) (bool, error) {
	//mosaik:allow all members of this service run on the same host
	if host, err := os.Hostname(); err == nil {
		m.n = int64(len(host))
		m.n += int64(os.Getpid())
	}
	return true, nil
}

// ApplyTo is allowed to do what it wants.
//
//mosaik:allow an experiment
func (SilencedAll) ApplyTo(m *Machine, _ sm.ApplyContext) (bool, error) {
	m.n = time.Now().Unix()
	return true, nil
}

type SilencedAll struct{}

type Stored struct {
	Key   string
	Value []byte
}

func (c Stored) ApplyTo(m *Machine, _ sm.ApplyContext) (int, error) {
	m.values[c.Key] = c.Value // decoded commands own their memory
	m.entries = append(m.entries, entry{tags: strings.Fields(c.Key)})
	return len(c.Value), nil
}

type Panics struct{}

func (Panics) ApplyTo(m *Machine, _ sm.ApplyContext) (bool, error) {
	if m.n < 0 {
		panic(fmt.Sprintf("machine %p is broken", m))
	}
	return true, nil
}
