package determinism

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

// variable is the environment variable that makes a process a worker.
const variable = "MOSAIK_DETERMINISM_WORKER"

// marker begins the lines of a worker's standard output that are answers. Tests may write others.
const marker = "mosaik determinism: "

// Worker is another process of this test that executes scripts. Its methods are for one
// goroutine.
type Worker struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    answers
	ended  chan struct{} // closed when the process has ended
	stderr tail
}

// maxAnswer bounds one request or answer in bytes.
const maxAnswer = 1 << 30

// Start starts a worker with a value of GOMAXPROCS. It runs the test with that name again, up to
// its call-th call of a check, counted from 0. The caller must call Close.
func Start(test string, call, procs int) (*Worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	w := &Worker{
		name:  fmt.Sprintf("process with GOMAXPROCS=%d and time zone %s", procs, zone),
		cmd:   exec.Command(program, "-test.run="+strings.Join(parts, "/"), "-test.count=1", "-test.timeout=0"),
		out:   answers{lines: make(chan []byte, 1)},
		ended: make(chan struct{}),
	}
	w.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", variable, call, test), fmt.Sprintf("GOMAXPROCS=%d", procs))
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		w.cmd.Wait() // its error says no more than the end does
		close(w.ended)
	}()
	return w, nil
}

// Send sends a script. Its answer must be received before the next one is sent.
func (w *Worker) Send(s Script) error {
	if err := write(w.in, "", s); err != nil {
		return w.fail(err)
	}
	return nil
}

// Receive receives the executions of the script that was sent.
func (w *Worker) Receive() ([]Execution, error) {
	var line []byte
	select {
	case line = <-w.out.lines:
	case <-w.ended:
		select {
		case line = <-w.out.lines:
		default:
			return nil, w.fail(errors.New("the process ended, or its test did not reach the check"))
		}
	}
	var all []Execution
	if err := read(line, &all); err != nil {
		return nil, w.fail(err)
	}
	for i := range all {
		all[i].Process = w.name
	}
	return all, nil
}

func (w *Worker) fail(err error) error {
	return fmt.Errorf("%s: %w%s", w.name, err, w.stderr.text())
}

// Close ends the process and waits for it.
func (w *Worker) Close() {
	w.in.Close()
	<-w.ended
}

// answers is a worker's standard output. It passes on the lines that are answers, of which at
// most one is awaited.
type answers struct {
	line  []byte // the beginning of a line
	lines chan []byte
}

// Write implements [io.Writer].
func (a *answers) Write(p []byte) (int, error) {
	n := len(p)
	for {
		before, after, whole := bytes.Cut(p, []byte{'\n'})
		a.line = append(a.line, before...)
		if !whole {
			return n, nil
		}
		if encoded, ok := bytes.CutPrefix(a.line, []byte(marker)); ok {
			a.lines <- encoded
		}
		a.line, p = nil, after
	}
}

// Served reports whether this process is a worker, and which call of which test it serves.
func Served() (call int, test string, ok bool) {
	value, ok := os.LookupEnv(variable)
	if !ok {
		return 0, "", false
	}
	number, test, _ := strings.Cut(value, " ")
	_, err := fmt.Sscan(number, &call)
	return call, test, err == nil
}

// zone is the local time zone of workers: it differs from UTC by a part of an hour.
var zone = time.FixedZone("TEST", 5*60*60+30*60)

// Serve executes the scripts that it receives. It returns when the other process has ended or closed
// the connection.
func Serve(m Machine, in io.Reader, out io.Writer) error {
	time.Local = zone
	requests := bufio.NewScanner(in)
	requests.Buffer(nil, maxAnswer)
	for requests.Scan() {
		var s Script
		if err := read(requests.Bytes(), &s); err != nil {
			return err
		}
		if err := write(out, "\n"+marker, Execute(m, s, "")); err != nil {
			return err
		}
	}
	return requests.Err()
}

// write writes v as one line.
func write(w io.Writer, prefix string, v any) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return err
	}
	line := append([]byte(prefix), base64.StdEncoding.AppendEncode(nil, b.Bytes())...)
	_, err := w.Write(append(line, '\n'))
	return err
}

func read(line []byte, v any) error {
	b, err := base64.StdEncoding.AppendDecode(nil, line)
	if err != nil {
		return err
	}
	return gob.NewDecoder(bytes.NewReader(b)).Decode(v)
}

// tail keeps the last bytes that were written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

// maxTail is how many bytes of a worker's standard error are shown.
const maxTail = 4096

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = t.last[max(0, len(t.last)-maxTail):]
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) == 0 {
		return ""
	}
	return "\n" + string(t.last)
}
