package cli

import (
	"bufio"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/certs"
	"ssobridge/certs/pkcs11"
	"ssobridge/cmd/internal/config"
	"ssobridge/store"
)

type keysCmd struct {
	List     keysListCmd     `cmd:"" help:"Show the keys, and which service provider is signed for by which."`
	Generate keysGenerateCmd `cmd:"" help:"Make a new key. Nobody knows of it yet."`
	Publish  keysPublishCmd  `cmd:"" help:"Put a new key's certificate into the metadata."`
	Promote  keysPromoteCmd  `cmd:"" help:"Let a key sign for a service provider, now or at an agreed time."`
	Rollback keysRollbackCmd `cmd:"" help:"Take the last promotion back, at once."`
	Retire   keysRetireCmd   `cmd:"" help:"Take a key that signs no more out of the metadata, for good."`
	Export   keysExportCmd   `cmd:"" help:"Print a key's certificate (PEM)."`
}

// withKeys runs what a keys command does on the parts, and turns the rules' refusals
// into bad input with the next step.
func withKeys(s *invocation, do func(*Parts) error) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return keyFault(do(p))
}

func keyFault(err error) error {
	for _, c := range []struct {
		is   error
		hint string
	}{
		{certs.ErrNoKey, "ssobridge keys list shows all"},
		{certs.ErrState, "ssobridge keys list shows the states: next, published, active, retiring, retired. Nothing was changed"},
		{certs.ErrTime, "write the time with its zone, such as 2026-12-01T22:00:00Z. Nothing was changed"},
		{certs.ErrNoHolder, "ssobridge sp list shows all"},
		{certs.ErrUnconfirmed, "ask them whether the new certificate is loaded, then give --confirmed-by NAME. In an emergency --force does without"},
		{certs.ErrHoldsOne, "give --at TIME, such as --at 2026-12-01T22:00:00Z. In an emergency --force switches at once"},
		{certs.ErrKeyInUse, "promote another key for them first: ssobridge keys promote"},
		{certs.ErrNoStepBack, "ssobridge keys list shows each service provider's key and the one before"},
		{errNoToken, "set pkcs11.module, pkcs11.token_label and pkcs11.pin_file"},
		{pkcs11.ErrTaken, "choose another label"},
	} {
		if errors.Is(err, c.is) {
			return badInput(err, c.hint)
		}
	}
	return err
}

// findKey resolves a key's id, or its first digits.
func findKey(s *invocation, p *Parts, id string) (store.SigningKey, KeyStatus, error) {
	status, err := p.KeyStatus(s.ctx)
	if err != nil {
		return store.SigningKey{}, status, err
	}
	k, err := status.find(id)
	if err != nil {
		return k, status, badInput(err, "ssobridge keys list shows all")
	}
	return k, status, nil
}

type keysListCmd struct{}

// Help is shown by keys list --help.
func (keysListCmd) Help() string {
	return `States: next (made), published (in the metadata), active (signs), retiring (signs no more, still in the metadata), retired.

Example:

    ssobridge keys list`
}

