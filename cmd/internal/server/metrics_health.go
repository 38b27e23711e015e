package server

import (
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ssobridge/web/admin"
)

// healthCollector tells what this replica knows of the health snapshot, and of itself. It asks nobody at a scrape.
type healthCollector struct {
	p      *App
	health *healthKeeper
}

var (
	buildInfo = desc("build_info", "1 for the version of this program, and of the Go that built it.", "version",
		"go_version")
	ready       = desc("ready", "1 while this replica can serve sign-ins, as /readyz says.")
	partState   = desc("health_state", "How a part of the bridge is: 0 well, 1 a warning, 2 down.", "part")
	partSince   = desc("health_since_timestamp_seconds", "Since when a part is so, in Unix time.", "part")
	snapshotAge = desc("health_age_seconds",
		"How long ago the health snapshot was made that all replicas share; more than a minute: nobody makes it.")
	directoryUp = desc("directory_up", "1 unless the directory is down.")
	contactUp   = desc("constant_contact_up", "1 unless Constant Contact is down, judged by the last real calls.")
	lastAnswer  = desc("constant_contact_last_answer_timestamp_seconds",
		"When Constant Contact last answered a call as it should, in Unix time.")
	lastSignIn = desc("last_sign_in_timestamp_seconds",
		"When somebody last signed in at a service provider, on any replica, in Unix time; left out where nobody ever did.")
	overdue = desc("queue_overdue_seconds", "For how long the next SSO user has been due to be created.")
	offset  = desc("clock_offset_seconds",
		"Our clock less the token server's, when it last answered; left out until it did.")
	checkpointAt = desc("audit_checkpoint_timestamp_seconds", "When the last checkpoint of the audit log was made, in Unix "+
		"time.")
	uncovered = desc("audit_uncovered_seconds", "The age of the oldest audit event that no checkpoint covers; 0: all are "+
		"covered.")
	journaled = desc("revocation_journal", "1 while the revocation journal is written, 0 while it can't be.")
	rsaSigner = desc("rsa_signer_info", "1 for who makes RSA signatures: libcrypto with its version, or go.", "signer",
		"version")
	libcrypto = desc("libcrypto_failed", "1 after libcrypto failed and was given up, until the next start.")
	certEnd   = desc("certificate_not_after_seconds",
		"When a certificate, or the metadata of a service provider, ends, in Unix time.", "use", "id", "sp")
	spans = prometheus.NewDesc("ssobridge_spans_total", "Spans for OpenTelemetry: sent to the collector, or dropped since "+
		"it did not take them in time; 0 where tracing is off.", []string{"outcome"}, nil)
	secretFile = desc("secret_file_timestamp_seconds", "When the file of a secret was last changed, in Unix time.",
		"secret")
)

// Describe lists the metrics.
func (c *healthCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, ready, partState, partSince, snapshotAge, directoryUp, contactUp,
		lastAnswer, lastSignIn, overdue, offset, checkpointAt, uncovered, journaled, rsaSigner, libcrypto, certEnd,
		secretFile, spans} {
		ch <- d
	}
}

// Collect tells the metrics.
func (c *healthCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := gauges(ch)
	at := func(d *prometheus.Desc, t time.Time, labels ...string) {
		if !t.IsZero() {
			gauge(d, float64(t.UnixMilli())/1000, labels...)
		}
	}
	gauge(buildInfo, 1, c.p.Version, runtime.Version())
	gauge(journaled, flag(c.p.Journal.Fault() == ""))
	if signer := c.p.Engine.Status(); signer.Libcrypto {
		gauge(rsaSigner, 1, "libcrypto", signer.Version)
	} else {
		gauge(rsaSigner, 1, "go", runtime.Version())
	}
	gauge(libcrypto, flag(c.p.Engine.Status().Failed))
	var sent, dropped int64
	if c.p.Tracer != nil {
		sent, dropped = c.p.Tracer.Counts()
	}
	ch <- prometheus.MustNewConstMetric(spans, prometheus.CounterValue, float64(sent), "sent")
	ch <- prometheus.MustNewConstMetric(spans, prometheus.CounterValue, float64(dropped), "dropped")
	for _, f := range c.p.Config.SecretFiles() {
		// A file that can't be looked at is a fault of check.
		if info, err := os.Stat(f.File); err == nil {
			at(secretFile, info.ModTime(), f.Key)
		}
	}
	now := c.health.latest.Load()
	if now == nil {
		return // it starts, or stops
	}
	gauge(ready, flag(now.ready == nil))
	for _, e := range now.expiries {
		gauge(certEnd, float64(e.NotAfter.Unix()), e.Use, e.ID, e.EntityID)
	}
	h := now.health
	for _, part := range h.Parts {
		gauge(partState, float64(part.Level), string(part.Part))
		at(partSince, part.Since, string(part.Part))
		switch part.Part {
		case admin.PartDirectory:
			gauge(directoryUp, flag(part.Level != admin.Failure))
		case admin.PartConstantContact:
			gauge(contactUp, flag(part.Level != admin.Failure))
		default:
		}
	}
	at(lastAnswer, h.Calls.Worked)
	at(lastSignIn, h.SignedIn)
	if h.At.IsZero() {
		return // no snapshot was made yet
	}
	gauge(snapshotAge, now.age().Seconds())
	m := h.Measured
	gauge(overdue, m.Overdue.Seconds())
	if m.ClockKnown {
		gauge(offset, m.ClockOffset.Seconds())
	}
	at(checkpointAt, m.Checkpoint)
	gauge(uncovered, m.UncoveredFor.Seconds())
}
