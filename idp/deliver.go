package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// issueDetail goes into the audit event of a Response. Every assertion that
// ever left is on record by its id: one that a service provider has seen and the
// record has not was signed with a stolen key.
type issueDetail struct {
	Response     string     `json:"response"`
	Assertion    string     `json:"assertion,omitempty"`
	InResponseTo string     `json:"in_response_to,omitempty"`
	Role         store.Role `json:"role,omitempty"`
	Key          string     `json:"key"`
}

// deliver builds the Response for a person who may pass, uses the sign-in up in
// the transaction that records it, and only then hands it out.
func (p *IdP) deliver(ctx context.Context, f *flow, s store.Session, e directory.Entry,
	d provisioning.Decision) (Page, error) {
	if f.sp.fault != nil {
		return nil, f.sp.fault
	}
	if page, err := p.awaitSwitch(ctx, f, s, d); page != nil || err != nil {
		return page, err
	}
	if f.sp.encryptFault != nil {
		// A fault of the record, which the person can do nothing about (row RSP-12).
		return p.refuse(ctx, f, refusal{session: &s, account: d.Assignment.Account,
			status: http.StatusInternalServerError,
			Why:    Why{Reason: ReasonEncryption, Cause: "the assertion can't be encrypted: " + f.sp.encryptFault.Error()}})
	}
	if f.config.namesFault != nil {
		return p.refuse(ctx, f, refusal{session: &s, account: d.Assignment.Account,
			status: http.StatusServiceUnavailable, retry: true, err: f.config.namesFault,
			Why: Why{Reason: ReasonUnavailable, Act: actReleaseNameID,
				Cause: "whose a NameID is can't be read: it was recorded under a secret key that is not given",
				Fix:   "give the secret key that was in use before, too; if it is lost, release all NameIDs"}})
	}
	transient := ""
	if f.sp.transient() || f.fromSP() && f.data.Request.Transient && f.sp.Kind != store.ConstantContact {
		transient = f.config.names.transient(f.sp.EntityID, s.TokenHash)
	}
	r, err := f.sp.release(e, d, transient)
	if err != nil {
		return p.refuse(ctx, f, refusal{session: &s, account: d.Assignment.Account, status: http.StatusForbidden, err: err,
			Why: Why{Reason: string(provisioning.PersonData), Act: actExplainPerson,
				Cause: "the NameID or an attribute for this service provider can't be made of the person's data: " + err.Error(),
				Fix:   "correct the person's entry in the directory, or the template in the service provider's settings"}})
	}
	if f.fromSP() && f.data.Request.Subject != nil && !p.asksFor(f, e, d, r) {
		return p.refuse(ctx, f, refusal{session: &s, account: d.Assignment.Account, status: http.StatusForbidden,
			Why: Why{Reason: ReasonOtherSubject,
				Cause: "the request's Subject is not the NameID of the person who signed in"}})
	}
	if len(r.left) > 0 {
		p.o.Logger.DebugContext(ctx, "attributes without a fit value were left out", "ref", f.v.Ref, "sp", f.sp.EntityID,
			"attributes", strings.Join(r.leftNames(), " "))
	}
	by, err := f.config.signerFor(f.sp.EntityID, p.o.Now())
	if err != nil {
		return nil, err
	}
	o, err := f.responseParams()
	if err != nil {
		return nil, err
	}
	o.capture = p.captures(f.config, s.Person)
	began := traceOf(ctx).begin()
	out, err := p.success(ctx, by, o, s, r)
	if err != nil {
		return nil, fmt.Errorf("response for %s: %w", f.sp.EntityID, err)
	}
	encrypted := "in clear"
	if f.sp.recipient != nil {
		encrypted = "encrypted"
	}
	event := p.event(f, "sign-in", s.Person)
	event.Account, event.Outcome = d.Assignment.Account, "ok"
	event.Detail, err = json.Marshal(issueDetail{
		Response: out.responseID, Assertion: out.assertionID, InResponseTo: o.inResponseTo, Role: d.Assignment.Role,
		Key: by.KeyID(),
	})
	if err != nil {
		return nil, fmt.Errorf("response for %s: %w", f.sp.EntityID, err)
	}
	begins, err := p.begins(f)
	if err != nil {
		return nil, err
	}
	first := event
	first.Action, first.Detail = "first-sign-in", nil
	page, err := p.send(ctx, f, o, out, &store.Issue{
		SignIn: f.in.ID, Begins: begins,
		Participation: &store.Participation{
			TokenHash: s.TokenHash, EntityID: f.sp.EntityID, NameID: r.nameID, NameIDFormat: r.format,
			SessionIndex: out.sessionIndex, IssuedAt: out.at, SeenAt: s.SeenAt,
		},
		NameID: f.noted(r, s.Person),
		Ledger: d.User.NoteSignIn(p.o.Now(), first),
		Events: []store.Event{event},
	})
	if errors.Is(err, store.ErrNameIDTaken) {
		// Decided in the transaction that would have recorded the Response: of two people at once, one gets it.
		page, err = p.refuse(ctx, f, refusal{session: &s, account: d.Assignment.Account, status: http.StatusForbidden,
			Why: Why{Reason: ReasonNameIDTaken}})
	}
	reason := ""
	if _, sent := page.(Deliver); !sent { // it was built, and could not be recorded: nothing went out
		reason = ReasonUnavailable
		if refused, ok := page.(Refusal); ok {
			reason = refused.Reason
		}
	}
	traceOf(ctx).step(StepAssertion, began, reason, "to %s, NameID format %s, signed by key %s, %s", o.to.action, r.format,
		by.KeyID(), encrypted)
	if reason == "" {
		p.capture(ctx, f, s.Person, out.assertion)
	}
	return page, err
}

