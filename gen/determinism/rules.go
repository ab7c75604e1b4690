package determinism

import (
	"go/types"
	"slices"
	"strings"
)

// rule is what is known about a function or a variable of the standard library, or of a few
// other modules.
type rule struct {
	kind, why, instead string
	value              bool // harmless if the result is only logged
}

// Replacements that several rules name.
const (
	useNow     = "use at.Now()"
	useRand    = "use at.Rand()"
	useCommand = "decide it before Execute and pass it in the command"
	useOutside = "do it outside of the machine, after the command is applied"
)

// rules maps names such as time.Now and time.Time.Local to rules.
var rules = make(map[string]rule)

func addRules(r rule, pkg, names string) {
	for _, name := range strings.Fields(names) {
		rules[pkg+"."+name] = r
	}
}

func init() {
	clock := rule{kindClock, "reads the clock of this member", useNow, true}
	addRules(clock, "time", "Now Since Until")
	timer := rule{kindClock, "waits for the clock of this member", "compare at.Now() with a time in the state", false}
	addRules(timer, "time", "Sleep After AfterFunc Tick NewTimer NewTicker Timer.Reset Timer.Stop Ticker.Reset")
	addRules(timer, "context", "WithTimeout WithTimeoutCause WithDeadline WithDeadlineCause AfterFunc")
	addRules(rule{kindClock, "depends on when the context ends", useCommand, true}, "context", "Context.Err Context.Done Cause")
	zone := rule{kindEnvironment, "depends on the time zone of this member", "use time.UTC, or a zone from time.FixedZone", false}
	addRules(zone, "time", "Local Time.Local LoadLocation")

	random := rule{kindRandom, "draws a random number", useRand, false}
	addRules(random, "math/rand", "Int Intn Int31 Int31n Int63 Int63n Uint32 Uint64 Float32 Float64 ExpFloat64 NormFloat64 Perm Shuffle Read Seed")
	addRules(random, "math/rand/v2", "Int IntN Int32 Int32N Int64 Int64N Uint Uint32 Uint32N Uint64 Uint64N UintN N Float32 Float64 ExpFloat64 NormFloat64 Perm Shuffle")
	secret := rule{kindRandom, "draws a random number", "use at.Rand(), or pass the secret in the command", false}
	addRules(secret, "crypto/rand", "Int Prime Read Text Reader")
	addRules(secret, "crypto/ed25519", "GenerateKey")
	addRules(secret, "crypto/rsa", "GenerateKey GenerateMultiPrimeKey EncryptPKCS1v15 EncryptOAEP SignPSS")
	addRules(secret, "crypto/ecdsa", "GenerateKey Sign SignASN1")
	addRules(secret, "crypto/ecdh", "Curve.GenerateKey")
	addRules(rule{kindRandom, "hashes with a seed of this process", "use hash/fnv or crypto/sha256", false},
		"hash/maphash", "MakeSeed Bytes String Comparable WriteComparable Hash.Sum64 Hash.Sum Hash.Seed Hash.SetSeed")

	env := rule{kindEnvironment, "reads the environment of this process", useCommand, true}
	addRules(env, "os", "Getenv LookupEnv Environ ExpandEnv Args Hostname Getpid Getppid Getuid Geteuid Getgid Getegid Getgroups Executable Getwd UserHomeDir UserCacheDir UserConfigDir TempDir Getpagesize")
	addRules(env, "os/user", "Current Lookup LookupId LookupGroup LookupGroupId")
	addRules(env, "runtime", "NumCPU NumGoroutine NumCgoCall GOMAXPROCS Caller Callers CallersFrames FuncForPC Stack ReadMemStats Version GOROOT MemProfile BlockProfile")
	addRules(rule{kindEnvironment, "differs between platforms", "write code that is the same on all platforms", true}, "runtime", "GOOS GOARCH")
	addRules(env, "runtime/debug", "ReadBuildInfo Stack PrintStack ReadGCStats SetGCPercent SetMemoryLimit SetMaxStack")
	addRules(rule{kindEnvironment, "depends on the garbage collector", "use an ordinary pointer", false}, "weak", "Pointer.Value")

	file := rule{kindIO, "accesses files of this member", "read the file before Execute and pass its content in the command", false}
	addRules(file, "os", "Open OpenFile OpenRoot OpenInRoot Create CreateTemp MkdirTemp ReadFile WriteFile ReadDir Mkdir MkdirAll Remove RemoveAll Rename Stat Lstat Link Symlink Readlink Truncate Chmod Chown Chtimes Chdir DirFS CopyFS Pipe NewFile Stdin "+
		"File.Read File.ReadAt File.ReadFrom File.Write File.WriteAt File.WriteString File.Seek File.Stat File.Sync File.Truncate File.ReadDir File.Readdir File.Readdirnames")
	addRules(file, "io/ioutil", "ReadFile WriteFile ReadDir TempFile TempDir")
	addRules(file, "path/filepath", "Abs Glob Walk WalkDir EvalSymlinks")
	network := rule{kindIO, "uses the network", useOutside, false}
	addRules(network, "net", "Dial DialTimeout DialTCP DialUDP DialUnix DialIP Listen ListenPacket ListenTCP ListenUDP ListenUnix LookupAddr LookupCNAME LookupHost LookupIP LookupMX LookupNS LookupPort LookupSRV LookupTXT ResolveTCPAddr ResolveUDPAddr ResolveIPAddr Interfaces InterfaceAddrs InterfaceByName InterfaceByIndex "+
		"Dialer.Dial Dialer.DialContext ListenConfig.Listen Resolver.LookupHost Resolver.LookupIP Resolver.LookupIPAddr Conn.Read Conn.Write Listener.Accept TCPConn.Read TCPConn.Write")
	addRules(network, "net/http", "Get Head Post PostForm ListenAndServe ListenAndServeTLS Serve Client.Do Client.Get Client.Head Client.Post Client.PostForm Transport.RoundTrip RoundTripper.RoundTrip Server.ListenAndServe Server.Serve")
	addRules(network, "net/smtp", "SendMail Dial")
	addRules(network, "net/rpc", "Dial DialHTTP Client.Call Client.Go")
	addRules(network, "crypto/tls", "Dial DialWithDialer Listen Dialer.DialContext")
	addRules(network, "database/sql", "Open DB.Exec DB.ExecContext DB.Query DB.QueryContext DB.QueryRow DB.QueryRowContext DB.Begin DB.BeginTx")
	process := rule{kindIO, "uses another process", useOutside, false}
	addRules(process, "os/exec", "Command CommandContext LookPath Cmd.Run Cmd.Start Cmd.Output Cmd.CombinedOutput")
	addRules(process, "os", "StartProcess FindProcess Process.Kill Process.Signal Process.Wait")
	addRules(process, "os/signal", "Notify NotifyContext")
	addRules(process, "plugin", "Open")

	addRules(rule{kindConcurrency, "depends on whether another goroutine holds the lock", "use Lock", false},
		"sync", "Mutex.TryLock RWMutex.TryLock RWMutex.TryRLock")

	address := rule{kindAddress, "returns an address, which differs between processes", "use an id that the state assigns", false}
	addRules(address, "reflect", "Value.Pointer Value.UnsafePointer Value.UnsafeAddr")

	spaces := rule{kindRandom, "writes random spaces, which differ between builds", "use proto.MarshalOptions with Deterministic", true}
	addRules(spaces, "google.golang.org/protobuf/internal/impl", "Export.MessageStringOf")
	addRules(spaces, "google.golang.org/protobuf/encoding/prototext", "Format Marshal MarshalOptions.Format MarshalOptions.Marshal")
	addRules(spaces, "google.golang.org/protobuf/encoding/protojson", "Format Marshal MarshalOptions.Format MarshalOptions.Marshal")

	libm := rule{kindFloat, "has different results on different platforms", "use integers or fixed-point numbers", false}
	addRules(libm, "math", "Acos Acosh Asin Asinh Atan Atan2 Atanh Cbrt Cos Cosh Erf Erfc Erfcinv Erfinv Exp Exp2 Expm1 Gamma Hypot J0 J1 Jn Lgamma Log Log10 Log1p Log2 Pow Sin Sincos Sinh Tan Tanh Y0 Y1 Yn")
	addRules(libm, "math/cmplx", "Abs Acos Acosh Asin Asinh Atan Atanh Cos Cosh Cot Exp Log Log10 Phase Polar Pow Rect Sin Sinh Sqrt Tan Tanh")
}

