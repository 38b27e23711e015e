package idp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"ssobridge/idp/saml"
)

// SSO takes an AuthnRequest: by GET in the HTTP-Redirect binding, by POST in the
// HTTP-POST binding. It reads the body itself, bounded. The checks run in a
// fixed order (section B of the rows). A request that can't be answered is
// refused on our own page; one that makes its own wish impossible is answered by
// a status at once; for every other, GoOn leads to its page, in both
// bindings: a cross-site POST comes without cookies (row WEB-03). Nothing is stored of either.
func (p *IdP) SSO(ctx context.Context, r *http.Request, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "AuthnRequest")
	defer func() { end(&a, &err) }()
	f, reason, page, err := p.accept(ctx, r, v)
	if page != nil || err != nil {
		return Answer{Page: page}, err
	}
	if reason != "" {
		p.logRefusal(ctx, v, f.sp.EntityID, reason, "the request itself can't be met",
			"see the status sent to the service provider")
		page, err := p.answerStatus(ctx, f, reason, "")
		return Answer{Page: page}, err
	}
	if p.older(ctx) {
		if page, err := p.create(ctx, f); page != nil || err != nil {
			return Answer{Page: page}, err
		}
		return Answer{Page: GoOn{SignIn: f.in.ID}}, nil
	}
	// A request that was answered is refused here already, so that nobody types a password for nothing. What decides is
	// the transaction that stores the answer.
	_, used, err := p.o.SignIns.Find(ctx, "", f.in.EntityID, f.in.RequestID)
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("look for the request's answer: %w", err)
	case used:
		return Answer{Page: p.replayed(ctx, f)}, nil
	}
	own, err := p.seal(f)
	return Answer{Page: GoOn{SignIn: f.sealed, Own: own}}, err
}

// accept reads and checks a request. A reason comes with the flow when its SP is
// to be told a status at once.
func (p *IdP) accept(ctx context.Context, r *http.Request, v Visitor) (f *flow, reason string, page Page, err error) {
	text, bad := saml.ReadParameters(r)
	if bad != nil {
		return nil, "", p.refuseRequest(ctx, v, "", bad), nil
	}
	free, bad, err := p.parsingSlot(ctx, v)
	if err != nil {
		return nil, "", nil, err
	}
	if bad != nil {
		return nil, "", p.refuseRequest(ctx, v, "", bad), nil
	}
	defer free()
	received, bad := saml.ReadAuthnRequest(text, r.Method)
	if bad != nil {
		return nil, "", p.refuseRequest(ctx, v, "", bad), nil
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	sp := c.providers[received.Issuer()] // row REQ-05
	if page := p.usable(ctx, sp, received.Issuer(), http.StatusBadRequest, v); page != nil {
		return nil, "", page, nil
	}
	request, signed, bad := received.Verify(p.trust(ctx, sp, v))
	if bad == nil && !signed {
		bad = unsigned(sp.ServiceProvider)
	}
	if bad != nil {
		return nil, "", p.refuseRequest(ctx, v, sp.EntityID, bad), nil
	}
	now := p.o.Now()
	asked, reachable := p.classes.meeting(request.Context, p.factorsOn(c))
	acs, reason, bad := p.check(sp, request, signed, reachable, now)
	if bad != nil {
		return nil, "", p.refuseRequest(ctx, v, sp.EntityID, bad), nil
	}
	f = &flow{config: c, sp: sp, v: v}
	f.in.EntityID = sp.EntityID
	f.in.RequestID = request.ID
	f.in.Address = addressBlock(v.Address)
	f.in.Browser = hash(v.Browser) // nil for a cross-site POST; bound at the first Resume
	f.in.CreatedAt = now
	f.data = pending{
		RelayState: received.RelayState(),
		Request: &pendingRequest{
			ACS: acs, Force: request.ForceAuthn, Passive: request.IsPassive, NoCreate: request.NoCreate,
			Subject: request.Subject, Classes: asked,
		},
	}
	return f, reason, nil, nil
}

// parsingSlot waits for leave to unpack, parse and verify a message. There is a
// bounded number of slots, so that a flood of messages takes no more than its
// share of the machine. The caller calls free when it is done.
func (p *IdP) parsingSlot(ctx context.Context, v Visitor) (free func(), bad *saml.Fault, err error) {
	free, ok, err := p.parsing.take(ctx, addressBlock(v.Address), slotPatience)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("wait for a slot to read a message: %w", err)
	case !ok:
		return nil, newFault(ReasonBusy, http.StatusServiceUnavailable, "too many messages are being read at the same time",
			"look for a flood of them"), nil
	}
	return free, nil, nil
}

