package idp

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"ssobridge/store"
)

// maxLifetime is the longest that an assertion can be used (row RSP-05).
const maxLifetime = 5 * time.Minute

// outgoing is a Response to make.
type outgoing struct {
	sp           *provider
	to           addresses
	inResponseTo string   // ID of the AuthnRequest; "" for a launch (rows RSP-02, RSP-03)
	capture      bool     // the assertion is kept for an admin
	asked        []string // of our authentication context classes, those that the request is content with; none: any
}

// issued is a Response as it leaves, and what is recorded of it.
type issued struct {
	body         string // base64
	responseID   string
	assertionID  string
	sessionIndex string
	at           time.Time
	assertion    []byte // as it was signed, where it is captured
}

// success builds and signs a Response with one assertion about the person of
// session s (rows RSP-01 to RSP-11).
func (p *Provider) success(by *signer, o outgoing, s store.Session, r release) (issued, error) {
	if !o.sp.SignAssertion && !o.sp.SignResponse {
		return issued{}, fmt.Errorf("service provider %s: neither assertion nor Response is to be signed", o.sp.EntityID) // row RSP-09
	}
	out, err := p.envelope()
	if err != nil {
		return issued{}, err
	}
	if out.assertionID, err = p.messageID(); err != nil {
		return issued{}, err
	}
	var index [16]byte
	if _, err := io.ReadFull(p.o.Random, index[:]); err != nil {
		return issued{}, fmt.Errorf("read randomness for a session index: %w", err)
	}
	out.sessionIndex = hex.EncodeToString(index[:])

	assertion := p.assertion(out, o, s, r)
	// The order is that of saml-core 6.2 (row RSP-11): sign the assertion, then
	// encrypt it, then sign the Response around it.
	if o.sp.SignAssertion {
		if err := by.sign(assertion); err != nil {
			return issued{}, err
		}
	}
	if o.capture {
		if out.assertion, err = writeXML(assertion); err != nil {
			return issued{}, fmt.Errorf("capture the assertion: %w", err)
		}
	}
	if o.sp.encryptFault != nil { // asked before, and asked again where it counts: nothing leaves in clear by mistake
		return issued{}, fmt.Errorf("service provider %s: %w", o.sp.EntityID, o.sp.encryptFault)
	}
	if o.sp.recipient != nil { // row RSP-12
		encrypted, err := o.sp.recipient.encrypt(assertion, p.o.Random)
		if err != nil {
			return issued{}, fmt.Errorf("service provider %s: %w", o.sp.EntityID, err)
		}
		assertion = encrypted
	}
	response := p.response(out, o, status{top: saml.StatusSuccess})
	response.AddChild(assertion)
	if o.sp.SignResponse {
		if err := by.sign(response); err != nil {
			return issued{}, err
		}
	}
	return out.with(response)
}

// failure builds a Response that carries a status and no assertion (row
// RSP-17). It is always signed: the record's switches are about assertions, and
// an SP that believed an unsigned refusal could be told any.
func (p *Provider) failure(by *signer, o outgoing, st status) (issued, error) {
	out, err := p.envelope()
	if err != nil {
		return issued{}, err
	}
	response := p.response(out, o, st)
	if err := by.sign(response); err != nil {
		return issued{}, err
	}
	return out.with(response)
}

// envelope starts a Response: its ID and its moment. Times come from our clock
// alone and are cut to milliseconds, since SPs need not read finer ones
// (saml-core 1.3.3).
func (p *Provider) envelope() (issued, error) {
	id, err := p.messageID()
	return issued{responseID: id, at: p.o.Now().UTC().Truncate(time.Millisecond)}, err
}

func (out issued) with(response *etree.Element) (issued, error) {
	data, err := writeXML(response)
	if err != nil {
		return issued{}, fmt.Errorf("write response %s: %w", out.responseID, err)
	}
	if len(data) == 0 {
		return issued{}, errors.New("write response: nothing was written")
	}
	out.body = base64.StdEncoding.EncodeToString(data)
	return out, nil
}

func (p *Provider) response(out issued, o outgoing, st status) *etree.Element {
	code := saml.StatusCode{Value: st.top}
	if st.second != "" {
		code.StatusCode = &saml.StatusCode{Value: st.second}
	}
	var message *saml.StatusMessage
	if st.message != "" {
		message = &saml.StatusMessage{Value: st.message}
	}
	return (&saml.Response{
		ID:           out.responseID,
		InResponseTo: o.inResponseTo,
		Version:      "2.0",
		IssueInstant: out.at,
		Destination:  o.to.destination,
		Issuer:       p.issuer(),
		Status:       saml.Status{StatusCode: code, StatusMessage: message},
	}).Element()
}

// issuer is our entityID, byte for byte as registered (row SP-02). Its Format is
// left out: entity is the default (saml-core 8.3.6).
func (p *Provider) issuer() *saml.Issuer { return &saml.Issuer{Value: p.o.EntityID} }

// life is how long an assertion for this service provider can be used.
func (sp *provider) life() time.Duration {
	if sp.Lifetime <= 0 || sp.Lifetime > maxLifetime {
		return maxLifetime
	}
	return sp.Lifetime
}

func (p *Provider) assertion(out issued, o outgoing, s store.Session, r release) *etree.Element {
	until := out.at.Add(o.sp.life())
	sessionEnd := s.EndsAt.UTC().Truncate(time.Millisecond)
	el := (&saml.Assertion{
		ID:           out.assertionID,
		IssueInstant: out.at,
		Version:      "2.0",
		Issuer:       *p.issuer(),
		Subject: &saml.Subject{
			// No qualifiers: they default to the two entityIDs (saml-core 8.3.7).
			NameID: &saml.NameID{Format: r.format, Value: r.nameID},
			SubjectConfirmations: []saml.SubjectConfirmation{{
				Method: "urn:oasis:names:tc:SAML:2.0:cm:bearer",
				// No NotBefore (saml-profiles 4.1.4.2), and no Address: what we see of the
				// person's address is not what the SP sees (row RSP-06).
				SubjectConfirmationData: &saml.SubjectConfirmationData{
					Recipient:    o.to.recipient,
					NotOnOrAfter: until,
					InResponseTo: o.inResponseTo,
				},
			}},
		},
		Conditions: &saml.Conditions{
			NotBefore:    out.at.Add(-max(o.sp.Skew, 0)), // their clock may be behind ours (row RSP-07)
			NotOnOrAfter: until,
			AudienceRestrictions: []saml.AudienceRestriction{{
				Audience: saml.Audience{Value: o.to.audience},
			}},
		},
		AuthnStatements: []saml.AuthnStatement{{
			AuthnInstant:        s.AuthenticatedAt.UTC().Truncate(time.Millisecond),
			SessionIndex:        out.sessionIndex,
			SessionNotOnOrAfter: &sessionEnd,
			AuthnContext: saml.AuthnContext{
				AuthnContextClassRef: &saml.AuthnContextClassRef{Value: p.classes.of(p.toldMethods(o, s), o.asked)},
			},
		}},
	}).Element()
	if statement := r.attributeStatement(); statement != nil {
		el.AddChild(statement)
	}
	return el
}
