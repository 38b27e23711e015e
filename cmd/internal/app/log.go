package app

import (
	"io"
	"log/slog"
)

var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// NewLogger makes the log that the configuration asks for.
func NewLogger(c LogConfig, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: logLevels[c.Level]}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
