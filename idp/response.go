package idp

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

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
func (p *Provider) success(ctx context.Context, by *signer, o outgoing, s store.Session, r release) (issued, error) {
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
		if err := by.sign(ctx, &assertion); err != nil {
			return issued{}, err
		}
	}
	if o.capture {
		out.assertion = assertion.bytes()
	}
	if o.sp.encryptFault != nil { // asked before, and asked again where it counts: nothing leaves in clear by mistake
		return issued{}, fmt.Errorf("service provider %s: %w", o.sp.EntityID, o.sp.encryptFault)
	}
	response := p.response(out, o, status{top: saml.StatusSuccess})
	if o.sp.recipient != nil { // row RSP-12
		if response.rest, err = o.sp.recipient.encrypt(response.rest, assertion.bytes(), p.o.Random); err != nil {
			return issued{}, fmt.Errorf("service provider %s: %w", o.sp.EntityID, err)
		}
	} else {
		response.rest = slices.Grow(response.rest, assertion.size()+len(responseEnd))
		response.rest = append(append(response.rest, assertion.head...), assertion.rest...)
	}
	response.rest.markup(responseEnd)
	if o.sp.SignResponse {
		if err := by.sign(ctx, &response); err != nil {
			return issued{}, err
		}
	}
	out.body = response.base64()
	return out, nil
}

// failure builds a Response that carries a status and no assertion (row
// RSP-17). It is always signed: the record's switches are about assertions, and
// an SP that believed an unsigned refusal could be told any.
func (p *Provider) failure(ctx context.Context, by *signer, o outgoing, st status) (issued, error) {
	out, err := p.envelope()
	if err != nil {
		return issued{}, err
	}
	response := p.response(out, o, st)
	response.rest.markup(responseEnd)
	if err := by.sign(ctx, &response); err != nil {
		return issued{}, err
	}
	out.body = response.base64()
	return out, nil
}

// envelope starts a Response: its ID and its moment. Times come from our clock
// alone and are cut to milliseconds, since SPs need not read finer ones
// (saml-core 1.3.3).
func (p *Provider) envelope() (issued, error) {
	id, err := p.messageID()
	return issued{responseID: id, at: p.o.Now().UTC().Truncate(time.Millisecond)}, err
}

// The prefixes of what leaves, declared where they are used for the first time.
const (
	declareAssertion = ` xmlns:saml="` + nsAssertion + `"`
	declareProtocol  = ` xmlns:samlp="` + nsProtocol + `"`
	responseEnd      = "</samlp:Response>"
)

// headRoom is about what comes before a signature, and the signature with a certificate.
const headRoom = 4 << 10

// response writes a Response up to where an assertion has its place. responseEnd ends it.
func (p *Provider) response(out issued, o outgoing, st status) written {
	head := make(octets, 0, headRoom)
	head.markup("<samlp:Response" + declareProtocol)
	head.optional("Destination", o.to.destination)
	head.attribute("ID", out.responseID)
	head.optional("InResponseTo", o.inResponseTo)
	head.attribute("IssueInstant", instant(out.at))
	head.attribute("Version", "2.0")
	head.markup(">")
	// Our entityID, byte for byte as registered (row SP-02). Its Format is left out: entity is the default (saml-core 8.3.6).
	head.markup("<saml:Issuer" + declareAssertion + ">")
	head.text(p.o.EntityID)
	head.markup("</saml:Issuer>")
	return written{name: "Response", id: out.responseID, head: head, rest: st.write(nil)}
}

// write adds the Status (saml-core 3.2.2.1).
func (st status) write(to octets) octets {
	to.markup("<samlp:Status><samlp:StatusCode")
	to.attribute("Value", st.top)
	to.markup(">")
	if st.second != "" {
		to.markup("<samlp:StatusCode")
		to.attribute("Value", st.second)
		to.markup("></samlp:StatusCode>")
	}
	to.markup("</samlp:StatusCode>")
	if st.message != "" {
		to.markup("<samlp:StatusMessage>")
		to.text(st.message)
		to.markup("</samlp:StatusMessage>")
	}
	to.markup("</samlp:Status>")
	return to
}

// instant is a time without the zeros at the end of its milliseconds.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z07:00") }

// life is how long an assertion for this service provider can be used.
func (sp *provider) life() time.Duration {
	if sp.Lifetime <= 0 || sp.Lifetime > maxLifetime {
		return maxLifetime
	}
	return sp.Lifetime
}

// assertion writes the assertion, which declares all its prefixes itself: an SP may move it, and reads it alone after
// decryption.
func (p *Provider) assertion(out issued, o outgoing, s store.Session, r release) written {
	until := out.at.Add(o.sp.life())
	head := make(octets, 0, headRoom)
	head.markup("<saml:Assertion" + declareAssertion)
	head.attribute("ID", out.assertionID)
	head.attribute("IssueInstant", instant(out.at))
	head.attribute("Version", "2.0")
	head.markup("><saml:Issuer>")
	head.text(p.o.EntityID)
	head.markup("</saml:Issuer>")

	rest := make(octets, 0, 2<<10)
	rest.markup("<saml:Subject><saml:NameID") // no qualifiers: they default to the two entityIDs (saml-core 8.3.7)
	rest.optional("Format", r.format)
	rest.markup(">")
	rest.text(r.nameID)
	rest.markup(`</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData`)
	// No NotBefore (saml-profiles 4.1.4.2), and no Address: what we see of the
	// person's address is not what the SP sees (row RSP-06).
	rest.optional("InResponseTo", o.inResponseTo)
	rest.attribute("NotOnOrAfter", instant(until))
	rest.optional("Recipient", o.to.recipient)
	rest.markup("></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject><saml:Conditions")
	rest.attribute("NotBefore", instant(out.at.Add(-max(o.sp.Skew, 0)))) // their clock may be behind ours (row RSP-07)
	rest.attribute("NotOnOrAfter", instant(until))
	rest.markup("><saml:AudienceRestriction><saml:Audience>")
	rest.text(o.to.audience)
	rest.markup("</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement")
	rest.attribute("AuthnInstant", instant(s.AuthenticatedAt.Truncate(time.Millisecond)))
	rest.attribute("SessionIndex", out.sessionIndex)
	rest.attribute("SessionNotOnOrAfter", instant(s.EndsAt.Truncate(time.Millisecond)))
	rest.markup("><saml:AuthnContext><saml:AuthnContextClassRef>")
	rest.text(p.classes.of(p.toldMethods(o, s), o.asked))
	rest.markup("</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>")
	rest = r.write(rest)
	rest.markup("</saml:Assertion>")
	return written{name: "Assertion", id: out.assertionID, head: head, rest: rest}
}
