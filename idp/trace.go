package idp

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Traces takes what a request did for a sign-in, without waiting; store.TraceQueue
// is it. It says whether there was room.
type Traces interface{ Add(t store.Trace) bool }

// The steps of a trace, in the order in which a sign-in takes them.
const (
	StepRequest   = "request"   // the AuthnRequest or link was read and checked
	StepDirectory = "directory" // login or reading
	StepFactor    = "factor"    // what is asked beside the password
	StepGroups    = "groups"
	StepMapping   = "mapping"   // the gate's decision
	StepPartner   = "partner"   // waiting for the user at Constant Contact
	StepAssertion = "assertion" // a Response was built, recorded and handed out
)

// trace collects the steps of one request. A nil trace takes everything and keeps
// nothing: callers need not ask.
//
// Its words are ours: reasons are the fixed words of the log and the audit, details
// name mappings, groups by number, service providers and keys. No NameID, attribute,
// mail, password, message or query ever stands in one.
type trace struct {
	mu  sync.Mutex // a directory reading is shared by requests of one session
	t   store.Trace
	now func() time.Time

	footprint *Footprint // of the request
	cancelled bool       // the person went back to the service provider
	request   string     // why the request itself can't be met
	why       Why        // why the request does not go on, as the log has it; Reason "": nothing was logged
	refusals  bool       // only refusals are kept: a single logout is no sign-in
}

type traceKey struct{}

// traced begins a trace in ctx. end stores it, with what the answer came to.
func (p *IdP) traced(ctx context.Context, v Visitor, about string) (_ context.Context,
	end func(a *Answer, err *error)) {
	footprint := FootprintOf(ctx)
	began := p.o.Now()
	t := &trace{now: p.o.Now, footprint: footprint, t: store.Trace{Ref: v.Ref, SignIn: v.Ref, StartedAt: began, At: began,
		Stranger: true}}
	ctx = context.WithValue(store.OneReading(ctx), traceKey{}, t)
	t.refusals = ctx.Value(logoutKey{}) != nil
	ctx, endSpan := p.span(ctx, t.refusals)
	return ctx, func(a *Answer, err *error) {
		if refusal, ok := a.Page.(Refusal); ok && *err == nil && t.reason() != refusal.Reason {
			p.logRefusal(ctx, v, t.provider(), Why{Reason: refusal.Reason}) // no refusal without a line that says why
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		outcome, reason := outcomeOf(a.Page, *err, t.cancelled, t.t.Reason)
		if outcome != "" && p.o.Count != nil && !t.refusals {
			p.o.Count(outcome, reason)
		}
		if endSpan != nil {
			endSpan(v.Ref, strings.TrimSpace(cmp.Or(outcome, "pending")+" "+reason), *err)
		}
		if _, over := a.Page.(Finished); over && *err == nil {
			return // the request that finished the sign-in has told how; this one did nothing more
		}
		t.conclude(ctx, a.Page, *err)
		if about != "" {
			if t.request != "" {
				about += ": " + t.request
			}
			t.t.Steps = append([]store.TraceStep{{Name: StepRequest, Detail: about, Reason: t.requestFault()}}, t.t.Steps...)
		}
		refused := t.t.Outcome == "refused" || t.t.Outcome == "failed"
		if refused {
			footprint.Refused(t.t.Reason)
		}
		if t.refusals && !refused {
			return
		}
		t.explain()
		// Past what requests may leave behind, the reference carries the reason.
		if p.o.Traces == nil || footprint.Over() {
			return
		}
		switch kept := p.o.Traces.Add(t.t); {
		case kept:
			footprint.Traced()
		case refused:
			footprint.NoRoom()
		}
	}
}

// span begins the span of what is traced, where spans are recorded.
func (p *IdP) span(ctx context.Context, logout bool) (context.Context, func(of, result string, err error)) {
	switch {
	case p.o.Span == nil:
		return ctx, nil
	case logout:
		return p.o.Span(ctx, "single_logout")
	}
	return p.o.Span(ctx, "sign_in")
}

// reason is what the log has said so far of why the request does not go on.
func (t *trace) reason() string {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why.Reason
}

// provider is the service provider, "" as long as none is known.
func (t *trace) provider() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.t.SP
}

// explain puts cause and fix beside the step at which the request ended. The lock is held.
func (t *trace) explain() {
	if t.t.Reason == "" {
		return
	}
	if t.why.Reason != t.t.Reason {
		t.why = Why{Reason: t.t.Reason}.complete(t.t.SP, t.t.Person)
	}
	at := slices.IndexFunc(t.t.Steps, func(s store.TraceStep) bool { return s.Reason != "" })
	if at < 0 {
		at = len(t.t.Steps)
		t.t.Steps = append(t.t.Steps, store.TraceStep{Name: stepOf(t.t.Reason), Reason: t.t.Reason})
	}
	s := &t.t.Steps[at]
	s.Cause, s.Fix, s.Act, s.About = t.why.Cause, t.why.Fix, string(t.why.Act), t.why.About
	t.t.Yields = yields(t.t.Reason)
}

