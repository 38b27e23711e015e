package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

// running shows the health snapshot of the running bridge.
func (c *checkCmd) running(s *invocation, cfg config.Config, r *report) (err error) {
	p, err := server.Open(s.ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		r.add(admin.Finding{Name: string(admin.PartStore), Level: admin.Failure, Detail: err.Error()})
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	h, err := p.Status().Health(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if h.Stale() {
		text := "no bridge that runs on this store has looked so far"
		if !h.At.IsZero() {
			text = checkedBy(h)
		}
		return failed(errors.New(text), "is the bridge running? ssobridge check looks by itself")
	}
	for _, part := range h.Parts {
		name := string(part.Part) + ", since " + plaintext.Minute(part.Since)
		if part.Level == admin.OK {
			r.add(admin.Finding{Name: name})
		}
		for _, f := range part.Findings {
			f.Name = name + ": " + f.Name
			if f.Detail == "" && f.Level == admin.Failure {
				f.Detail = "the log of the bridge has the cause"
			}
			r.add(f)
		}
		if part.More > 0 {
			s.printf("      and %d more\n", part.More)
		}
	}
	s.printf("\n%d failed, %s; %s\n", r.failures, plaintext.Count(r.warnings, "warning", "warnings"), checkedBy(h))
	if err := r.end(); err != nil {
		return err
	}
	if r.failures > 0 {
		return failed(fmt.Errorf("%s of parts that are down", plaintext.Count(r.failures, "finding", "findings")), "")
	}
	return nil
}

// checkedBy says which bridge has looked, and when.
func checkedBy(h admin.Health) string {
	return fmt.Sprintf("the bridge %s checked %s ago", h.Maker, h.Age.Round(time.Second))
}
