package server

import (
	"context"
	"fmt"
	"time"

	"ssobridge/store"
)

// cutEvery is how often the audit's chain is looked at for entries that can go.
const cutEvery = time.Hour

// purgeAudit deletes the events that are older than audit.keep lets them be, signs
// that it was this that let them go, and cuts the chain where all before has gone.
func (p *App) purgeAudit(ctx context.Context) (int, error) {
	// A replica of the version before knows no outcomes and no cuts, so its verification would call this tampering.
	if p.Store.OlderReplicas(ctx) {
		return 0, nil
	}
	audit := p.Audit()
	r := store.Retention{Keep: p.Config.Audit.Kept(), At: p.Now().UTC().Truncate(time.Microsecond)}
	r.Signature = audit.Sign(r.Message())
	done, err := p.Store.Audit().Purge(ctx, r)
	p.reportUnpurged(done.Changed)
	if err != nil {
		return done.Count, err
	}
	if now := p.Now(); now.Sub(p.auditCut) < cutEvery && !p.auditCut.IsZero() {
		return done.Count, nil
	}
	signing, err := audit.Signing(ctx)
	if err != nil {
		return done.Count, err
	}
	cut, ok, err := p.Store.Audit().Cut(ctx, signing, store.Event{Actor: "worker", Action: "audit-cut", Outcome: "ok"})
	if err != nil {
		return done.Count, fmt.Errorf("the audit's chain was not cut: %w", err)
	}
	p.auditCut = p.Now()
	if ok {
		// Outside of the database too, as seals are.
		p.log.Info("audit chain cut", "seq", cut.Seq, "hash", cut.Hash, "at", cut.At, "counts", cut.Counts,
			"signature", cut.Signature)
	}
	return done.Count, nil
}

// reportUnpurged reports events that are old enough to be purged, and stay since somebody has changed them. Each is
// reported once by each process.
func (p *App) reportUnpurged(changed []store.ChangedEvent) {
	for _, c := range changed {
		if p.unpurged[c.ID] || len(p.unpurged) >= maxUnpurged {
			continue
		}
		if p.unpurged == nil {
			p.unpurged = map[int64]bool{}
		}
		p.unpurged[c.ID] = true
		p.log.Error("THE AUDIT LOG HAS BEEN TAMPERED WITH", "event", c.ID, "action", c.Action, "at", c.At, "what", c.String(),
			"hint", "it is not purged; ssobridge audit verify names the first such event")
	}
}

// maxUnpurged bounds how many changed events a process reports.
const maxUnpurged = 1000
