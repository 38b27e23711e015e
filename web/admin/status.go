package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Asked says who asks how the bridge stands. All of them go through the same list of checks, and each through its part
// of it.
type Asked uint8

// Who asks. A load balancer asks for readiness every few seconds, so that it is about this replica alone. The health
// snapshot is made twice a minute by one replica for all; overview, metrics and commands read it. A full check does all
// of it, once, for the configuration at hand.
const (
	ForReadiness Asked = 1 << iota
	ForHealth
	ForReplica // what each replica finds of itself, beside the snapshot of one
	ForFullCheck
)

// Check is one entry of the list.
type Check struct {
	Part Part // of the snapshot; "": it is not in it
	For  Asked
	Run  func(ctx context.Context) []Finding
}

// ConsoleGroup is a group whose members have a role in the console, by the configuration's key.
type ConsoleGroup struct{ Key, DN string }

// Status is how the bridge stands.
type Status struct {
	Store     *store.DB
	StoreName string                          // such as sqlite
	SignIns   func(ctx context.Context) error // tells whether sign-ins can be served: the identity provider's own
	Keys      Keys
	Providers Providers
	Directory *directory.Directory    // nil: it is not looked at
	Tokens    *partnerapi.TokenSource // nil: no token is asked for
	Budget    *store.Budget           // of calls to Constant Contact; nil: jumps of the clock are not looked for
	Now       func() time.Time        // of this machine
	Since     time.Time               // when this program began to serve; zero: it does not serve

	ConsoleGroups []ConsoleGroup // that give a role in the console

	TokenURL, APIURL string
	BackupMaxAge     time.Duration                   // of the last backup; 0: it is not looked at
	Probe            func(ctx context.Context) error // makes one call to see whether Constant Contact answers; nil: none
	Expiries         Expiries
	// reads the list of client accounts anew, and counts them; nil: not wanted
	Accounts func(ctx context.Context) (int, error)

	// Of the configuration and the machine, after the store; of mappings, users and the audit log, at the end.
	Machine, Rest []Check
}

// checks is the list, in the order in which one thing needs the other.
func (s Status) checks() []Check {
	list := []Check{
		{PartStore, ForReadiness | ForHealth | ForReplica | ForFullCheck, s.store},
		{PartKeys, ForReadiness | ForHealth | ForReplica, s.signIns},
	}
	list = append(list, s.Machine...)
	list = append(
		list,
		Check{PartKeys, ForHealth | ForFullCheck, s.Keys.Findings},
		Check{PartDirectory, ForFullCheck, s.directory},
		Check{PartDirectory, ForHealth, s.directoryHealth},
		Check{PartConstantContact, ForFullCheck, s.token},
		Check{PartConstantContact, ForHealth | ForFullCheck, s.constantContact},
		Check{PartConstantContact, ForFullCheck, s.accounts},
		Check{PartProvisioning, ForHealth | ForFullCheck, s.provisioning},
		Check{PartProvisioning, ForHealth | ForFullCheck, s.selfOrders},
		Check{PartBudget, ForHealth | ForFullCheck, s.budget},
		Check{PartClock, ForHealth | ForFullCheck, s.clockJump},
		Check{PartClock, ForHealth, s.skew},
		Check{PartBackup, ForHealth | ForFullCheck, s.backup},
		Check{PartProviders, ForHealth | ForFullCheck, s.Providers.Findings},
		Check{PartExpiry, ForFullCheck, s.Providers.expiries},
		Check{PartExpiry, ForHealth, s.ends},
		Check{PartExpiry, ForHealth | ForFullCheck, s.apiTokens},
		Check{PartAudit, ForHealth | ForFullCheck, s.audit},
		Check{PartNotices, ForHealth | ForFullCheck, s.notices},
	)
	list = append(list, s.Rest...)
	return append(list, Check{"", ForFullCheck, s.PrimaryGroups})
}

// maxPrimaryGroups bounds the groups that PrimaryGroups looks at.
const maxPrimaryGroups = 200

// groupUse is a group that gives somebody something, with what it does so by.
type groupUse struct{ dn, name, hint string }

