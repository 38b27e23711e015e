package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// Why a second factor is not taken by a command.
var (
	ErrNoAdmin      = errors.New("the person is no administrator of the console")
	ErrNoCodeFactor = errors.New("the person has no confirmed authenticator app and no recovery codes")
	ErrManyCodes    = errors.New("too many wrong second factors; wait until the login window is over")
	ErrWrongCode    = errors.New("no second factor of the person takes this code")
)

// CommandsNeedFactor tells whether an act that the console does by a second factor alone needs one by command, too: the
// console requires one, and there is somebody who could give it.
func (p *IdP) CommandsNeedFactor() bool {
	return p.o.SecondFactor.Console == mfa.Required && slices.Contains(consoleRoleList(p.roles), Admin)
}

func consoleRoleList(roles consoleRoles) (all []ConsoleRole) {
	for _, role := range roles {
		all = append(all, role)
	}
	return all
}

// ProveByCommand takes a code of an administrator who acts by command: of an authenticator app, or a recovery code. It
// is counted before it is looked at, and used up, like one of a sign-in. e is the person as the directory shows them
// now; event is of what they do.
func (p *IdP) ProveByCommand(ctx context.Context, e directory.Entry, code string, event store.Event) error {
	person := store.PersonID(e.ID)
	role, err := p.ConsoleRole(ctx, e)
	if err != nil {
		return err
	}
	if e.Problem != "" || e.ID == "" || role != Admin {
		return ErrNoAdmin
	}
	all, err := p.o.SecondFactors.OfPerson(ctx, person)
	if err != nil {
		return fmt.Errorf("second factors: %w", err)
	}
	records := slices.DeleteFunc(all, func(f store.SecondFactor) bool {
		return f.Kind == mfa.Passkey || !f.OpensConsole()
	})
	if len(records) == 0 {
		return ErrNoCodeFactor
	}
	left, err := p.o.Throttle.TakeGuess(ctx, store.Guess{Person: person, Limit: p.o.LoginFailures,
		Window: p.o.LoginWindow})
	if err != nil {
		return fmt.Errorf("count a second factor: %w", err)
	}
	if !left {
		return ErrManyCodes
	}
	event.Action, event.Subject, event.SP = "second-factor", string(person), consoleID
	proved, refused, err := p.factors.CheckCode(person, records, code, p.o.Now())
	if err != nil {
		return fmt.Errorf("check a second factor: %w", err)
	}
	if refused != nil {
		event.Outcome, event.Reason = "refused", FactorWrong
		if err := p.o.Throttle.WrongCode(ctx, person, nil, event); err != nil {
			return fmt.Errorf("record a second factor: %w", err)
		}
		return fmt.Errorf("%w: %w", ErrWrongCode, refused)
	}
	event.Outcome, event.Reason = "ok", proved.Kind
	switch err := p.o.SecondFactors.Use(ctx, proved, event); {
	case errors.Is(err, store.ErrConflict):
		return ErrWrongCode // used by somebody else at the same time
	case err != nil:
		return fmt.Errorf("store a proved second factor: %w", err)
	}
	return nil
}
