package cli

import (
	"errors"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type auditVerifyCmd struct {
	asJSON

	Checkpoints string `aliases:"seals" placeholder:"FILE" help:"Checkpoints that were kept outside of the database: the file of audit.sink, or the log; - for standard input."`
}

// Help is shown by audit verify --help.
func (auditVerifyCmd) Help() string {
	return `Each event is bound to the one before it by a hash, and every ten seconds a checkpoint of the chain is signed by a key that is not in the database. Whoever changes or removes events in the database is detected. Whoever also removes the newest ones is detected by checkpoints that were kept elsewhere. Events that the bridge itself purged, since audit.keep says so, are counted apart: it is signed that they were old enough. Where all events at the chain's beginning were purged, it is cut at a checkpoint; the cut is signed and counts what was removed. Older checkpoints from outside are reported as from before the cut. Exit code 3 says that the audit log has been tampered with, and names the first such entry; one that is known can be acknowledged (audit acknowledge), and is gone past then.

Examples:

    ssobridge audit verify

    ssobridge audit verify --checkpoints /var/log/ssobridge/audit-checkpoints.jsonl`
}

// checkpoints reads those of a file; "" is none.
func (s *invocation) checkpoints(file string) ([]store.Checkpoint, error) {
	if file == "" {
		return nil, nil
	}
	in, closeFile, err := s.input(file)
	if err != nil {
		return nil, err
	}
	outside, err := admin.ReadCheckpoints(in)
	if e, ok := admin.AsError(err); ok {
		e.Fault = file + ": " + e.Fault
	}
	return outside, errors.Join(err, closeFile())
}

// acknowledgeHint says how a break is acknowledged, once it is known how it came about.
func acknowledgeHint(v admin.Verification) string {
	if v.Break == nil {
		return ""
	}
	return "; when it is known how it came about: ssobridge audit acknowledge " + v.Break.Name() + " --reason TEXT"
}

// Run verifies.
func (c *auditVerifyCmd) Run(s *invocation, p *server.App) error {
	outside, err := s.checkpoints(c.Checkpoints)
	if err != nil {
		return err
	}
	v, err := p.Audit().Verify(s.ctx, s.scope(), outside)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := s.object(toJSONVerified(v)); err != nil {
			return err
		}
	}
	if v.Tampered != "" {
		s.printf("TAMPERED WITH: %s\n", v.Tampered)
		return &commandError{err: errors.New("the audit log has been tampered with"),
			hint: "keep a copy of the database and of the checkpoints before anything else is done" + acknowledgeHint(v),
			code: exitDiffers}
	}
	if !c.JSON {
		printVerified(s, v)
	}
	if v.Foreign > 0 {
		s.printf("NOT WRITTEN BY SSOBRIDGE: %s, the first of them event %d (%s of %s)\n",
			plaintext.Count(v.Foreign, "event", "events"), v.First.ID, v.First.Action, v.First.At.UTC().Format(time.RFC3339))
		return &commandError{err: errors.New("the audit log holds events that ssobridge did not write"),
			hint: "ssobridge audit export --format jsonl shows them with \"foreign\": true; find out who writes the database" +
				acknowledgeHint(v),
			code: exitDiffers}
	}
	return nil
}

// printVerified says what was found as it was written.
func printVerified(s *invocation, v admin.Verification) {
	s.printf("%d events are unchanged; %d checkpoints in the database are valid, %d from outside\n", v.Chained,
		v.Checkpoints, v.Outside)
	if v.Acknowledged > 0 {
		s.printf("%s: ssobridge audit list --action audit-acknowledge says who, when and why\n",
			plaintext.Count(v.Acknowledged, "acknowledged break", "acknowledged breaks"))
	}
	if v.Cut != nil {
		s.printf("the chain begins at its cut of %s: %d older entries are gone, all of whose events were purged\n",
			v.Cut.At.UTC().Format("2006-01-02 15:04:05 MST"), v.Cut.Entries())
	}
	if v.BeforeCut > 0 {
		s.printf("%s from before the cut, and can't be compared any more\n",
			plaintext.Count(v.BeforeCut, "checkpoint from outside is", "checkpoints from outside are"))
	}
	if v.NoMAC > 0 {
		s.printf("%d of them carry no MAC: they were written by the version before, the newest of %s\n", v.NoMAC,
			v.NoMACTo.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if v.Purged > 0 {
		s.printf("%d more were purged as audit.keep says, the newest of them of %s\n", v.Purged,
			v.PurgedTo.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if v.Checkpoints+v.Outside == 0 {
		// An emptied audit looks like a new one, and who removes the chain with its checkpoints gets a new one from the
		// next start.
		s.printf("there was no checkpoint to compare with: that is so before the first start of the bridge, or when " +
			"the checkpoints were removed\n")
	}
	if !v.LastCheckpoint.IsZero() {
		s.printf("last checkpoint: %s\n", v.LastCheckpoint.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if v.Unchecked > 0 {
		s.printf("%s in no checkpoint yet; the running bridge makes one every ten seconds\n",
			plaintext.Count(v.Unchecked, "event is", "events are"))
	}
}

// jsonVerified is what a verification found as JSON.
type jsonVerified struct {
	Intact         bool      `json:"intact"` // false: exit code 3
	Tampered       string    `json:"tampered,omitempty"`
	Events         int64     `json:"events"`
	Foreign        int64     `json:"foreign"`
	Purged         int64     `json:"purged"`
	Unsealed       int64     `json:"unsealed"`
	Seals          int       `json:"seals"`
	Outside        int       `json:"seals_outside"`
	BeforeCut      int       `json:"seals_before_cut,omitempty"`
	Acknowledged   int       `json:"acknowledged,omitempty"`
	Break          string    `json:"break,omitempty"` // for audit acknowledge
	LastCheckpoint time.Time `json:"last_seal,omitzero"`
}

func toJSONVerified(v admin.Verification) jsonVerified {
	name := ""
	if v.Break != nil {
		name = v.Break.Name()
	}
	return jsonVerified{v.Intact(), v.Tampered, v.Chained, v.Foreign, v.Purged, v.Unchecked, v.Checkpoints, v.Outside,
		v.BeforeCut, v.Acknowledged, name, v.LastCheckpoint}
}
