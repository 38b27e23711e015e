package idp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// consoleTarget is the admin console: a role lets people pass.
type consoleTarget struct{}

func (consoleTarget) fresh(f *flow) bool { return f.data.Console.Fresh }

func (consoleTarget) closed(p *IdP, s store.Session) bool { return p.consoleOver(s) }

func (consoleTarget) admit(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	if p.roles.of(f.config, f.person) != NoConsole {
		return Answer{}, nil
	}
	page, err := p.refuse(ctx, f, refusal{session: &f.session, status: http.StatusForbidden,
		Why: Why{Reason: ReasonNoConsole, Cause: fmt.Sprintf("the person is in %d groups, and in none that the settings of "+
			"the console name", len(f.person.Groups))}})
	return Answer{Page: page}, err
}

func (consoleTarget) factor(ctx context.Context, p *IdP, f *flow) (Page, error) {
	return p.stepUp(ctx, f, f.session, "")
}

func (consoleTarget) policy(p *IdP, _ *flow, _ store.AccountID) mfa.Policy {
	return p.o.SecondFactor.Console
}

// enough takes confirmed factors alone where the console demands one. Where it only offers factors the password alone
// would do for somebody without one, and a factor of whatever kind does for the others.
func (consoleTarget) enough(p *IdP, f *flow, _ store.Session, factor store.SecondFactor) bool {
	return !p.consoleDemands(f) || factor.OpensConsole()
}

func (consoleTarget) describe(*flow) string { return "for the console" }

func (consoleTarget) deliver(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	entered := Answer{Page: Entered{f.data.Console.Path}}
	if f.in.ID == "" {
		return entered, nil // a live session: its login was recorded
	}
	event := p.event(f, "console-enter", f.session.Person)
	event.Outcome = "ok"
	err := p.o.SignIns.Finish(ctx, store.Issue{SignIn: f.in.ID, Events: []store.Event{event}})
	switch {
	case errors.Is(err, store.ErrFinished):
		return Answer{Page: f.finished()}, nil
	case errors.Is(err, store.ErrNotFound):
		return Answer{Page: Refusal{Reason: ReasonUnknownSignIn, Status: http.StatusNotFound}}, nil
	case err != nil:
		return Answer{}, fmt.Errorf("finish the sign-in to the console: %w", err)
	}
	return entered, nil
}

func (consoleTarget) restart(*flow) string { return "/admin/" }
