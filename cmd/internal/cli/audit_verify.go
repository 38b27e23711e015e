package cli

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

type auditVerifyCmd struct {
	Seals string `placeholder:"FILE" help:"Seals that were kept outside of the database: the file of audit.sink, or the log; - for standard input."`
}

// Help is shown by audit verify --help.
func (auditVerifyCmd) Help() string {
	return `Each event is bound to the one before it by a hash, and the chain is sealed every ten seconds with a key that is not in the database. So who changes or removes events in the database is found out; who also cuts its end off is found out by seals that were kept elsewhere. Events that the bridge itself purged, since audit.keep says so, are counted apart: that they were old enough is signed too. Where all events of the chain's beginning were purged, it is cut off at a seal; the cut is signed and counts what went, and seals from outside that are older are reported as from before the cut. Exit code 3 says that something is not as it was, and names the first such entry.

Examples:

    ssobridge audit verify

    ssobridge audit verify --seals /var/log/ssobridge/audit-seals.jsonl`
}

const maxSealLine = 64 << 10

// Run verifies.
func (c *auditVerifyCmd) Run(s *invocation) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var outside []store.Seal
	if c.Seals != "" {
		in, closeFile, err := s.input(c.Seals)
		if err != nil {
			return err
		}
		outside, err = readSeals(in)
		if err := errors.Join(err, closeFile()); err != nil {
			return badInput(fmt.Errorf("read the seals in %s: %w", c.Seals, err), "give the file of audit.sink, or the log of the bridge")
		}
		if len(outside) == 0 {
			return badInput(fmt.Errorf("%s has no seal", c.Seals), "give the file of audit.sink, or the log of the bridge")
		}
	}
	v, err := p.verifyAudit(s.ctx, outside)
	var broken *store.ChainError
	if errors.As(err, &broken) {
		s.printf("NOT AS IT WAS: %s\n", broken)
		return &commandError{err: errors.New("the audit is not as it was"), hint: "keep a copy of the database and of the seals before anything else is done", code: exitDiffers}
	}
	if err != nil {
		return err
	}
	s.printf("%d events are as they were; %d seals in the database hold, %d from outside\n", v.Chained, v.Seals, v.Outside)
	if v.Cut != nil {
		s.printf("the chain begins at its cut of %s: %d older entries are gone, all of whose events were purged\n", v.Cut.At.UTC().Format("2006-01-02 15:04:05 MST"), v.Cut.Entries())
	}
	if v.BeforeCut > 0 {
		s.printf("%d seals from outside are from before the cut, and can't be compared any more\n", v.BeforeCut)
	}
	if v.NoMAC > 0 {
		s.printf("%d of them carry no MAC: they were written by the version before, the newest of %s\n", v.NoMAC, v.NoMACTo.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if v.Purged > 0 {
		s.printf("%d more were purged as audit.keep says, the newest of them of %s\n", v.Purged, v.PurgedTo.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if v.Seals+v.Outside == 0 {
		// An emptied audit looks like a new one, and who removes the chain with its seals gets a new one from the next start.
		s.printf("no seal was there to hold them against: that is so before the first start of the bridge, or when the seals were removed\n")
	}
	if !v.LastSeal.IsZero() {
		s.printf("last seal: %s\n", v.LastSeal.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if v.Unsealed > 0 {
		s.printf("%d events are not sealed yet; the running bridge does it every ten seconds\n", v.Unsealed)
	}
	if v.Foreign > 0 {
		s.printf("NOT WRITTEN BY SSOBRIDGE: %d events, the first of them event %d (%s of %s)\n", v.Foreign, v.First.ID, v.First.Action, v.First.At.UTC().Format(time.RFC3339))
		return &commandError{err: errors.New("the audit log holds events that ssobridge did not write"), hint: "ssobridge audit export --format jsonl shows them with \"foreign\": true; find out who writes the database", code: exitDiffers}
	}
	return nil
}

// auditKey is the public key of what a known secret key has signed of the audit log.
func (p *Parts) auditKey(id certs.KeyID) (ed25519.PublicKey, error) {
	seed, known := p.Sealer.DeriveBy(id, sealName)
	if !known {
		return nil, fmt.Errorf("secret key %s is not known", id)
	}
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key of the seals is none of Ed25519")
	}
	return public, nil
}

// auditKeys are those of all known secret keys, the one in use first.
func (p *Parts) auditKeys() (all []ed25519.PublicKey, err error) {
	for _, id := range p.Sealer.KeyIDs() {
		public, err := p.auditKey(id)
		if err != nil {
			return nil, err
		}
		all = append(all, public)
	}
	return all, nil
}

// signedBy checks that one of these keys has signed.
func signedBy(keys []ed25519.PublicKey) func(message, signature []byte) bool {
	return func(message, signature []byte) bool {
		return slices.ContainsFunc(keys, func(public ed25519.PublicKey) bool { return ed25519.Verify(public, message, signature) })
	}
}

// sealsHold checks signatures of the audit by the keys that are known, and seals by those of secret keys that were removed. One may have
// been removed since it leaked: what it says was purged or cut counts only as far as it was signed anew at its removal.
func (p *Parts) sealsHold(ctx context.Context) (func(message, signature []byte) bool, error) {
	// A checkpoint that was signed before the secret key was replaced is as good as a later one.
	known, err := p.auditKeys()
	if err != nil {
		return nil, err
	}
	removed, err := p.Store.SecretKeys().List(ctx)
	if err != nil {
		return nil, err
	}
	var former []ed25519.PublicKey
	for _, k := range removed { // the store gives it for a removed one alone, whose row is vouched for
		if len(k.AuditKey) == ed25519.PublicKeySize {
			former = append(former, ed25519.PublicKey(k.AuditKey))
		}
	}
	byKnown, byFormer := signedBy(known), signedBy(former)
	return func(message, signature []byte) bool {
		return byKnown(message, signature) || store.OfSeal(message) && byFormer(message, signature)
	}, nil
}

// resignAudit signs anew, with the secret key in use, what an older one has signed of purges and cuts.
func (p *Parts) resignAudit(ctx context.Context) (int, error) {
	known, err := p.auditKeys()
	if err != nil {
		return 0, err
	}
	sign := func(message []byte) []byte { return ed25519.Sign(p.sealKey(), message) }
	changed, err := p.Store.Audit().Resign(ctx, store.Signing{Sign: sign, Holds: signedBy(known)}, signedBy(known[:1]))
	if err != nil {
		return 0, fmt.Errorf("sign the audit's purges and cuts anew: %w", err)
	}
	return changed, nil
}

// verifyAudit holds the audit against its seals.
func (p *Parts) verifyAudit(ctx context.Context, outside []store.Seal) (store.Verified, error) {
	holds, err := p.sealsHold(ctx)
	if err != nil {
		return store.Verified{}, err
	}
	v, err := p.Store.Audit().Verify(ctx, outside, holds)
	if err != nil {
		return v, fmt.Errorf("verify the audit: %w", err)
	}
	return v, nil
}

// readSeals reads lines of audit.sink or of the log; other lines of the log are passed over.
func readSeals(r io.Reader) ([]store.Seal, error) {
	var all []store.Seal
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxSealLine)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		var line struct {
			store.Seal
			Message string `json:"msg"`
		}
		if !strings.Contains(text, `"signature"`) || json.Unmarshal([]byte(text), &line) != nil {
			continue
		}
		if line.Message == "" || line.Message == sealLogged {
			all = append(all, line.Seal)
		}
	}
	return all, lines.Err()
}