// Run lists them.
func (keysListCmd) Run(s *invocation) error {
	return withKeys(s, func(p *Parts) error {
		status, err := p.KeyStatus(s.ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tUSE\tSTATE\tSINCE\tALGORITHM\tHELD BY\tENDS")
		for _, k := range status.Keys {
			ends, left := "unknown", ""
			if cert, err := x509.ParseCertificate(k.Certificate); err == nil {
				ends = cert.NotAfter.UTC().Format(time.DateOnly)
				if days, _, due := certs.Warn("", cert.NotAfter, status.Now); due && certs.State(k.State) != certs.Retired {
					left = fmt.Sprintf(" (%d days left)", days)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", k.ID, k.Use, k.State, day(since(k)), k.Algorithm, cmp.Or(k.Holder, "store"), ends, left)
		}
		if len(status.Ring.Holders) > 0 {
			fmt.Fprintln(w, "\nSERVICE PROVIDER\tSIGNED BY\tBEFORE\tHOLDS\tSWITCH\tCONFIRMED")
			for _, h := range status.Ring.Holders {
				c := status.Ring.Choices[h.EntityID]
				holds := "two"
				if h.One {
					holds = "one"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", h.EntityID, cmp.Or(status.Ring.KeyFor(h.EntityID, status.Now), "-"),
					cmp.Or(c.Previous, "-"), holds, p.switchText(c, status.Now), confirmedText(c))
			}
		}
		return w.Flush()
	})
}

// since when a key is in its state.
func since(k store.SigningKey) time.Time {
	switch certs.State(k.State) {
	case certs.Published:
		return k.PublishedAt
	case certs.Active:
		return k.ActiveAt
	case certs.Retiring:
		return k.RetiringAt
	case certs.Retired:
		return k.RetiredAt
	}
	return k.CreatedAt
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// switchText tells of a planned switch, with a countdown, and of one that is under way.
func (p *Parts) switchText(c certs.Choice, now time.Time) string {
	before, after := p.Config.Keys.SwitchBefore, p.Config.Keys.SwitchAfter
	var parts []string
	if c.Next != "" {
		parts = append(parts, fmt.Sprintf("to %s at %s, in %s", c.Next, c.SwitchAt.UTC().Format(time.RFC3339), c.SwitchAt.Sub(now).Round(time.Second)))
		if c.Window {
			parts = append(parts, fmt.Sprintf("people wait from %s to %s", c.SwitchAt.Add(-before).UTC().Format(time.TimeOnly), c.SwitchAt.Add(after).UTC().Format(time.TimeOnly)))
		}
	} else if until, waits := c.WaitsUntil(now, before, after); waits {
		parts = append(parts, fmt.Sprintf("switched, people wait until %s", until.UTC().Format(time.TimeOnly)))
	}
	return cmp.Or(strings.Join(parts, "; "), "-")
}

func confirmedText(c certs.Choice) string {
	var parts []string
	if c.ConfirmedBy != "" {
		parts = append(parts, fmt.Sprintf("by %s on %s", c.ConfirmedBy, day(c.ConfirmedAt)))
	}
	if c.Forced {
		parts = append(parts, "forced")
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

type keysGenerateCmd struct {
	Algorithm string        `enum:"rsa-3072,rsa-2048,p-256,p-384" default:"rsa-3072" help:"Kind of key: rsa-3072, rsa-2048, p-256 or p-384. Constant Contact does not publish which it takes; RSA is the safe choice."`
	Use       string        `enum:"signing,metadata" default:"signing" help:"What it signs: signing (sign-ins) or metadata (our metadata)."`
	PKCS11    string        `name:"pkcs11" placeholder:"LABEL" help:"Make it in the PKCS #11 token, under this label. It never leaves the token."`
	Life      time.Duration `default:"26280h" help:"How long its certificate lasts. Default: three years."`
}

// Help is shown by keys generate --help.
func (keysGenerateCmd) Help() string {
	return `The new key is in state next: nobody knows of it, and nothing changes. The first key of its use is active at once.

Examples:

    ssobridge keys generate

    ssobridge keys generate --algorithm p-256 --pkcs11 sign-2027

    ssobridge keys generate --use metadata`
}

// Run makes it.
func (c *keysGenerateCmd) Run(s *invocation) error {
	return withKeys(s, func(p *Parts) error {
		if c.Life < 24*time.Hour {
			return badInput(fmt.Errorf("--life %s is too short", c.Life), "write at least 24h")
		}
		key, state, err := p.GenerateKey(s.ctx, NewKey{Algorithm: certs.Algorithm(c.Algorithm), Use: c.Use, Label: c.PKCS11, Life: c.Life}, s.event("key-add", ""))
		if err != nil {
			return err
		}
		s.printf("made %s key %s (%s), state %s, certificate until %s\n", c.Use, key.ID, key.Algorithm, state, key.Certificate.NotAfter.UTC().Format(time.DateOnly))
		if state == certs.Next && c.Use == useSigning {
			s.printf("next: ssobridge keys publish %s\n", key.ID)
		}
		return nil
	})
}

type keysPublishCmd struct {
	Key string `arg:"" help:"Its id, or the first digits of it."`
}

// Help is shown by keys publish --help.
func (keysPublishCmd) Help() string {
	return `From now on the metadata has its certificate beside the one that signs. Service providers that read the metadata load it by themselves; to all others, hand it over.

Example:

    ssobridge keys publish 4f2a8c1d90e3b675`
}

// Run publishes it.
func (c *keysPublishCmd) Run(s *invocation) error {
	return withKeys(s, func(p *Parts) error {
		k, _, err := findKey(s, p, c.Key)
		if err != nil {
			return err
		}
		if err := p.PublishKey(s.ctx, k.ID, s.event("key-publish", k.ID)); err != nil {
			return err
		}
		s.printf("%s is in the metadata now\nnext: hand the metadata or the certificate (ssobridge keys export %s) to each service provider, then ssobridge keys promote\n", k.ID, k.ID)
		return nil
	})
}

type keysPromoteCmd struct {
	Key         string    `arg:"" optional:"" help:"Its id, or the first digits of it. Default: the one key in state published."`
	SP          string    `name:"sp" xor:"whom" placeholder:"ENTITY_ID" help:"For this service provider."`
	All         bool      `xor:"whom" help:"For all service providers. Those that hold one certificate are left out: agree on a time with each."`
	At          time.Time `placeholder:"TIME" help:"At this agreed time, such as 2026-12-01T22:00:00Z."`
	ConfirmedBy string    `placeholder:"NAME" help:"Who at the service provider has said that the new certificate is loaded there. It is recorded."`
	Force       bool      `help:"An emergency: switch now, although nobody has loaded the new certificate. Sign-ins fail there until they do."`
}

// Help is shown by keys promote --help.
func (keysPromoteCmd) Help() string {
	return `A service provider that holds two certificates is switched once it has loaded the new one. One that holds a single certificate has to change it at the same moment as the bridge signs with the new key: agree on a time. Around it, sign-ins there wait on a page and go on by themselves (keys.switch_before, keys.switch_after).

Examples:

    ssobridge keys promote --sp https://wiki.example.com/saml --confirmed-by "Kim Lee, wiki team" 4f2a

    ssobridge keys promote --sp https://www.okta.com/saml2/service-provider/spabc --at 2026-12-01T22:00:00Z

    ssobridge keys promote --all --force 4f2a`
}

// Run promotes it.
func (c *keysPromoteCmd) Run(s *invocation) error {
	if c.SP == "" && !c.All {
		return badInput(errors.New("it is not said for whom"), "give --sp ENTITY_ID or --all")
	}
	if len(c.ConfirmedBy) > 200 {
		return badInput(errors.New("--confirmed-by is longer than 200 characters"), "write a name")
	}
	return withKeys(s, func(p *Parts) error {
		k, status, err := c.key(s, p)
		if err != nil {
			return err
		}
		e := s.event("key-promote", k.ID)
		if k.Use == useMetadata {
			return c.promoteMetadata(s, p, k, e)
		}
		c.SP = store.TrimBlanks(c.SP)
		if c.SP != "" && !slices.ContainsFunc(status.Ring.Holders, func(h certs.Holder) bool { return h.EntityID == c.SP }) {
			// Before anything is asked.
			return fmt.Errorf("promote key %s for %s: %w", k.ID, quote(c.SP), certs.ErrNoHolder)
		}
		if c.ConfirmedBy == "" && c.At.IsZero() && !c.Force {
			c.ConfirmedBy = s.ask(fmt.Sprintf("Who has confirmed that the certificate of %s is loaded at %s? Name: ", k.ID, cmp.Or(c.SP, "all of them")))
		}
		left, err := p.PromoteKey(s.ctx, certs.Promotion{Key: k.ID, EntityID: c.SP, At: c.At, By: c.ConfirmedBy, Force: c.Force}, e)
		if err != nil {
			return err
		}
		whom := cmp.Or(c.SP, "all service providers")
		switch {
		case c.At.IsZero():
			s.printf("%s signs for %s now\n", k.ID, whom)
		default:
			s.printf("%s will sign for %s from %s on, in %s\n", k.ID, whom, c.At.UTC().Format(time.RFC3339), c.At.Sub(s.now()).Round(time.Second))
			s.printf("from %s before it until %s after it, people who sign in where one certificate is held wait on a page\n", config.FormatDuration(p.Config.Keys.SwitchBefore), config.FormatDuration(p.Config.Keys.SwitchAfter))
		}
		for _, entityID := range left {
			s.printf("left out, since it holds one certificate: ssobridge keys promote --sp %s --at TIME %s\n", entityID, k.ID)
		}
		s.printf("to take it back: ssobridge keys rollback %s\n", c.whomFlag())
		return nil
	})
}

func (c *keysPromoteCmd) whomFlag() string {
	if c.All {
		return "--all"
	}
	return "--sp " + c.SP
}

// key is the one that is named, or the one that is published.
func (c *keysPromoteCmd) key(s *invocation, p *Parts) (store.SigningKey, KeyStatus, error) {
	if c.Key != "" {
		return findKey(s, p, c.Key)
	}
	status, err := p.KeyStatus(s.ctx)
	if err != nil {
		return store.SigningKey{}, status, err
	}
	var found []store.SigningKey
	for _, k := range status.Keys {
		if k.Use == useSigning && certs.State(k.State) == certs.Published {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return store.SigningKey{}, status, badInput(fmt.Errorf("%d keys are in state published", len(found)), "name the one that is meant; ssobridge keys list shows all")
	}
	return found[0], status, nil
}

// promoteMetadata is for the key that signs our metadata, which belongs to no service provider.
func (c *keysPromoteCmd) promoteMetadata(s *invocation, p *Parts, k store.SigningKey, e store.Event) error {
	if c.SP != "" || !c.At.IsZero() {
		return badInput(fmt.Errorf("%s signs the metadata, which is the same for all", k.ID), "give --all, and no --at")
	}
	if c.ConfirmedBy == "" && !c.Force {
		c.ConfirmedBy = s.ask(fmt.Sprintf("Who has confirmed that whoever checks our metadata trusts %s? Name: ", k.ID))
	}
	if c.ConfirmedBy == "" && !c.Force {
		return certs.ErrUnconfirmed
	}
	e.Detail = detail(map[string]any{"confirmed_by": c.ConfirmedBy, "forced": c.Force})
	if err := p.PromoteMetadataKey(s.ctx, k.ID, e); err != nil {
		return err
	}
	s.printf("%s signs the metadata now\n", k.ID)
	return nil
}

// ask puts a question to the person at the terminal; "" where there is none.
func (s *invocation) ask(question string) string {
	in, ok := s.stdin.(*os.File)
	if !ok {
		return ""
	}
	if info, err := in.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return ""
	}
	s.printf("%s", question)
	line, err := bufio.NewReader(io.LimitReader(in, 1000)).ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(line)
}

type keysRollbackCmd struct {
	SP  string `name:"sp" xor:"whom" placeholder:"ENTITY_ID" help:"At this service provider."`
	All bool   `xor:"whom" help:"Wherever there is a step back."`
}

// Help is shown by keys rollback --help.
func (keysRollbackCmd) Help() string {
	return `The key before signs again at once, or a switch that is planned is withdrawn. It goes one step back.

Example:

    ssobridge keys rollback --sp https://wiki.example.com/saml`
}

// Run takes the step back.
func (c *keysRollbackCmd) Run(s *invocation) error {
	if c.SP == "" && !c.All {
		return badInput(errors.New("it is not said for whom"), "give --sp ENTITY_ID or --all")
	}
	return withKeys(s, func(p *Parts) error {
		to, err := p.RollbackKey(s.ctx, c.SP, s.event("key-rollback", ""))
		if err != nil {
			return err
		}
		if c.SP == "" {
			s.printf("rolled back wherever there was a step back; ssobridge keys list shows how they stand\n")
			return nil
		}
		s.printf("%s signs for %s now\n", to, c.SP)
		return nil
	})
}

type keysRetireCmd struct {
	Key string `arg:"" help:"Its id, or the first digits of it."`
}

// Help is shown by keys retire --help.
func (keysRetireCmd) Help() string {
	return `Its certificate leaves the metadata, and its private key the store: there is no way back. A key that signs for somebody is refused. A key in a token stays there; delete it with the token's own tools.

Example:

    ssobridge keys retire 90e3b6754f2a8c1d`
}

// Run retires it.
func (c *keysRetireCmd) Run(s *invocation) error {
	return withKeys(s, func(p *Parts) error {
		k, _, err := findKey(s, p, c.Key)
		if err != nil {
			return err
		}
		if err := p.RetireKey(s.ctx, k.ID, s.event("key-retire", k.ID)); err != nil {
			return err
		}
		s.printf("%s is retired\n", k.ID)
		return nil
	})
}

type keysExportCmd struct {
	Key string `arg:"" help:"Its id, or the first digits of it."`
}

// Help is shown by keys export --help.
func (keysExportCmd) Help() string {
	return `Only the certificate, which is public. It is self-signed, so there is no chain.

Example:

    ssobridge keys export 4f2a > ssobridge-2027.crt`
}

// Run prints the certificate.
func (c *keysExportCmd) Run(s *invocation) error {
	return withKeys(s, func(p *Parts) error {
		k, _, err := findKey(s, p, c.Key)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.stderr, "SHA-256 fingerprint: %s\n", certs.Fingerprint(k.Certificate))
		return pem.Encode(s.stdout, &pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate})
	})
}