// opaque are modules for encoding and for errors whose calls are not followed. They are
// deterministic as far as the rules do not say otherwise, but use caches, addresses and timers
// to be fast, or record the stack of an error.
var opaque = []string{
	"google.golang.org/protobuf", "github.com/golang/protobuf", "github.com/gogo/protobuf",
	"github.com/vmihailenco/msgpack", "github.com/hashicorp/go-msgpack", "github.com/ugorji/go",
	"github.com/tinylib/msgp", "github.com/fxamacker/cbor", "github.com/json-iterator/go",
	"github.com/goccy/go-json", "github.com/bytedance/sonic", "github.com/klauspost/compress",
	"github.com/golang/snappy", "github.com/pierrec/lz4", "github.com/cespare/xxhash",
	"github.com/zeebo/blake3", "lukechampine.com/blake3",
	"github.com/pkg/errors", "github.com/cockroachdb/errors", "github.com/pingcap/errors",
	"github.com/go-errors/errors", "golang.org/x/xerrors",
}

// isOpaque reports whether the calls of a package are not followed.
func isOpaque(path string) bool {
	return slices.ContainsFunc(opaque, func(s string) bool { return path == s || strings.HasPrefix(path, s+"/") })
}

// ruleOf returns the rule for a function.
func ruleOf(f *types.Func) (rule, bool) {
	if f.Pkg() == nil {
		return rule{}, false
	}
	path := f.Pkg().Path()
	if slices.Contains(systems, path) && f.Signature().Recv() == nil {
		return rule{kindIO, "calls the operating system", useOutside, false}, true
	}
	r, ok := rules[path+"."+nameOf(f)]
	return r, ok
}

