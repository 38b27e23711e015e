package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"ssobridge/cmd/internal/config"
	"ssobridge/store"
	"ssobridge/web"
)

// swapped is a handler that can be replaced while it serves. Requests that are under way end with the one before.
type swapped struct{ handler atomic.Pointer[http.Handler] }

func (s *swapped) set(h http.Handler) { s.handler.Store(&h) }

func (s *swapped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

// reloads are what can be made anew while it serves.
type reloads struct {
	front, console *swapped
	again          func(config.Config) (*web.Server, error)
	certificate    *certificate // nil: the bridge serves none
}

// reloadWhenAsked reads again what can be read again, whenever an admin asks for it (SIGHUP), until ctx ends. With a
// configuration that has faults nothing changes.
func (p *App) reloadWhenAsked(ctx context.Context, r reloads) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.Asked: // nil: never
		}
		cfg, err := p.Again()
		var done, restart []string
		if err == nil {
			done, restart, err = p.reload(cfg, r)
		}
		e := store.Event{At: p.Now().UTC(), Actor: "worker", Action: "configuration-reload", Subject: "configuration",
			Outcome: "ok"}
		e.Detail = store.DetailOf(map[string]any{"read_again": done, "needs_restart": restart})
		if err != nil {
			e.Outcome, e.Reason = "failed", "bad_configuration"
			p.log.Error("the configuration was not read again: everything goes on as it was", "cause", err)
		} else {
			p.log.Info("the configuration was read again", "read_again", done, "needs_restart", restart)
		}
		if err := p.Store.Audit().Add(ctx, e); err != nil && ctx.Err() == nil {
			p.log.Warn("that the configuration was read again is not in the audit log", "error", err)
		}
	}
}

// reload takes over secrets, logo and TLS certificate. restart are the keys whose values have changed and that are read
// at the start alone.
func (p *App) reload(cfg config.Config, r reloads) (done, restart []string, err error) {
	// Of the other keys nothing is taken over, so that what runs is what one start has read.
	next := p.Config
	next.Branding.Logo, next.Branding.LogoDark = cfg.Branding.Logo, cfg.Branding.LogoDark
	next.ConstantContact.APIKey = cfg.ConstantContact.APIKey
	next.ConstantContact.Webhook.Secret = cfg.ConstantContact.Webhook.Secret
	pages, err := r.again(next)
	if err != nil {
		return nil, nil, err
	}
	r.front.set(p.inTheirTrace(pages.Handler()))
	if handler := pages.ConsoleHandler(); handler != nil {
		r.console.set(p.inTheirTrace(handler))
	}
	p.Directory.SetBindPassword(string(cfg.Directory.BindPassword))
	p.Tokens.SetSecret(string(cfg.ConstantContact.PartnerSecret))
	p.Client.SetAPIKey(string(cfg.ConstantContact.APIKey))
	done = []string{"branding.logo", "branding.logo_dark", "directory.bind_password", "constant_contact.partner_secret",
		"constant_contact.api_key", "constant_contact.webhook.secret"}
	if r.certificate != nil {
		r.certificate.readAgain()
		done = append(done, "tls")
	}
	if p.mailer != nil {
		p.mailer.SetPassword(string(cfg.Notices.SMTP.Password))
		done = append(done, "notices.smtp.password")
	}
	if p.Token != nil {
		p.Token.SetPIN(string(cfg.PKCS11.PIN))
		done = append(done, "pkcs11.pin")
	}
	return done, p.needsRestart(cfg), nil
}

// needsRestart are the keys that have another value than the running program.
func (p *App) needsRestart(cfg config.Config) []string {
	var keys []string
	was := p.Config.Settings()
	taken := []string{"branding.logo", "branding.logo_dark"}
	for i, now := range cfg.Settings() { // the same keys in the same order; secrets are masked
		if now.Value != was[i].Value && !slices.Contains(taken, now.Key) && !strings.HasSuffix(now.Key, "_file") {
			keys = append(keys, now.Key)
		}
	}
	// What everything is sealed with changes in steps, on all replicas: see secrets rotate.
	if sealer, err := cfg.NewSealer(); err != nil || !slices.Equal(sealer.KeyIDs(), p.Sealer.KeyIDs()) {
		keys = append(keys, "secret_key")
	}
	return keys
}
