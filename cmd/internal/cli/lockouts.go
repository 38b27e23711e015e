package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type lockoutsCmd struct {
	List lockoutsListCmd `cmd:"" help:"List the people and addresses whose tries to log in are used up."`
	Lift lockoutsLiftCmd `cmd:"" help:"Give tries back to a person or an address."`
}

type lockoutsListCmd struct {
	asJSON
}

// Help is shown by lockouts list --help.
func (lockoutsListCmd) Help() string {
	return `People whose wrong passwords or second factors reached sign_in.login_failures, until when, and addresses whose tries go one at a time because of 300 failures within an hour. Up to 200 are shown.

Examples:

    ssobridge lockouts list

    ssobridge lockouts list --json`
}

// Run lists them.
func (c *lockoutsListCmd) Run(s *invocation, p *server.App) error {
	all, err := p.Lockouts().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if c.JSON {
		for _, l := range all {
			if err := s.line(l); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		s.printf("nobody is locked out\n")
		return nil
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHO\tLOGIN\tTRIES\tLIMIT\tUNTIL (UTC)\tWHAT")
	for _, l := range all {
		who := l.Address
		if l.Person != "" {
			who = string(l.Person)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", who, plainText(l.Login), l.Tries, l.Limit,
			l.Until.UTC().Format(time.DateTime), lockoutText(l))
	}
	return w.Flush()
}

// plainText is a value of the directory without what a terminal would act on.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// lockoutText says what a lockout means.
func lockoutText(l idp.Lockout) string {
	switch {
	case l.Kind == store.TryAddress:
		return "tries of this address go one at a time"
	case l.Kind == store.TryCode && l.Browser:
		return "second factor locked in one browser"
	case l.Kind == store.TryCode:
		return "second factor locked in browsers that never proved one"
	case l.Everybody:
		return "password locked in every browser"
	}
	return "password locked in browsers that the person did not use before"
}

type lockoutsLiftCmd struct {
	Who string `arg:"" placeholder:"PERSON|LOGIN|ADDRESS" help:"Person id, login name, or client address (also a block such as 2001:db8::/64)."`
	asJSON
}

// Help is shown by lockouts lift --help.
func (lockoutsLiftCmd) Help() string {
	return `A person gets back as many tries as the directory still leaves: it counts wrong passwords itself, and past its own limit it would lock the account there. Where it has locked the account already, this says so and until when; only the directory's tools unlock it.

Examples:

    ssobridge lockouts lift alice

    ssobridge lockouts lift 192.0.2.7`
}

// Run lifts.
func (c *lockoutsLiftCmd) Run(s *invocation, p *server.App) error {
	l, err := p.Lockouts().Lift(s.ctx, s.scope(), c.Who, s.event("", ""))
	if c.JSON && (err == nil || l.Directory != nil || errors.Is(err, idp.ErrNotLocked)) {
		if err := s.object(toJSONLifted(l)); err != nil {
			return err
		}
	}
	if err != nil || c.JSON {
		return err
	}
	s.printf("gave back %s of %s\n", plaintext.Count(l.Given, "try", "tries"), c.Who)
	if text := admin.LeftByDirectory(l); text != "" {
		s.printf("%s\n", strings.TrimPrefix(text, ": "))
	}
	return nil
}

type jsonLifted struct {
	Given     int            `json:"given_back"`
	Left      int            `json:"left"`
	Limit     int            `json:"limit"`
	Directory *jsonDirectory `json:"directory,omitempty"` // left out: it could not be read
}

// jsonDirectory is what the directory itself counts.
type jsonDirectory struct {
	Locked    bool       `json:"locked"`
	Until     *time.Time `json:"until,omitempty"`     // left out: until somebody unlocks the account
	Failures  *int       `json:"failures,omitempty"`  // left out: it does not show them
	Threshold *int       `json:"threshold,omitempty"` // wrong passwords that lock an account, 0: none do; left out: not known
}

func toJSONLifted(l idp.Lifted) jsonLifted {
	j := jsonLifted{Given: l.Given, Left: l.Left, Limit: l.Limit}
	if d := l.Directory; d != nil {
		j.Directory = &jsonDirectory{Locked: d.Locked}
		if !d.Until.IsZero() {
			j.Directory.Until = new(d.Until.UTC())
		}
		if d.Counted {
			j.Directory.Failures = &d.Failures
		}
		if d.Policy != nil {
			j.Directory.Threshold = &d.Policy.Threshold
		}
	}
	return j
}

func lockedUntil(l directory.Lockout) string {
	if l.Until.IsZero() {
		return ""
	}
	return " until " + l.Until.UTC().Format(time.DateTime) + " UTC"
}

// checkLockout compares our limit of wrong passwords with the directory's: it must stay below.
func checkLockout(ctx context.Context, r *findings, p *server.App) {
	const step = "directory: lockout"
	ours, window := p.Config.SignIn.LoginFailures, p.Config.SignIn.LoginWindow
	policies, err := p.Directory.LockoutPolicies(ctx)
	if err != nil {
		r.ok(step, fmt.Sprintf("its password policies can't be read (%v): see to it that no account is locked before %d "+
			"wrong passwords", err, ours+1))
		return
	}
	fine := true
	for _, policy := range policies {
		if policy.Threshold == 0 {
			continue
		}
		switch {
		case ours >= policy.Threshold:
			fine = false
			r.fail(step, fmt.Sprintf("%s locks an account at %d wrong passwords, and sign_in.login_failures lets %d through: "+
				"a stranger can lock people out of everything", policy.DN, policy.Threshold, ours),
				fmt.Sprintf("set sign_in.login_failures below %d, or raise the directory's limit", policy.Threshold))
		case policy.Window == 0:
			fine = false
			r.warn(step, fmt.Sprintf("%s never forgets wrong passwords: those of several windows add up to its limit of %d",
				policy.DN, policy.Threshold), "let the directory forget them after a time (pwdFailureCountInterval)")
		case policy.Window > window:
			fine = false
			r.warn(step, fmt.Sprintf("%s remembers wrong passwords for %v, and sign_in.login_window is %v: those of several "+
				"windows add up to its limit of %d", policy.DN, policy.Window, window, policy.Threshold),
				fmt.Sprintf("set sign_in.login_window to %v", policy.Window))
		}
	}
	if fine {
		r.ok(step, fmt.Sprintf("sign_in.login_failures of %d stays below the limits of %d password policies", ours,
			len(policies)))
	}
}