// PrimaryGroups names mappings, service providers and roles of the console by groups that are somebody's primary group.
// Their members stand at the people alone, so nobody sees how many they are by looking at the group; and versions
// before counted none of them.
func (s Status) PrimaryGroups(ctx context.Context) (all []Finding) {
	const name = "primary groups"
	uses, err := s.groupUses(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	looked := map[string]string{}
	for _, use := range uses {
		risk, known := looked[use.dn]
		if !known {
			if len(looked) == maxPrimaryGroups {
				return append(all, Finding{Name: name, Detail: fmt.Sprintf("the first %d groups were looked at",
					maxPrimaryGroups)})
			}
			if risk, err = primaryRisk(ctx, s.Directory, use.dn); err != nil {
				return append(all, found(name, err)) // it will not answer for the next one either
			}
			looked[use.dn] = risk
		}
		if risk != "" {
			all = append(all, Finding{Name: use.name, Level: Warning, Detail: risk, Hint: use.hint})
		}
	}
	return all
}

// groupUses are the groups of the console, of service providers and of mappings.
func (s Status) groupUses(ctx context.Context) (all []groupUse, err error) {
	for _, g := range s.ConsoleGroups {
		all = append(all, groupUse{g.DN, "console." + g.Key, "take a group of its own for the console, if not all of them " +
			"are meant"})
	}
	providers, err := s.Store.ServiceProviders().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the service providers: %w", err)
	}
	for _, sp := range providers {
		for _, dn := range sp.Groups {
			all = append(all, groupUse{dn, "service provider " + sp.EntityID, "take another group for it, if not all of " +
				"them are meant"})
		}
	}
	list, err := s.Store.Mappings().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the mappings: %w", err)
	}
	named := map[string]bool{}
	for _, m := range list {
		if m.Kind == store.GroupMapping && mapping.OfSource(m) == "" && !m.Off && !named[m.GroupDN] {
			named[m.GroupDN] = true
			all = append(all, groupUse{m.GroupDN, fmt.Sprintf("mapping %d", m.ID), "see for whom in the preview of the " +
				"mapping, and take another group if not all of them are meant"})
		}
	}
	return all, nil
}

// Look goes through the list, and gives out what it finds as it comes.
func (s Status) Look(ctx context.Context, scope Scope, asked Asked, each func(Finding)) error {
	if err := scope.whole(); err != nil {
		return err
	}
	for _, c := range s.checks() {
		if c.For&asked == 0 {
			continue
		}
		for _, f := range c.Run(ctx) {
			each(f)
		}
	}
	return nil
}

// Ready tells why this replica can't serve requests; nil: it can.
func (s Status) Ready(ctx context.Context) error {
	for _, c := range s.checks() {
		if c.For&ForReadiness == 0 {
			continue
		}
		for _, f := range c.Run(ctx) {
			if f.Level == Failure {
				return fmt.Errorf("%s: %w", f.Name, f.Cause())
			}
		}
	}
	return nil
}

func (s Status) store(ctx context.Context) []Finding {
	const name = "store"
	if err := s.Store.Ping(ctx); err != nil {
		f := found(name, fmt.Errorf("reach the store: %w", err))
		f.Hint = "see the cause; the bridge can't run without its store"
		return []Finding{f}
	}
	return []Finding{{Name: name, Detail: s.StoreName + " can be read and written"}}
}

func (s Status) signIns(ctx context.Context) []Finding {
	const name = "sign-ins"
	if err := s.SignIns(ctx); err != nil {
		return []Finding{found(name, err)}
	}
	return []Finding{{Name: name}}
}

func (s Status) directory(ctx context.Context) []Finding {
	if s.Directory == nil {
		return nil
	}
	return directoryFindings(s.Directory.Check(ctx))
}

// directoryHealth is directory for the snapshot, which goes into the log, to all replicas and into notices: it names no
// person. A check shows an administrator whom it has tried.
func (s Status) directoryHealth(ctx context.Context) []Finding {
	if s.Directory == nil {
		return nil
	}
	steps := s.Directory.Check(ctx)
	for i, step := range steps {
		if step.Person && step.Err != nil {
			steps[i].Err = errors.New(withoutPerson(step.Err))
		}
	}
	return directoryFindings(steps)
}

// withoutPerson says what went wrong with the entry of a person, without its name or its DN.
func withoutPerson(err error) string {
	e, ours := errors.AsType[*directory.Error](err)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return "no person was found"
	case ours && e.Problem == directory.BadData:
		return "the entry of a person that was tried can't be used"
	default:
		return directory.Diagnose(err).Text
	}
}

