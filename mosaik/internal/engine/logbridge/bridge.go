// Package logbridge sends the log lines of dragonboat to package slog.
package logbridge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/logger"
)

// quietFor is how long a line with the same format is not repeated. dragonboat logs some
// warnings thousands of times a second.
const quietFor = time.Minute

// Install sends dragonboat's log lines to slog's default logger: its errors as warnings, its
// warnings and infos at the debug level. dragonboat's loggers belong to the process, so no line
// can be attributed to an engine.
var Install = sync.OnceFunc(func() {
	logger.SetLoggerFactory(func(pkg string) logger.ILogger { return &bridge{pkg: pkg} })
})

// bridge is the logger of one of dragonboat's packages.
type bridge struct {
	pkg  string
	mu   sync.Mutex
	last map[string]time.Time // by format
}

var _ logger.ILogger = (*bridge)(nil)

// SetLevel implements [logger.ILogger]; slog's handler decides.
func (b *bridge) SetLevel(logger.LogLevel) {}

// Debugf implements [logger.ILogger]. Lines of dragonboat's debug level are dropped.
func (b *bridge) Debugf(string, ...any) {}

// Infof implements [logger.ILogger].
func (b *bridge) Infof(format string, args ...any) { b.log(slog.LevelDebug, format, args) }

// Warningf implements [logger.ILogger].
func (b *bridge) Warningf(format string, args ...any) { b.log(slog.LevelDebug, format, args) }

// Errorf implements [logger.ILogger].
func (b *bridge) Errorf(format string, args ...any) { b.log(slog.LevelWarn, format, args) }

// Panicf implements [logger.ILogger]. dragonboat relies on the panic.
func (b *bridge) Panicf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	slog.Error("dragonboat: "+message, "package", b.pkg)
	panic(message)
}

func (b *bridge) log(level slog.Level, format string, args []any) {
	l := slog.Default()
	if !l.Enabled(context.Background(), level) || !b.due(format, time.Now()) {
		return
	}
	l.Log(context.Background(), level, "dragonboat: "+fmt.Sprintf(format, args...), "package", b.pkg)
}

// due reports whether a line with the format may be logged now.
func (b *bridge) due(format string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, ok := b.last[format]; ok && now.Sub(last) < quietFor {
		return false
	}
	if b.last == nil {
		b.last = map[string]time.Time{}
	}
	b.last[format] = now
	return true
}
