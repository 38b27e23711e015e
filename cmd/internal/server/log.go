package server

import (
	"io"
	"log/slog"

	"ssobridge/cmd/internal/config"
)

// NewLogger makes the log that the configuration asks for.
func NewLogger(c config.Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.MinLevel()}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
