package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type keysCmd struct {
	List     keysListCmd     `cmd:"" help:"Show the keys, and which service provider is signed for by which."`
	Generate keysGenerateCmd `cmd:"" help:"Make a new key. Nobody knows of it yet."`
	Import   keysImportCmd   `cmd:"" help:"Take over the key of another identity provider, with its certificate."`
	Publish  keysPublishCmd  `cmd:"" help:"Put a new key's certificate into the metadata."`
	Promote  keysPromoteCmd  `cmd:"" help:"Let a key sign for a service provider, now or at an agreed time."`
	Rollback keysRollbackCmd `cmd:"" help:"Take the last promotion back, at once."`
	Retire   keysRetireCmd   `cmd:"" help:"Take a key that signs no more out of the metadata, for good."`
	Export   keysExportCmd   `cmd:"" help:"Print a key's certificate (PEM)."`
}

type keysListCmd struct{ asJSON }

// Help is shown by keys list --help.
func (keysListCmd) Help() string {
	return `States: next (made), published (in the metadata), active (signs), retiring (signs no more, still in the metadata), retired.

Example:

    ssobridge keys list`
}

// Run lists them.
func (c keysListCmd) Run(s *invocation, keys admin.Keys) error {
	list, err := keys.List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(toJSONKeys(list))
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tUSE\tSTATE\tSINCE\tALGORITHM\tHELD BY\tENDS")
	for _, k := range list.Keys {
		ends, left := "unknown", ""
		if !k.NotAfter.IsZero() {
			ends = k.NotAfter.UTC().Format(time.DateOnly)
		}
		if k.Due {
			left = fmt.Sprintf(" (%d days left)", k.DaysLeft)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", k.ID, k.Use, k.State, day(k.Since), k.Algorithm,
			cmp.Or(k.Token, "store"), ends, left)
	}
	if len(list.SignedFor) > 0 {
		fmt.Fprintln(w, "\nSERVICE PROVIDER\tSIGNED BY\tBEFORE\tHOLDS\tSWITCH\tCONFIRMED")
	}
	for _, sp := range list.SignedFor {
		holds := "two"
		switch {
		case sp.One:
			holds = "one"
		case sp.Unasked:
			holds = "not asked"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", sp.EntityID, cmp.Or(sp.Key, "-"), cmp.Or(sp.Previous, "-"), holds,
			switchText(sp, list.Now), confirmedText(sp))
	}
	return w.Flush()
}