// systems are packages whose functions call the operating system.
var systems = []string{"syscall", "golang.org/x/sys/unix", "golang.org/x/sys/windows"}

// ruleOfVar returns the reason for a variable or a constant of the standard library.
func ruleOfVar(v types.Object) (reason, bool) {
	if v.Pkg() == nil || v.Parent() != v.Pkg().Scope() {
		return reason{}, false
	}
	r, ok := rules[v.Pkg().Path()+"."+v.Name()]
	return reason{Kind: r.kind, Text: v.Pkg().Name() + "." + v.Name() + " " + r.why, Instead: r.instead}, ok
}

// sinks are packages for logs, metrics and traces: what reaches them does not reach the
// state, and what they do themselves does not matter.
var sinks = []string{
	"log", "log/slog", "expvar", "testing", "runtime/pprof", "runtime/trace", "runtime/metrics",
	"go.uber.org/zap", "github.com/sirupsen/logrus", "github.com/hashicorp/go-hclog",
	"github.com/rs/zerolog", "github.com/go-logr/logr", "github.com/golang/glog", "k8s.io/klog",
	"github.com/go-kit/log", "github.com/apex/log", "github.com/charmbracelet/log",
	"go.opentelemetry.io/otel", "github.com/prometheus/client_golang",
	"github.com/armon/go-metrics", "github.com/hashicorp/go-metrics", "github.com/VictoriaMetrics/metrics",
	"github.com/getsentry/sentry-go",
}

// isSink reports whether a function logs, measures or traces: by its package, or because the
// name of its type says that it is a logger or an instrument.
func isSink(f *types.Func) bool {
	if f.Pkg() == nil {
		return false
	}
	path := f.Pkg().Path()
	if slices.ContainsFunc(sinks, func(s string) bool { return path == s || !isStandardPath(s) && strings.HasPrefix(path, s+"/") }) {
		return true
	}
	if path == "fmt" && slices.Contains([]string{"Print", "Printf", "Println"}, f.Name()) {
		return true // to standard output
	}
	return !isStandardPath(path) && isInstrument(receiverName(f))
}

// isInstrument reports whether a name is that of a type for logs or metrics.
func isInstrument(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"logger", "metric", "metrics", "stats", "histogram"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}
