package server

import (
	"io"
	"log/slog"
	"time"

	"ssobridge/cmd/internal/config"
)

// NewLogger makes the log that the configuration asks for.
func NewLogger(c config.Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.MinLevel(), ReplaceAttr: inMilliseconds}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// inMilliseconds writes each duration as a number of milliseconds, and the unit into its key: took becomes took_ms.
func inMilliseconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	ms := float64(a.Value.Duration().Round(time.Microsecond)) / float64(time.Millisecond)
	return slog.Float64(a.Key+"_ms", ms)
}
