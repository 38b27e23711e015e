package idp

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"ssobridge/provisioning"
)

// waits says in log and trace what the page that is shown next waits for.
func (p *IdP) waits(ctx context.Context, f *flow, w Why) {
	p.logWhy(ctx, "sign-in waits", f.v, f.sp.EntityID, traceOf(ctx).waits(f.sp.EntityID, w))
}

// waiting is why the person's user at Constant Contact is not there yet.
func (f *flow) waiting() Why {
	pr, d := f.decision.Progress, f.decision
	w := Why{Reason: cmp.Or(pr.Cause, provisioning.CauseQueued)}
	more := fmt.Sprintf("It is about a user in client account %s", d.Assignment.Account)
	if pr.Attempts > 0 {
		more += fmt.Sprintf(", after attempt %d", pr.Attempts)
	}
	more += errorKey(d.User.ErrorKey)
	if !pr.NextTry.IsZero() {
		more += "; the next attempt is at " + clockTime(pr.NextTry)
	}
	w.Cause = TextOf(w.Reason).Cause + " " + sentence(more)
	if fault := d.UsedUp(); fault != "" {
		w.Cause = sentence(fault) + " " + sentence(more)
	}
	return w
}

// denied is why the gate lets the person not pass, and what Constant Contact said about it.
func (f *flow) denied(d provisioning.Decision) (w Why, said string) {
	w = Why{Reason: string(d.Reason)}
	w.Cause, said = d.Why()
	switch groups := len(f.person.Groups); d.Reason {
	case provisioning.NotInGroup:
		w.Cause = fmt.Sprintf("the person is in %d groups, and in none of the %d that may use this service provider", groups,
			len(f.sp.Groups))
	case provisioning.NoAssignment, provisioning.NotThisAccount:
		w.Cause += fmt.Sprintf("; the directory returned %d groups", groups)
	case provisioning.HeldConflict, provisioning.RefusedByPartner, provisioning.MovedConflict:
		w.Cause = strings.TrimSuffix(cmp.Or(w.Cause, TextOf(w.Reason).Cause), ".") + errorKey(d.User.ErrorKey)
	case provisioning.PersonData:
		w.Cause = TextOf(w.Reason).Cause + " " + sentence(w.Cause)
	case provisioning.MayNotCreate, provisioning.OwnerUnknown, provisioning.AccountClosed, provisioning.UserSuspended,
		provisioning.MovedAway, provisioning.MoveLost:
	}
	if d.Nested != "" {
		w.Cause = strings.TrimPrefix(w.Cause+"; "+d.Nested, "; ")
		w.Fix = "set directory.nested, or make the person a direct member of the group"
	}
	return w, said
}

// clockTime is a time in a sentence.
func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// shownList are ids in a sentence, the first few of many.
func shownList(ids []string) string {
	const most = 5
	if len(ids) > most {
		ids = append(ids[:most:most], "…")
	}
	return strings.Join(ids, ", ")
}