// directoryFindings are the steps of a check of the directory.
func directoryFindings(steps []directory.Step) []Finding {
	whole := 0 // servers at which every step went well
	failed := map[string]bool{}
	for _, step := range steps {
		if was, known := failed[step.Server]; step.Server != "" {
			failed[step.Server] = step.Err != nil || known && was
		}
	}
	for _, bad := range failed {
		if !bad {
			whole++
		}
	}
	var all []Finding
	for _, step := range steps {
		f := Finding{Name: "directory: " + step.Name, Detail: step.Detail}
		switch {
		case step.Err != nil:
			f = found(f.Name, step.Err)
			if f.Detail == "" && !step.Person { // the diagnosis has no secret, and nobody's name
				f.Detail = directory.Diagnose(step.Err).Text
			}
			if step.Server != "" && whole > 0 { // sign-ins go on by the others
				f.Level, f.Detail = Warning, cmp.Or(f.Detail, step.Err.Error())
			}
		case step.Fix != "":
			f.Level = Warning
		}
		f.Hint = step.Fix
		all = append(all, f)
	}
	return all
}

// skewLimit is the clock difference from which the clock is a warning. The service provider is known to allow 60 s; a
// clock that is seconds off is on its way there (SP-08).
const skewLimit = 5 * time.Second

// token asks for a token and compares the clocks. A check does so, to try the credentials at hand.
func (s Status) token(ctx context.Context) []Finding {
	const name = "partner token"
	if _, err := s.Tokens.Token(ctx); err != nil {
		f := found(name, err)
		f.Hint, f.Act = "compare constant_contact.token_url, partner_client_id and the partner secret with what Constant "+
			"Contact gave", NoAct
		if _, fix, ok := partnerapi.Unreached(err); ok {
			f.Hint = fix
		}
		if partnerapi.KindOf(err) == partnerapi.Throttled {
			f.Hint, f.Act = "", TryLater
		}
		return []Finding{f}
	}
	return append([]Finding{{Name: name, Detail: s.TokenURL}}, s.skew(ctx)...)
}

// skew compares our clock with the token server's, as it said it at the last token.
func (s Status) skew(context.Context) []Finding {
	if s.Tokens == nil {
		return nil
	}
	theirs, ours, ok := s.Tokens.ServerTime()
	if !ok {
		return nil
	}
	// The Date header counts whole seconds, so up to one second is no difference.
	skew := ours.Sub(theirs)
	f := Finding{Name: "clock", Part: PartClock, Detail: "ours differs from the token server's by " +
		skew.Round(time.Second).String()}
	if skew.Abs() > skewLimit {
		f.Level, f.Hint = Warning, "let NTP set this machine's clock: Constant Contact refuses sign-ins when it is about a "+
			"minute off"
	}
	return []Finding{f}
}

// jumpShown is for how long a jump of the clock is worth a word.
const jumpShown = 7 * 24 * time.Hour

// ClockJump says that the clock jumped not long ago; "" where it did not.
func ClockJump(b store.BudgetStatus, now time.Time) string {
	if b.JumpedAt.IsZero() || now.Sub(b.JumpedAt) > jumpShown {
		return ""
	}
	at := plaintext.Minute(b.JumpedAt)
	if b.JumpedBy < 0 {
		return fmt.Sprintf("the clock jumped ahead by %s at %s, or the machine slept", -b.JumpedBy.Round(time.Second), at)
	}
	return fmt.Sprintf("the clock was put back by %s at %s; what waited for a later time went on",
		b.JumpedBy.Round(time.Second), at)
}

// clockJump warns of a clock that jumped: what happened meanwhile has wrong times.
func (s Status) clockJump(ctx context.Context) []Finding {
	const name = "clock jumps"
	if s.Budget == nil {
		return nil
	}
	b, err := s.Budget.Status(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	text := ClockJump(b, s.Now())
	if text == "" {
		return nil
	}
	return []Finding{{Name: name, Level: Warning, Detail: text,
		Hint: "let NTP set the clock, and keep the machine's hardware clock in UTC; a clock that ran ahead by minutes made " +
			"sessions and sign-ins end early"}}
}

func (s Status) accounts(ctx context.Context) []Finding {
	const name = "client accounts"
	if s.Accounts == nil {
		return nil
	}
	n, err := s.Accounts(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	return []Finding{{Name: name, Detail: fmt.Sprintf("%d listed", n)}}
}

// Cause is the error behind a Finding, for the log and the terminal.
func (f Finding) Cause() error {
	if f.err != nil {
		return f.err
	}
	return errors.New(f.Detail)
}

// expiries are the ends of what service providers gave.
func (p Providers) expiries(ctx context.Context) []Finding {
	list, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return nil // the check of service providers says so
	}
	var all []Finding
	for _, sp := range list {
		for _, e := range ProviderExpiries(sp) {
			if e.Use != "sp_metadata" || p.Now().Before(e.NotAfter) { // metadata that has expired is a finding of its own
				all = append(all, ExpiryFinding(e, p.Now()))
			}
		}
	}
	return all
}