// jsonKey is one of our keys as JSON.
type jsonKey struct {
	ID          string    `json:"id"`
	Use         string    `json:"use"`
	State       string    `json:"state"`
	Since       time.Time `json:"since,omitzero"`
	Algorithm   string    `json:"algorithm"`
	Token       string    `json:"token,omitempty"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	Due         bool      `json:"due,omitempty"`
	Fingerprint string    `json:"fingerprint"`
}

func toJSONKey(k admin.Key) jsonKey {
	return jsonKey{k.ID, k.Use, k.State, k.Since, k.Algorithm, k.Token, k.NotAfter, k.Due, k.Fingerprint}
}

// jsonSignedFor is a service provider and the key that signs for it as JSON.
type jsonSignedFor struct {
	EntityID    string    `json:"entity_id"`
	Key         string    `json:"key,omitempty"`
	Previous    string    `json:"previous,omitempty"`
	Holds       int       `json:"certificates"` // how many of our certificates it holds at a time
	Next        string    `json:"next,omitempty"`
	SwitchAt    time.Time `json:"switch_at,omitzero"`
	ConfirmedBy string    `json:"confirmed_by,omitempty"`
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	Forced      bool      `json:"forced,omitempty"`
}

type jsonKeys struct {
	Keys      []jsonKey       `json:"keys"`
	SignedFor []jsonSignedFor `json:"signed_for"`
}

func toJSONKeys(list admin.KeyList) jsonKeys {
	j := jsonKeys{Keys: []jsonKey{}, SignedFor: []jsonSignedFor{}}
	for _, k := range list.Keys {
		j.Keys = append(j.Keys, toJSONKey(k))
	}
	for _, sp := range list.SignedFor {
		holds := 2
		if sp.One {
			holds = 1
		}
		j.SignedFor = append(j.SignedFor, jsonSignedFor{sp.EntityID, sp.Key, sp.Previous, holds, sp.Next, sp.SwitchAt,
			sp.ConfirmedBy, sp.ConfirmedAt, sp.Forced})
	}
	return j
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// switchText tells of a planned switch, with a countdown, and of one that is under way.
func switchText(sp admin.SignedFor, now time.Time) string {
	var parts []string
	if sp.Next != "" {
		parts = append(parts, fmt.Sprintf("to %s at %s, in %s", sp.Next, sp.SwitchAt.UTC().Format(time.RFC3339),
			sp.SwitchAt.Sub(now).Round(time.Second)))
	}
	switch {
	case !sp.WaitFrom.IsZero():
		parts = append(parts, fmt.Sprintf("people wait from %s to %s", sp.WaitFrom.UTC().Format(time.TimeOnly),
			sp.WaitUntil.UTC().Format(time.TimeOnly)))
	case !sp.WaitUntil.IsZero():
		parts = append(parts, fmt.Sprintf("switched, people wait until %s", sp.WaitUntil.UTC().Format(time.TimeOnly)))
	}
	return cmp.Or(strings.Join(parts, "; "), "-")
}

func confirmedText(sp admin.SignedFor) string {
	var parts []string
	if sp.ConfirmedBy != "" {
		parts = append(parts, fmt.Sprintf("by %s on %s", sp.ConfirmedBy, day(sp.ConfirmedAt)))
	}
	if sp.Forced {
		parts = append(parts, "forced")
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

type keysGenerateCmd struct {
	asJSON

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
func (c *keysGenerateCmd) Run(s *invocation, keys admin.Keys) error {
	key, err := keys.Generate(s.ctx, s.scope(), admin.NewKey{Algorithm: c.Algorithm, Use: c.Use, Label: c.PKCS11,
		Life: c.Life}, s.event("", ""))
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(toJSONKey(key))
	}
	s.printf("made %s key %s (%s), state %s, certificate until %s\n", key.Use, key.ID, key.Algorithm, key.State,
		key.NotAfter.UTC().Format(time.DateOnly))
	if risk := key.Risk(); risk != "" {
		s.warn("%s", risk)
	}
	if key.State == admin.KeyNext && key.Use == admin.Signing {
		s.printf("next: ssobridge keys publish %s\n", key.ID)
	}
	return nil
}

type keysPublishCmd struct {
	asJSON

	Key string `arg:"" help:"Its id, or the first digits of it."`
}

// Help is shown by keys publish --help.
func (keysPublishCmd) Help() string {
	return `From now on the metadata has its certificate beside the one that signs. Service providers that read the metadata load it by themselves; to all others, hand it over.

Example:

    ssobridge keys publish 4f2a8c1d90e3b675`
}

// Run publishes it.
func (c *keysPublishCmd) Run(s *invocation, keys admin.Keys) error {
	k, err := s.namedKey(keys, c.Key)
	if err != nil {
		return err
	}
	if err := keys.Publish(s.ctx, s.scope(), k.ID, s.event("", "")); err != nil {
		return err
	}
	s.printf("%s is in the metadata now\nnext: hand the metadata or the certificate (ssobridge keys export %s) to each "+
		"service provider, then ssobridge keys promote\n", k.ID, k.ID)
	list, err := keys.List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	for _, sp := range list.SignedFor {
		if sp.Unasked {
			s.printf("ask %s before you hand it over: can it hold two certificates? One that holds a single one refuses sign-ins "+
				"from the moment it has the new one. Then: ssobridge sp set %s holds_certificates=one, or =two\n", sp.Name,
				shellWord(sp.EntityID))
		}
	}
	return s.key(keys, k.ID)
}

// namedKey is the key that an argument names. A variable that is empty names none, and not the one that waits.
func (s *invocation) namedKey(keys admin.Keys, id string) (admin.Key, error) {
	if id == "" {
		return admin.Key{}, badInput(errors.New("no key is named"), "ssobridge keys list shows their ids")
	}
	return keys.Find(s.ctx, s.scope(), id)
}

// key prints how a key stands now, as JSON.
func (s *invocation) key(keys admin.Keys, id string) error {
	if !s.json {
		return nil
	}
	k, err := keys.Find(s.ctx, s.scope(), id)
	if err != nil {
		return err
	}
	return s.object(toJSONKey(k))
}

type keysPromoteCmd struct {
	asJSON

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
func (c *keysPromoteCmd) Run(s *invocation, keys admin.Keys) error {
	p := admin.Promotion{Key: c.Key, EntityID: store.TrimTyped(c.SP), All: c.All, At: c.At, ConfirmedBy: c.ConfirmedBy,
		Force: c.Force}
	if err := keys.Check(s.ctx, s.scope(), p, admin.Signing); err != nil { // before anything is asked
		return err
	}
	k, err := keys.Find(s.ctx, s.scope(), c.Key)
	if err != nil {
		return err
	}
	p.Key = k.ID
	if err := keys.Check(s.ctx, s.scope(), p, k.Use); err != nil {
		return err
	}
	switch {
	case p.ConfirmedBy != "" || p.Force || !p.At.IsZero():
	case k.Use == admin.ForMetadata:
		p.ConfirmedBy = s.ask(fmt.Sprintf("Who has confirmed that whoever checks our metadata trusts %s? Name: ", k.ID))
	default:
		p.ConfirmedBy = s.ask(fmt.Sprintf("Who has confirmed that the certificate of %s is loaded at %s? Name: ", k.ID,
			cmp.Or(p.EntityID, "all of them")))
	}
	left, err := keys.Promote(s.ctx, s.scope(), p, s.event("", ""))
	if err != nil {
		return err
	}
	c.printPromoted(s, keys, k, p, left)
	return s.object(jsonPromoted{k.ID, p.EntityID, p.All, p.At, left})
}

// jsonPromoted is the change of a key, forward or back, as JSON.
type jsonPromoted struct {
	Key      string    `json:"key,omitempty"` // that signs; none: of several service providers, keys list has them
	EntityID string    `json:"entity_id,omitempty"`
	All      bool      `json:"all,omitempty"`
	At       time.Time `json:"at,omitzero"`        // none: at once
	Left     []string  `json:"left_out,omitempty"` // service providers that hold one certificate
}

// printPromoted says what has come of it.
func (c *keysPromoteCmd) printPromoted(s *invocation, keys admin.Keys, k admin.Key, p admin.Promotion, left []string) {
	whom := cmp.Or(p.EntityID, "all service providers")
	switch {
	case k.Use == admin.ForMetadata:
		s.printf("%s signs the metadata now\n", k.ID)
		return
	case p.At.IsZero():
		s.printf("%s signs for %s now\n", k.ID, whom)
	default:
		s.printf("%s will sign for %s from %s on, in %s\n", k.ID, whom, p.At.UTC().Format(time.RFC3339),
			p.At.Sub(s.now()).Round(time.Second))
		s.printf("from %s before it until %s after it, people who sign in where one certificate is held wait on a page\n",
			config.FormatDuration(keys.SwitchBefore), config.FormatDuration(keys.SwitchAfter))
	}
	for _, entityID := range left {
		s.printf("left out, since it holds one certificate: ssobridge keys promote --sp %s --at TIME %s\n", entityID, k.ID)
	}
	back := "--sp " + p.EntityID
	if p.All {
		back = "--all"
	}
	s.printf("to take it back: ssobridge keys rollback %s\n", back)
}

// ask puts a question to the person at the terminal; "" where there is none. With --json nobody is asked: what a
// question is about is not shown then.
func (s *invocation) ask(question string) string {
	in, ok := s.terminalOf() // /dev/null is a device as well, where nobody would answer what they were not asked
	if !ok || s.json {
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
	asJSON

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
func (c *keysRollbackCmd) Run(s *invocation, keys admin.Keys) error {
	to, err := keys.Rollback(s.ctx, s.scope(), c.SP, c.All, s.event("", ""))
	if err != nil {
		return err
	}
	if c.SP == "" {
		s.printf("rolled back wherever there was a step back; ssobridge keys list shows how they stand\n")
		return s.object(jsonPromoted{All: true})
	}
	s.printf("%s signs for %s now\n", to, c.SP)
	return s.object(jsonPromoted{Key: to, EntityID: c.SP})
}

type keysRetireCmd struct {
	asJSON

	Key string `arg:"" help:"Its id, or the first digits of it."`
	Yes bool   `help:"Retire it without asking."`
}

// Help is shown by keys retire --help.
func (keysRetireCmd) Help() string {
	return `Its certificate leaves the metadata, and its private key the store, where it is destroyed: there is no way back, so that it asks first. A key that signs for somebody is refused. A key in a token stays there; delete it with the token's own tools.

Example:

    ssobridge keys retire 90e3b6754f2a8c1d`
}

// Run retires it.
func (c *keysRetireCmd) Run(s *invocation, keys admin.Keys) error {
	k, err := s.namedKey(keys, c.Key)
	if err != nil {
		return err
	}
	if err := keys.MayRetire(s.ctx, s.scope(), k.ID); err != nil { // before anything is asked
		return err
	}
	destroyed := "Its private key is destroyed"
	if k.Token != "" {
		destroyed = "Its private key stays in the token"
	}
	if err := s.confirm(c.Yes, false, fmt.Sprintf("Retire %s (%s, certificate until %s) for good? %s, and nothing can be "+
		"signed with it again.", k.ID, k.Algorithm, k.NotAfter.UTC().Format(time.DateOnly), destroyed)); err != nil {
		return err
	}
	if err := keys.Retire(s.ctx, s.scope(), k.ID, s.event("", "")); err != nil {
		return err
	}
	s.printf("%s is retired\n", k.ID)
	return s.object(struct {
		ID      string `json:"id"`
		Retired bool   `json:"retired"`
		Token   string `json:"token,omitempty"` // where the private key stays
	}{k.ID, true, k.Token})
}

type keysExportCmd struct {
	asJSON

	Key string `arg:"" help:"Its id, or the first digits of it."`
}

// Help is shown by keys export --help.
func (keysExportCmd) Help() string {
	return `Only the certificate, which is public. It is self-signed, so there is no chain.

Example:

    ssobridge keys export 4f2a > ssobridge-2027.crt`
}

// Run prints the certificate.
func (c *keysExportCmd) Run(s *invocation, keys admin.Keys) error {
	k, err := s.namedKey(keys, c.Key)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(jsonCertificate{k.ID, k.State, k.Fingerprint, k.NotAfter, k.PEM(), ""})
	}
	fmt.Fprintf(s.stderr, "SHA-256 fingerprint: %s\n", k.Fingerprint)
	_, err = io.WriteString(s.stdout, k.PEM())
	return err
}