// stepOf is the step at which a request ends for a reason that no step has noted.
func stepOf(reason string) string {
	switch reason {
	case ReasonTooManyAttempts, FactorWrong, FactorInvite, FactorExpired, FactorMany, FactorLast, FactorUnconfirmed,
		ReasonFactorNew, ReasonFactorLogin, ReasonNoFactors:
		return StepFactor
	case ReasonNoConsole:
		return StepMapping
	case ReasonLaunchFactor:
		return StepFactor
	case ReasonManyFromAddress, reasonRevoked, string(passwordChanged), string(directory.BadCredentials):
		return StepDirectory
	case ReasonWaiting:
		return StepPartner
	case ReasonEncryption, ReasonOtherSubject, ReasonNameIDTaken, ReasonKeySwitch, string(provisioning.PersonData):
		return StepAssertion
	}
	return StepRequest
}

// requestFault is the reason, where nothing but the request was looked at.
func (t *trace) requestFault() string {
	if len(t.t.Steps) == 0 && t.t.Outcome == "refused" {
		return t.t.Reason
	}
	return ""
}

// conclude says what a page means for the sign-in.
func (t *trace) conclude(ctx context.Context, page Page, err error) {
	switch page := page.(type) {
	case Deliver, Entered:
		if t.t.Outcome == "" {
			t.t.Outcome = "ok"
		}
	case Refusal:
		t.t.Outcome, t.t.Reason = "refused", page.Reason
	case AskFactor:
		t.problem(page.Problem)
	case EnrolFactor:
		t.problem(page.Problem)
	case AskPassword:
		switch {
		case t.t.Outcome != "": // refused for a reason that the page must not tell
		case page.Problem != "":
			t.t.Outcome, t.t.Reason = "refused", string(page.Problem)
		default:
			t.t.Outcome = "pending"
		}
	case nil, AccountPage, ChooseAccount, ConfirmLaunch, FactorNotice, Finished, GoOn, LeaveFor, LogoutGoOn, OrderForm,
		OrderPage, OrderReady, OrderStands, OwnFactors, PostMessage, RecoveryCodes, RedirectMessage,
		SignedOut, SigningOut, Waiting, WrongCodes:
		if t.t.Outcome == "" {
			t.t.Outcome = "pending"
		}
	}
	if err != nil {
		t.t.Outcome, t.t.Reason = "failed", FailureOf(ctx, err)
	}
}

// problem concludes with a page that may tell of one. A request that was refused for what the page says in other words
// stays refused.
func (t *trace) problem(of string) {
	switch {
	case of != "":
		t.t.Outcome, t.t.Reason = "refused", of
	case t.t.Outcome == "":
		t.t.Outcome, t.t.Reason = "pending", ""
	}
}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

// about ties the trace to a sign-in: by the hash of its id, since the id itself
// stands in links.
func (t *trace) about(f *flow) {
	if t == nil || f == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if id := cmp.Or(f.in.ID, f.id); id != "" {
		t.t.SignIn = hex.EncodeToString(hash(id))
		t.t.StartedAt = f.in.CreatedAt
	}
	t.t.SP = f.in.EntityID
	if f.in.Account != "" {
		t.t.Account = f.in.Account
	}
}

// person says who it is.
func (t *trace) person(id store.PersonID) {
	if t == nil {
		return
	}
	t.footprint.Known()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Person, t.t.Stranger = id, false
}

