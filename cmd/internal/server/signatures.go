package server

import (
	"context"
	"fmt"
	"time"

	"ssobridge/store"
)

// reportPatience bounds how long the signature that found a fault of libcrypto waits for its audit event.
const reportPatience = 5 * time.Second

// reportLibcrypto records that libcrypto was given up: a library that makes wrong signatures is a broken machine, or
// somebody's doing.
func (p *App) reportLibcrypto(ctx context.Context, reason string) error {
	// The end of the request that found it must not lose the event.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportPatience)
	defer cancel()
	s := p.Engine.Status()
	p.log.ErrorContext(ctx, "libcrypto failed and is not used until the next start; Go makes RSA signatures",
		"library", s.Library, "version", s.Version, "cause", reason, "hint",
		"reinstall OpenSSL's library, or set signing.libcrypto to off")
	e := store.Event{
		At: p.Now().UTC(), Actor: "worker", Action: "libcrypto-failed", Subject: "libcrypto", Outcome: "failed",
		Reason: "signature",
		Detail: store.DetailOf(map[string]any{"library": s.Library, "version": s.Version, "cause": reason}),
	}
	if err := p.Store.Audit().Add(ctx, e); err != nil {
		p.log.ErrorContext(ctx, "the audit event about libcrypto was not stored; tried again with a signature in a minute",
			"error", err)
		return fmt.Errorf("record that libcrypto failed: %w", err)
	}
	return nil
}