// trust is what a message of this service provider is verified with. What is
// weak and allowed is told in the log.
func (p *IdP) trust(ctx context.Context, sp *serviceProvider, v Visitor) saml.Trust {
	return sp.trust.Warning(func(detail, mend string) {
		p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "weak signature accepted", slog.String("ref", v.Ref),
			slog.String("sp", sp.EntityID),
			slog.String("detail", detail), slog.String("mend", mend))
	})
}

// check holds a request of a known service provider against its record and the
// clock; reachable tells whether the
// requested context can be met. A fault is for our own page; a reason is for a status, and comes with
// the registered ACS that it goes to.
func (p *IdP) check(sp *serviceProvider, r *saml.AuthnRequest, signed, reachable bool, now time.Time) (acs,
	reason string, bad *saml.Fault) {
	switch age := now.Sub(r.IssueInstant); {
	case signed && r.Destination == "":
		// Who got hold of a signed message must not be able to pass it on elsewhere
		// (row REQ-06, saml-bindings 3.4.5.2 and 3.5.5.2).
		return "", "", newFault(ReasonWrongDestination, http.StatusBadRequest, "the request is signed and has no Destination",
			"let the service provider name "+p.endpoint+" as Destination")
	case r.Destination != "" && r.Destination != p.endpoint: // row REQ-06
		return "", "", newFault(ReasonWrongDestination, http.StatusBadRequest,
			fmt.Sprintf("Destination is %.200q, not %s", r.Destination, p.endpoint),
			"import this identity provider's metadata again at the service provider")
	case age > saml.RequestWindow: // row REQ-07
		return "", "", newFault(ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the request is %s old, %s are allowed", age.Round(time.Second), saml.RequestWindow),
			"compare the clocks; an old link or the back button does it too")
	case age < -saml.RequestWindow:
		return "", "", newFault(ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the request is from %s in the future, %s are allowed", -age.Round(time.Second), saml.RequestWindow),
			"compare the clocks")
	}
	acs, reason, bad = sp.acsFor(r) // row REQ-14
	if bad != nil {
		return "", "", bad
	}
	// From here on the SP is known and has a place for an answer (table C).
	switch {
	case r.Version != "2.0": // row REQ-04
		switch high, ok := versionAbove(r.Version); {
		case !ok:
			return "", "", saml.BadRequest("Version is missing or no version", "send Version=\"2.0\"")
		case high:
			reason = ReasonVersionHigh
		default:
			reason = ReasonVersionLow
		}
	case reason != "":
	case r.NoNameID:
		reason = ReasonSubject
	case !sp.issues(r):
		reason = ReasonNameIDPolicy
	case !reachable:
		reason = ReasonAuthnContext
	case r.IsPassive && r.ForceAuthn:
		// New credentials can't be asked for without a page (row REQ-16).
		reason = ReasonPassive
	}
	return acs, reason, nil
}

// issues tells whether the NameID that this service provider gets is one that
// the request's NameIDPolicy takes (row REQ-17, saml-core 3.4.1.1).
func (sp *serviceProvider) issues(r *saml.AuthnRequest) bool {
	// Unspecified is as good as none (saml-core 8.3.1).
	return (r.NameIDFormat == "" || r.NameIDFormat == saml.FormatUnspecified || r.NameIDFormat == sp.NameIDFormat) &&
		(r.SPNameQualifier == "" || r.SPNameQualifier == sp.EntityID)
}

// versionAbove compares a Version that is not "2.0" with it.
func versionAbove(v string) (above, ok bool) {
	var major, minor int
	if n, err := fmt.Sscanf(v, "%d.%d", &major, &minor); n != 2 || err != nil || len(v) > 9 || major < 0 || minor < 0 {
		return false, false
	}
	return major > 2 || major == 2 && minor > 0, true
}

// refuseRequest is the local page about a request that gets no answer. It is
// logged and not audited: strangers can cause as many as they like, and an audit
// row for each would be theirs to fill the store with (row WEB-09).
func (p *IdP) refuseRequest(ctx context.Context, v Visitor, entityID string, bad *saml.Fault) Page {
	p.logRefusal(ctx, v, entityID, bad.Reason, bad.Detail, bad.Fix)
	return Refusal{Reason: bad.Reason, Status: bad.Status, Retry: bad.Reason == ReasonBusy}
}