// guessed says whom a login named that gave no right password. That makes nobody known: of such traces the oldest go
// first, like those of strangers. But whose login exists has no bound by address: the limits of tries bound them.
func (t *trace) guessed(id store.PersonID) {
	if id != "" {
		t.footprint.Known()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Person = id
}

// account says into which client account it goes.
func (t *trace) account(id store.AccountID) {
	if t == nil || id == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Account = id
}

// refused notes why the request does not go on, and completes that by whom it is about. The page or status that follows
// says the same, or less.
func (t *trace) refused(entityID string, w Why) Why {
	if t == nil {
		return w.complete(entityID, "")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Outcome, t.t.Reason = "refused", w.Reason
	if t.t.SP == "" {
		t.t.SP = entityID
	}
	w = w.complete(entityID, t.t.Person)
	if t.why.Reason != w.Reason { // the first one knows the most: what follows it only repeats the reason
		t.why = w
	}
	return w
}

// waits notes what a sign-in waits for. Its turn is nothing that anybody has to look at.
func (t *trace) waits(entityID string, w Why) Why {
	if t == nil {
		return w.complete(entityID, "")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w = w.complete(entityID, t.t.Person)
	if w.Reason != provisioning.CauseQueued && w.Reason != provisioning.CauseSending {
		t.t.Reason, t.why = w.Reason, w
	}
	return w
}

// asked notes why the request itself can't be met: what it asks for, and what stands against that.
func (t *trace) asked(detail string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.request = detail
}

// cancel says that the person goes back to the service provider.
func (t *trace) cancel() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancelled = true
}

// begin starts the clock of a step.
func (t *trace) begin() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.now()
}

// step adds one that began at a time. reason is "" for a step that was passed.
func (t *trace) step(name string, began time.Time, reason, detail string, args ...any) {
	if t == nil {
		return
	}
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Steps = append(t.t.Steps, store.TraceStep{Name: name, Took: max(t.now().Sub(began), 0), Reason: reason,
		Detail: detail})
}

// bound adds what the directory said to a login.
func (t *trace) bound(began time.Time, e directory.Entry, err error) {
	var failed *directory.Error
	switch {
	case t == nil:
	case err == nil:
		t.step(StepDirectory, began, string(e.Problem), "login")
	case errors.As(err, &failed) && failed.Problem != "":
		what := "login"
		if failed.Problem == directory.Unavailable {
			what += ": " + directory.Diagnose(err).Text // a fault of the server, never one of the person
		}
		t.step(StepDirectory, began, string(failed.Problem), what)
		switch id := store.PersonID(failed.PersonID); {
		case id == "":
		case failed.Problem == directory.BadCredentials || failed.Problem == directory.Unavailable,
			failed.Try != directory.Proved && failed.Problem != directory.Locked:
			t.guessed(id)
		default: // only told after the right password (row LDAP-08)
			t.person(id)
		}
	default:
		t.step(StepDirectory, began, string(directory.Unavailable), "login")
	}
}

// read adds what a reading of the directory came to.
func (t *trace) read(began time.Time, e directory.Entry, problem string) {
	detail := "no reading"
	if !e.ReadAt.IsZero() {
		detail = "reading of " + e.ReadAt.UTC().Format(time.RFC3339)
	}
	t.step(StepDirectory, began, problem, detail)
}

// decided adds what the gate said, and how the user at Constant Contact stands where
// somebody waits for it.
func (t *trace) decided(began time.Time, d provisioning.Decision, err error) {
	if t == nil {
		return
	}
	if err != nil {
		t.step(StepMapping, began, ReasonUnavailable, "the gate could not decide")
		return
	}
	a := d.Assignment
	t.account(a.Account)
	switch d.Outcome {
	case provisioning.Denied:
		if !ofUser(d.Reason) || a.Account == "" {
			detail := "no way in"
			if d.Nested != "" {
				detail += "; " + d.Nested
			}
			t.step(StepMapping, began, string(d.Reason), detail)
			break
		}
		t.step(StepMapping, began, "", "mapping %d: account %s as %s", a.Mapping.ID, a.Account, a.Role)
		t.step(StepPartner, t.now(), string(d.Reason), "attempt %d%s", d.User.Attempts, errorKey(d.User.ErrorKey))
	case provisioning.Choose:
		t.step(StepMapping, began, "", "%d client accounts to choose from", len(d.Choices))
	case provisioning.Granted, provisioning.Wait:
		if a.Account == "" {
			t.step(StepMapping, began, "", "by the service provider's groups")
		} else {
			t.step(StepMapping, began, "", "mapping %d: account %s as %s", a.Mapping.ID, a.Account, a.Role)
		}
	}
	if d.Outcome == provisioning.Wait {
		t.step(StepPartner, began, d.Progress.Cause, "waits for the user at Constant Contact, place %d in the queue, "+
			"attempt %d%s",
			d.Progress.Place, d.Progress.Attempts, errorKey(d.User.ErrorKey))
	}
}

// ofUser tells whether a denial is about the user at Constant Contact: a mapping did
// hit.
func ofUser(r provisioning.Reason) bool {
	switch r {
	case provisioning.MayNotCreate, provisioning.HeldConflict, provisioning.RefusedByPartner, provisioning.OwnerUnknown,
		provisioning.AccountClosed, provisioning.UserSuspended, provisioning.MovedAway, provisioning.MoveLost,
		provisioning.MovedConflict:
		return true
	case provisioning.NoAssignment, provisioning.NotThisAccount, provisioning.PersonData, provisioning.NotInGroup:
	}
	return false
}

// errorKey tells Constant Contact's key of an error. It is their text: only what
// looks like a key gets into a trace.
func errorKey(key string) string {
	if key == "" || len(key) > 80 {
		return ""
	}
	for _, c := range key {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return ""
		}
	}
	return ", error key " + key
}
