package idp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// ErrNoConsoleRole says that a person is in no group that the console names.
var ErrNoConsoleRole = errors.New("the person has no role in the admin console")

// Invite makes an invitation for somebody with a role in the console: to enrol their first second factor, or to confirm
// one of those that are not confirmed. It is good for once within a day. With again, all factors that the person has
// are removed and their sessions ended. ErrNoConsoleRole: the directory says now that the person has no role.
// store.ErrConflict: without again, and the person has a confirmed factor.
//
// The role is read from the directory at this moment. A code that lies ready for somebody who gets a role later would
// confirm a factor that nobody looked at then.
func (p *IdP) Invite(ctx context.Context, person store.PersonID, again bool, e store.Event) (code string,
	ends time.Time, err error) {
	read, err := p.o.Directory.Read(ctx, string(person))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read the groups of person %s: %w", person, err)
	}
	// On a new store no group is known by its id yet, and nobody has a role. Where the directory is down, nobody gets one
	// by this.
	if _, err := p.ResolveGroups(ctx, true); err != nil {
		return "", time.Time{}, fmt.Errorf("resolve the groups of the console: %w", err)
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	if p.roles.of(c, read) == NoConsole {
		refused := e
		refused.Action, refused.Subject, refused.Outcome, refused.Reason = "second-factor-invite", string(person), "refused",
			ReasonNoConsole
		return "", time.Time{}, errors.Join(ErrNoConsoleRole, p.o.Audit.Add(ctx, refused))
	}
	return p.factors.Invite(ctx, person, again, e)
}
