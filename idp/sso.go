package idp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/saml"
	"ssobridge/store"
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
	f, unmet, page, err := p.accept(ctx, r, v)
	if page != nil || err != nil {
		return Answer{Page: page}, err
	}
	if unmet != nil {
		traceOf(ctx).asked(unmet.Cause)
		p.logRefusal(ctx, v, f.sp.EntityID, *unmet)
		page, err := p.answerStatus(ctx, f, unmet.Reason, "")
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

// accept reads and checks a request. An unmet wish comes with the flow when its SP is
// to be told a status at once: what it asks for, and what is on record.
func (p *IdP) accept(ctx context.Context, r *http.Request, v Visitor) (f *flow, unmet *Why, page Page,
	err error) {
	text, bad := saml.ReadParameters(r)
	if bad != nil {
		return nil, nil, p.refuseRequest(ctx, v, "", bad), nil
	}
	free, bad, err := p.parsingSlot(ctx, v)
	if err != nil {
		return nil, nil, nil, err
	}
	if bad != nil {
		return nil, nil, p.refuseRequest(ctx, v, "", bad), nil
	}
	defer free()
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	received, bad := saml.ReadAuthnRequest(text, r.Method, p.o.MaxRelayState)
	if bad != nil {
		return nil, nil, p.refuseMessage(ctx, v, c, received.Issuer(), bad), nil
	}
	sp := c.providers[received.Issuer()] // row REQ-05
	if page := p.usable(ctx, sp, received.Issuer(), http.StatusBadRequest, v, c); page != nil {
		return nil, nil, page, nil
	}
	request, signed, bad := received.Verify(p.trust(ctx, sp, v))
	if bad == nil && !signed {
		bad = unsigned(sp.ServiceProvider)
	}
	if bad != nil {
		return nil, nil, p.refuseMessage(ctx, v, c, sp.EntityID, bad), nil
	}
	now := p.o.Now()
	asked, reachable := p.classes.meeting(request.Context, p.factorsOn(c) || p.sourcesProveFactor())
	acs, unmet, bad := p.check(sp, request, signed, reachable, now)
	if bad != nil {
		return nil, nil, p.refuseMessage(ctx, v, c, sp.EntityID, bad), nil
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
			Subject: request.Subject, Classes: asked, Transient: request.NameIDFormat == saml.FormatTransient,
		},
	}
	return f, unmet, nil, nil
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
	return sp.trust.Warning(func(detail, fix string) {
		p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "weak signature accepted", slog.String("ref", v.Ref),
			slog.String("sp", sp.EntityID),
			slog.String("cause", detail), slog.String("fix", fix))
	})
}

// check holds a request of a known service provider against its record and the
// clock; reachable tells whether the
// requested context can be met. A fault is for our own page; an unmet wish is for a status, and comes with
// the registered ACS that it goes to.
func (p *IdP) check(sp *serviceProvider, r *saml.AuthnRequest, signed, reachable bool, now time.Time) (acs string,
	unmet *Why, bad *saml.Fault) {
	switch age := now.Sub(r.IssueInstant); {
	case signed && r.Destination == "":
		// Who got hold of a signed message must not be able to pass it on elsewhere
		// (row REQ-06, saml-bindings 3.4.5.2 and 3.5.5.2).
		return "", nil, newFault(ReasonWrongDestination, http.StatusBadRequest,
			"the request is signed and has no Destination",
			"let the service provider name "+p.endpoint+" as Destination")
	case r.Destination != "" && !saml.SameAddress(r.Destination, p.endpoint): // row REQ-06
		return "", nil, newFault(ReasonWrongDestination, http.StatusBadRequest,
			fmt.Sprintf("Destination is %.200q, not %s", r.Destination, p.endpoint),
			"import this identity provider's metadata again at the service provider")
	case age > saml.RequestWindow: // row REQ-07
		return "", nil, newFault(ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the request is %s old, %s are allowed", age.Round(time.Second), saml.RequestWindow),
			"compare the clocks; an old link or the back button does it too")
	case age < -saml.RequestWindow:
		return "", nil, newFault(ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the request is from %s in the future, %s are allowed", -age.Round(time.Second), saml.RequestWindow),
			"compare the clocks")
	}
	acs, unmet, bad = sp.acsFor(r) // row REQ-14
	if bad != nil {
		return "", nil, bad
	}
	// From here on the SP is known and has a place for an answer (table C).
	switch {
	case r.Version != "2.0": // row REQ-04
		high, ok := versionAbove(r.Version)
		if !ok {
			return "", nil, saml.BadRequest("Version is missing or no version", "send Version=\"2.0\"")
		}
		unmet = &Why{Reason: ReasonVersionLow,
			Cause: fmt.Sprintf("the request is of SAML %.10q, and 2.0 is spoken", r.Version),
			Fix:   "let the service provider send SAML 2.0"}
		if high {
			unmet.Reason = ReasonVersionHigh
		}
	case unmet != nil:
	case r.NoNameID:
		unmet = &Why{Reason: ReasonSubject, Cause: "the request's Subject is named other than by one NameID in clear, or " +
			"with a SubjectConfirmation",
			Fix: "let the service provider name the person by a plain NameID, or leave Subject out"}
	default:
		switch unmet = sp.nameIDWish(r); {
		case unmet != nil:
		case !reachable:
			unmet = p.contextWish(r.Context)
		case r.IsPassive && r.ForceAuthn:
			// New credentials can't be asked for without a page (row REQ-16).
			unmet = &Why{Reason: ReasonPassive, Act: actShowProvider,
				Cause: "the request asks for a new login (ForceAuthn) and allows no page (IsPassive)",
				Fix:   "let the service provider ask for one of the two"}
		}
	}
	return acs, unmet, nil
}