// asksFor tells whether the Subject of a request is the person of a release (row REQ-19). A service provider may name
// the person by the NameID that its record gives, and ask for a transient one: it knows whom it means.
func (p *IdP) asksFor(f *flow, e directory.Entry, d provisioning.Decision, r release) bool {
	is := func(r release) bool {
		return f.data.Request.Subject.Is(r.nameID, r.format, p.o.EntityID, f.sp.EntityID)
	}
	if is(r) || r.format != saml.FormatTransient || f.sp.transient() {
		return is(r)
	}
	lasting, err := f.sp.release(e, d, "")
	return err == nil && is(lasting)
}

// noted is what is kept of the NameID that a person gets; nil for one that is another each time.
func (f *flow) noted(r release, person store.PersonID) *store.NameID {
	n, ok := f.config.names.of(f.sp.EntityID, r.format, r.nameID, person)
	if !ok {
		return nil
	}
	return &n
}

// answerStatus tells the service provider by a status why there is no assertion (table C, row RSP-17), and uses the
// sign-in up. Of nobody's sign-in nothing is recorded, no more than of its beginning: a stranger can have any number of
// such answers, and none of them lets anybody in.
func (p *IdP) answerStatus(ctx context.Context, f *flow, reason string, person store.PersonID) (Page, error) {
	by, err := f.config.signerFor(f.sp.EntityID, p.o.Now())
	if err != nil {
		return nil, err
	}
	o, err := f.responseParams()
	if err != nil {
		return nil, err
	}
	if person == "" {
		// Signing is the dearest thing that strangers can have done: it gets its share of the machine and no more.
		free, ok, err := p.signing.take(ctx, addressBlock(f.v.Address), slotPatience)
		if err != nil {
			return nil, fmt.Errorf("wait for a slot to sign a status: %w", err)
		}
		if !ok {
			p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: ReasonBusy,
				Cause: "too many statuses are being signed at the same time",
				Fix:   "look for a flood of requests that get a status"})
			return Refusal{SignIn: f.at(), Provider: f.sp.name(), Reason: ReasonBusy, Status: http.StatusServiceUnavailable,
				Retry: true}, nil
		}
		defer free()
	}
	out, err := p.failure(ctx, by, o, statusOf(reason))
	if err != nil {
		return nil, fmt.Errorf("status for %s: %w", f.sp.EntityID, err)
	}
	if traceOf(ctx).reason() != reason {
		p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: reason}) // nobody has said why yet
	}
	traceOf(ctx).step(StepAssertion, traceOf(ctx).begin(), reason, "a status in place of an assertion, to %s", o.to.action)
	var record *store.Issue
	switch {
	case person != "":
		record = &store.Issue{SignIn: f.in.ID}
		if record.Begins, err = p.begins(f); err != nil {
			return nil, err
		}
		event := p.event(f, "refusal", person)
		event.Account, event.Outcome, event.Reason = f.in.Account, "refused", reason
		event.Detail, err = json.Marshal(issueDetail{Response: out.responseID, InResponseTo: o.inResponseTo, Key: by.KeyID()})
		if err != nil {
			return nil, fmt.Errorf("status for %s: %w", f.sp.EntityID, err)
		}
		record.Events = []store.Event{event}
	case f.in.ID != "":
		record = &store.Issue{SignIn: f.in.ID}
	}
	return p.send(ctx, f, o, out, record)
}

// errUnregistered is a fault of ours or of a record that changed meanwhile.
var errUnregistered = errors.New("a Response was about to leave for an address that is not registered")

// send is the one door through which a Response leaves. record is what is stored of it first; nil: nothing is, which is
// for a status for nobody alone.
func (p *IdP) send(ctx context.Context, f *flow, o responseParams, out signedResponse,
	record *store.Issue) (Page, error) {
	// Whatever went wrong before, a Response goes to a registered address or nowhere.
	if err := f.sp.mayReceive(o.to.action); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnregistered, err)
	}
	if record == nil && out.assertionID != "" {
		return nil, fmt.Errorf("an assertion for %s was about to leave without a record", f.sp.EntityID)
	}
	var err error
	if record != nil {
		err = p.o.SignIns.Finish(ctx, *record)
	}
	switch {
	case errors.Is(err, store.ErrConflict): // the request was answered in another sign-in (row REQ-08)
		return p.replayed(ctx, f), nil
	case errors.Is(err, store.ErrFinished): // another tab was first (row SP-07)
		return f.finished(), nil
	case errors.Is(err, store.ErrNotFound): // it expired, or the session was ended, while this was going on
		return Refusal{Provider: f.sp.name(), Reason: ReasonUnknownSignIn, Status: http.StatusNotFound}, nil
	case err != nil:
		return nil, fmt.Errorf("record response %s for %s: %w", out.responseID, f.sp.EntityID, err)
	}
	return Deliver{
		Action: o.to.action, SAMLResponse: out.body, RelayState: o.to.field, Provider: f.sp.name(),
		EntityID: f.sp.EntityID, Response: out.responseID, Assertion: out.assertionID,
	}, nil
}
