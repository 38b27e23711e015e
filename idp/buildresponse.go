package idp

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// responseParams is a Response to make.
type responseParams struct {
	sp           *serviceProvider
	to           responseEndpoints
	inResponseTo string   // ID of the AuthnRequest; "" for a launch (rows RSP-02, RSP-03)
	capture      bool     // the assertion is kept for an admin
	asked        []string // of our authentication context classes, those that the request is content with; none: any
}

// signedResponse is a Response as it leaves, and what is recorded of it.
type signedResponse struct {
	body         string // base64
	responseID   string
	assertionID  string
	sessionIndex string
	at           time.Time
	assertion    []byte // as it was signed, where it is captured
}

// success builds and signs a Response with one assertion about the person of
// session s.
func (p *IdP) success(ctx context.Context, by *saml.Signer, o responseParams, s store.Session,
	r release) (signedResponse, error) {
	if o.sp.encryptFault != nil { // asked before, and asked again where it counts: nothing leaves in clear by mistake
		return signedResponse{}, fmt.Errorf("service provider %s: %w", o.sp.EntityID, o.sp.encryptFault)
	}
	out, err := p.envelope()
	if err != nil {
		return signedResponse{}, err
	}
	if out.assertionID, err = p.messageID(); err != nil {
		return signedResponse{}, err
	}
	if out.sessionIndex, err = newSessionIndex(p.o.Random, out.at); err != nil {
		return signedResponse{}, err
	}
	signed, err := by.Response(ctx, p.responseOf(out, o), p.assertionOf(out, o, s, r), saml.Protection{
		SignAssertion: o.sp.SignAssertion, SignResponse: o.sp.SignResponse, Recipient: o.sp.recipient, Random: p.o.Random,
		Keep: o.capture,
	})
	if err != nil {
		return signedResponse{}, fmt.Errorf("service provider %s: %w", o.sp.EntityID, err)
	}
	out.body, out.assertion = signed.Body, signed.Assertion
	return out, nil
}

// failure builds a Response that carries a status and no assertion (row RSP-17).
func (p *IdP) failure(ctx context.Context, by *saml.Signer, o responseParams, st saml.Status) (signedResponse, error) {
	out, err := p.envelope()
	if err != nil {
		return signedResponse{}, err
	}
	out.body, err = by.StatusResponse(ctx, p.responseOf(out, o), st)
	return out, err
}

// envelope starts a Response: its ID and its moment. Times come from our clock
// alone and are cut to milliseconds, since SPs need not read finer ones
// (saml-core 1.3.3).
func (p *IdP) envelope() (signedResponse, error) {
	id, err := p.messageID()
	return signedResponse{responseID: id, at: p.o.Now().UTC().Truncate(time.Millisecond)}, err
}

// responseOf is what the Response says, whatever it carries.
func (p *IdP) responseOf(out signedResponse, o responseParams) saml.ResponseParams {
	return saml.ResponseParams{
		Issuer: p.o.EntityID, ID: out.responseID, At: out.at, Destination: o.to.destination, InResponseTo: o.inResponseTo,
	}
}

// assertionOf is what the assertion says about the person of session s.
func (p *IdP) assertionOf(out signedResponse, o responseParams, s store.Session, r release) saml.Assertion {
	a := saml.Assertion{
		ID: out.assertionID, NameID: r.nameID, NameIDFormat: r.format, Recipient: o.to.recipient, Audience: o.to.audience,
		Lifetime: o.sp.life(), Skew: o.sp.Skew,
		AuthenticatedAt: p.provedAt(s), SessionIndex: out.sessionIndex, SessionEnds: s.EndsAt,
		Class: p.classOf(o, s),
	}
	if len(r.attributes) > 0 {
		a.Attributes = make([]saml.Attribute, len(r.attributes))
	}
	for i, v := range r.attributes {
		a.Attributes[i] = saml.Attribute{FriendlyName: v.FriendlyName, Name: v.Name, NameFormat: v.NameFormat,
			Values: v.values}
	}
	return a
}

// life is how long an assertion for this service provider can be used.
func (sp *serviceProvider) life() time.Duration {
	if sp.Lifetime <= 0 || sp.Lifetime > saml.MaxLifetime {
		return saml.MaxLifetime
	}
	return sp.Lifetime
}

// newSessionIndex is another one for each assertion: the time, which the assertion says anyway, and 96 random bits. So
// the sign-ins of a session stand in the store in their order, and the next one writes to the page of the one before.
func newSessionIndex(random io.Reader, at time.Time) (string, error) {
	var index [16]byte
	if _, err := io.ReadFull(random, index[:]); err != nil {
		return "", fmt.Errorf("read randomness for a session index: %w", err)
	}
	binary.BigEndian.PutUint32(index[:], uint32(at.Unix())) //nolint:gosec // G115: it begins anew in 2106, and still differs
	return hex.EncodeToString(index[:]), nil
}
