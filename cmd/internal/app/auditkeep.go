package app

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"strings"
	"time"

	"ssobridge/store"
)

// auditKeep is for how long events are kept that the configuration says nothing of: guesses of strangers for 90 days, all else for 400.
func auditKeep() map[string]time.Duration {
	const day = 24 * time.Hour
	return map[string]time.Duration{store.KeepDefault: 400 * day, "login.refused": 90 * day, "second-factor.refused": 90 * day}
}

// kept is Keep with its defaults filled in.
func (c AuditConfig) kept() map[string]time.Duration {
	all := auditKeep()
	for kind := range c.Keep {
		if !strings.Contains(kind, ".") {
			// Who says how long logins are kept means the refused ones too, unless they are named.
			maps.DeleteFunc(all, func(named string, _ time.Duration) bool { return strings.HasPrefix(named, kind+".") })
		}
	}
	maps.Copy(all, c.Keep)
	return all
}

// longest is how long the events that are kept longest are kept; 0: for ever.
func (c AuditConfig) longest() time.Duration {
	all := c.kept()
	longest := all[store.KeepDefault]
	for _, keep := range all {
		if keep == 0 || longest == 0 {
			return 0
		}
		longest = max(longest, keep)
	}
	return longest
}

// keptFor is a time of audit.keep in days.
func keptFor(keep time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case keep == 0:
		return "for ever"
	case keep%day == 0:
		return fmt.Sprintf("%d days", keep/day)
	}
	return short(keep)
}

// cutEvery is how often the audit's chain is looked at for entries that can go.
const cutEvery = time.Hour

// purgeAudit deletes the events that are older than audit.keep lets them be, signs
// that it was this that let them go, and cuts the chain where all before has gone.
func (p *Parts) purgeAudit(ctx context.Context) (int, error) {
	// A replica of the version before knows no outcomes and no cuts, so its verification would call this tampering.
	if p.Store.OlderReplicas(ctx) {
		return 0, nil
	}
	sign := func(message []byte) []byte { return ed25519.Sign(p.sealKey(), message) }
	r := store.Retention{Keep: p.Config.Audit.kept(), At: p.now().UTC().Truncate(time.Microsecond)}
	r.Signature = sign(r.Message())
	done, err := p.Store.Audit().Purge(ctx, r)
	p.reportUnpurged(done.Changed)
	if err != nil {
		return done.Count, err
	}
	if now := p.now(); now.Sub(p.auditCut) < cutEvery && !p.auditCut.IsZero() {
		return done.Count, nil
	}
	holds, err := p.sealsHold(ctx)
	if err != nil {
		return done.Count, err
	}
	cut, ok, err := p.Store.Audit().Cut(ctx, store.Signing{Sign: sign, Holds: holds}, store.Event{Actor: "worker", Action: "audit-cut", Outcome: "ok"})
	if err != nil {
		return done.Count, fmt.Errorf("the audit's chain was not cut: %w", err)
	}
	p.auditCut = p.now()
	if ok {
		// Outside of the database too, as seals are.
		p.log.Info("audit chain cut", "seq", cut.Seq, "hash", cut.Hash, "at", cut.At, "counts", cut.Counts, "signature", cut.Signature)
	}
	return done.Count, nil
}

// reportUnpurged reports events that are old enough to be purged, and stay since somebody has changed them. Each is reported once by
// each process.
func (p *Parts) reportUnpurged(changed []store.ChangedEvent) {
	for _, c := range changed {
		if p.unpurged[c.ID] || len(p.unpurged) >= maxUnpurged {
			continue
		}
		if p.unpurged == nil {
			p.unpurged = map[int64]bool{}
		}
		p.unpurged[c.ID] = true
		p.log.Error("THE AUDIT IS NOT AS IT WAS WRITTEN", "event", c.ID, "action", c.Action, "at", c.At, "what", c.String(),
			"hint", "it is not purged; ssobridge audit verify names the first such event")
	}
}

// maxUnpurged bounds how many changed events a process reports.
const maxUnpurged = 1000
