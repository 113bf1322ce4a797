package certs

import (
	"log/slog"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// core lets certmagic's warnings and errors come out of logger, without the
// address that the CA may write to.
type core struct {
	zapcore.LevelEnabler
	logger *slog.Logger
	email  string // "" for none
	with   []zapcore.Field
}

// logged reports whether an attribute of certmagic may be seen: these are names,
// addresses of CAs and times.
func logged(key string) bool {
	return slices.Contains([]string{"identifier", "identifiers", "issuer", "error", "attempt", "retrying_in", "remaining"}, key)
}

// With adds attributes.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	more := *c
	more.with = slices.Concat(c.with, fields)
	return &more
}

// Check takes what is worth a line.
func (c *core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return to
	}
	return to.AddCore(e, c)
}

// Write writes the line. Whatever goes wrong with a certificate, mail flows: it
// is a warning.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	args := []any{"what", c.clean(e.Message)}
	for _, f := range slices.Concat(c.with, fields) {
		if !logged(f.Key) {
			continue
		}
		f.AddTo(values)
		v := values.Fields[f.Key]
		if s, ok := v.(string); ok {
			v = c.clean(s)
		}
		args = append(args, f.Key, v)
	}
	c.logger.Warn("certificate.trouble", args...)
	return nil
}

// Sync has nothing to write out.
func (c *core) Sync() error { return nil }

func (c *core) clean(s string) string {
	if c.email == "" {
		return s
	}
	return strings.ReplaceAll(s, c.email, "(the address for the CA)")
}