// nameIDWish says why the request's NameIDPolicy can't be followed; nil where it can (row REQ-17, saml-core 3.4.1.1).
func (sp *serviceProvider) nameIDWish(r *saml.AuthnRequest) *Why {
	record := saml.Format(sp.NameIDFormat)
	switch asked := r.NameIDFormat; {
	case r.SPNameQualifier != "" && r.SPNameQualifier != sp.EntityID:
		return &Why{Reason: ReasonNameIDPolicy, Act: actShowProvider,
			Cause: fmt.Sprintf("asked for the NameID of another service provider: SPNameQualifier is %.200q", r.SPNameQualifier),
			Fix:   "let the service provider leave SPNameQualifier out; affiliations are not supported"}
	// Unspecified is as good as none (saml-core 8.3.1).
	case asked == "" || asked == saml.FormatUnspecified || asked == record:
		return nil
	case asked == saml.FormatTransient && sp.Kind != store.ConstantContact:
		// It tells the service provider less than the record's NameID does, never more. Constant Contact finds its users by
		// their NameID, so that one is the record's alone.
		return nil
	default:
		act, fix := actSetProvider,
			fmt.Sprintf("set name_id_format of the service provider to %s, with a name_id that fits, "+
				"or let it ask for %s or for none", shownFormat(asked), shownFormat(record))
		if sp.Kind == store.ConstantContact || asked == saml.FormatEncrypted || asked == saml.FormatEntity {
			act, fix = actShowProvider, fmt.Sprintf("let the service provider ask for %s or for none", shownFormat(record))
		}
		return &Why{Reason: ReasonNameIDPolicy, Fix: fix, Act: act,
			Cause: fmt.Sprintf("asked for a NameID of format %s; this service provider's record says %s", shownFormat(asked),
				shownFormat(record))}
	}
}

// shownFormat is a format in a sentence: its word, or what was sent in its place, cut short and quoted.
func shownFormat(uri string) string {
	if word := saml.FormatWord(uri); word != uri {
		return word
	}
	return fmt.Sprintf("%.120q", uri)
}

// contextWish says which authentication context can't be reached.
func (p *IdP) contextWish(want *saml.RequestedContext) *Why {
	var asked []string
	for _, class := range want.Classes {
		if len(asked) == 5 {
			asked = append(asked, "…")
			break
		}
		asked = append(asked, shownClass(class))
	}
	if want.Declarations {
		asked = append(asked, "declarations, which are not supported")
	}
	ours := p.classes.byPassword()
	act, fix := actShowProvider, "let the service provider ask for one of these, or for none"
	if !p.classes.protected {
		act = actSeeSettings
		fix += "; a password that does not come by https is not protected, so give public_url as https"
	}
	if slices.Contains(want.Classes, p.classes.second) {
		act = actSeeSettings
		fix = "second factors are off here: set second_factor, or let the service provider ask for less"
	}
	var words []string
	for _, class := range append(ours, p.classes.second) {
		words = append(words, shownClass(class))
	}
	return &Why{Reason: ReasonAuthnContext, Fix: fix, Act: act,
		Cause: fmt.Sprintf("asked for an authentication context (%s): %s; a login by password reaches %s, and with a second "+
			"factor %s", want.Comparison, strings.Join(asked, ", "), strings.Join(words[:len(ours)], ", "), words[len(ours)])}
}

// shownClass is a class of authentication context in a sentence.
func shownClass(uri string) string {
	const prefix = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
	if word, known := strings.CutPrefix(uri, prefix); known && len(word) < 40 {
		return fmt.Sprintf("%q", word)
	}
	return fmt.Sprintf("%.120q", uri)
}

// versionAbove compares a Version that is not "2.0" with it.
func versionAbove(v string) (above, ok bool) {
	var major, minor int
	if n, err := fmt.Sscanf(v, "%d.%d", &major, &minor); n != 2 || err != nil || len(v) > 9 || major < 0 || minor < 0 {
		return false, false
	}
	return major > 2 || major == 2 && minor > 0, true
}

// refuseMessage is refuseRequest for a message whose Issuer could be read: page and log name who sent it, or claims to.
func (p *IdP) refuseMessage(ctx context.Context, v Visitor, c *config, issuer string, bad *saml.Fault) Page {
	page := p.refuseRequest(ctx, v, issuer, bad)
	if refusal, ok := page.(Refusal); ok {
		if sp := c.providers[issuer]; sp != nil {
			refusal.Provider = sp.name()
		}
		return refusal
	}
	return page
}

// refuseRequest is the local page about a request that gets no answer. It is
// logged and not audited: strangers can cause as many as they like, and an audit
// row for each would be theirs to fill the store with (row WEB-09).
func (p *IdP) refuseRequest(ctx context.Context, v Visitor, entityID string, bad *saml.Fault) Page {
	traceOf(ctx).asked(bad.Detail)
	p.logRefusal(ctx, v, entityID, whyOf(bad))
	return Refusal{Reason: bad.Reason, Status: bad.Status, Retry: bad.Reason == ReasonBusy}
}
