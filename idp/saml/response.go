package saml

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// MaxLifetime is the longest that an assertion can be used (row RSP-05).
const MaxLifetime = 5 * time.Minute

// ResponseParams is what every Response says, whatever it carries. Times are written in milliseconds, since service
// providers need not read finer ones (saml-core 1.3.3).
type ResponseParams struct {
	Issuer       string // our entityID, byte for byte as registered (row SP-02)
	ID           string
	At           time.Time
	Destination  string
	InResponseTo string // ID of the AuthnRequest; "" for a launch (rows RSP-02, RSP-03)
}

// Assertion is what one assertion says about a person.
type Assertion struct {
	ID           string
	NameID       string
	NameIDFormat string
	Recipient    string
	Audience     string
	Lifetime     time.Duration // at most MaxLifetime; 0 is MaxLifetime
	Skew         time.Duration // their clock may be so much behind ours (row RSP-07)

	AuthenticatedAt time.Time
	SessionIndex    string
	SessionEnds     time.Time
	Class           string // authentication context class
	Attributes      []Attribute
}

// Attribute is one that is released, with all its values.
type Attribute struct {
	FriendlyName, Name, NameFormat string
	Values                         []string
}

// Protection is how an assertion is protected on its way.
type Protection struct {
	SignAssertion, SignResponse bool       // one of them at least (row RSP-09)
	Recipient                   *Recipient // for whom the assertion is encrypted; nil: it goes in clear
	Random                      io.Reader  // for the encryption, of cryptographic quality
	Keep                        bool       // whether SignedResponse.Assertion is wanted
}

// SignedResponse is a Response as it leaves.
type SignedResponse struct {
	Body      string // base64
	Assertion []byte // as it was signed, where Protection.Keep asks for it
}

// Response builds and signs a Response with one assertion (rows RSP-01 to RSP-11).
func (s *Signer) Response(ctx context.Context, r ResponseParams, a Assertion,
	how Protection) (out SignedResponse, err error) {
	if !how.SignAssertion && !how.SignResponse {
		return out, errors.New("neither assertion nor Response is to be signed") // row RSP-09
	}
	d := drafts.Get().(*draft)
	defer drafts.Put(d)
	assertion := r.assertion(a, d.assertionHead[:0], d.assertionRest[:0])
	// The order is that of saml-core 6.2 (row RSP-11): sign the assertion, then
	// encrypt it, then sign the Response around it.
	if how.SignAssertion {
		if err := s.sign(ctx, &assertion); err != nil {
			return out, err
		}
	}
	if how.Keep {
		out.Assertion = assertion.bytes()
	}
	response := r.response(Status{Top: StatusSuccess}, d.responseHead[:0], d.responseRest[:0])
	if how.Recipient != nil { // row RSP-12
		if response.rest, err = how.Recipient.encrypt(response.rest, assertion.bytes(), how.Random); err != nil {
			return SignedResponse{}, err
		}
	} else {
		response.rest = slices.Grow(response.rest, assertion.size()+len(responseEnd))
		response.rest = append(append(response.rest, assertion.head...), assertion.rest...)
	}
	response.rest.markup(responseEnd)
	if how.SignResponse {
		if err := s.sign(ctx, &response); err != nil {
			return SignedResponse{}, err
		}
	}
	out.Body = response.base64()
	d.keep(assertion, response)
	return out, nil
}

// draft is memory that Responses are written into: most of what a launch would take otherwise. It keeps the last one's
// text until the next one is written over it. It never leaves the process: what is returned is a copy.
type draft struct{ assertionHead, assertionRest, responseHead, responseRest octets }

var drafts = sync.Pool{New: func() any {
	return &draft{make(octets, 0, headRoom), make(octets, 0, 2<<10), make(octets, 0, headRoom),
		make(octets, 0, 2*headRoom)}
}}

// maxDraft is how much of it is kept: a Response with thousands of groups must not stay.
const maxDraft = 64 << 10

// keep takes back what was written into, which may have grown.
func (d *draft) keep(assertion, response written) {
	if cap(assertion.head)+cap(assertion.rest)+cap(response.head)+cap(response.rest) <= maxDraft {
		*d = draft{assertion.head, assertion.rest, response.head, response.rest}
	}
}

// StatusResponse builds a Response that carries a status and no assertion (row RSP-17), in base64. It is always signed:
// the switches of a record are about assertions, and a service provider that believed an unsigned refusal would believe
// any.
func (s *Signer) StatusResponse(ctx context.Context, r ResponseParams, st Status) (body string, err error) {
	response := r.response(st, nil, nil)
	response.rest.markup(responseEnd)
	if err := s.sign(ctx, &response); err != nil {
		return "", fmt.Errorf("status Response: %w", err)
	}
	return response.base64(), nil
}

// UnsignedAssertion is the assertion that a Response would carry, for people to look at.
func UnsignedAssertion(r ResponseParams, a Assertion) []byte {
	assertion := r.assertion(a, nil, nil)
	return assertion.bytes()
}

// The prefixes of what leaves, declared where they are used for the first time.
const (
	declareAssertion = ` xmlns:saml="` + NSAssertion + `"`
	declareProtocol  = ` xmlns:samlp="` + NSProtocol + `"`
	responseEnd      = "</samlp:Response>"
)

// headRoom is about what comes before a signature, and the signature with a certificate.
const headRoom = 4 << 10

// response writes a Response up to where an assertion has its place, into head and rest, which are empty. responseEnd
// ends it.
func (r ResponseParams) response(st Status, head, rest octets) written {
	head.markup("<samlp:Response" + declareProtocol)
	head.optional("Destination", r.Destination)
	head.attribute("ID", r.ID)
	head.optional("InResponseTo", r.InResponseTo)
	head.attribute("IssueInstant", instant(r.At))
	head.attribute("Version", "2.0")
	head.markup(">")
	// Its Format is left out: entity is the default (saml-core 8.3.6).
	head.markup("<saml:Issuer" + declareAssertion + ">")
	head.text(r.Issuer)
	head.markup("</saml:Issuer>")
	return written{name: "Response", id: r.ID, head: head, rest: st.write(rest)}
}

// instant is a time without the zeros at the end of its milliseconds.
func instant(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

// life is how long the assertion can be used, whatever was asked for.
func (a Assertion) life() time.Duration {
	if a.Lifetime <= 0 || a.Lifetime > MaxLifetime {
		return MaxLifetime
	}
	return a.Lifetime
}

// assertion writes the assertion, which declares all its prefixes itself: a service provider may move it, and reads it
// alone after decryption. It is written into head and rest, which are empty.
func (r ResponseParams) assertion(a Assertion, head, rest octets) written {
	until := r.At.Add(a.life())
	head.markup("<saml:Assertion" + declareAssertion)
	head.attribute("ID", a.ID)
	head.attribute("IssueInstant", instant(r.At))
	head.attribute("Version", "2.0")
	head.markup("><saml:Issuer>")
	head.text(r.Issuer)
	head.markup("</saml:Issuer>")

	rest.markup("<saml:Subject><saml:NameID") // no qualifiers: they default to the two entityIDs (saml-core 8.3.7)
	rest.optional("Format", a.NameIDFormat)
	rest.markup(">")
	rest.text(a.NameID)
	rest.markup(`</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData`)
	// No NotBefore (saml-profiles 4.1.4.2), and no Address: what we see of the
	// person's address is not what the SP sees (row RSP-06).
	rest.optional("InResponseTo", r.InResponseTo)
	rest.attribute("NotOnOrAfter", instant(until))
	rest.optional("Recipient", a.Recipient)
	rest.markup("></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject><saml:Conditions")
	rest.attribute("NotBefore", instant(r.At.Add(-max(a.Skew, 0)))) // row RSP-07
	rest.attribute("NotOnOrAfter", instant(until))
	rest.markup("><saml:AudienceRestriction><saml:Audience>")
	rest.text(a.Audience)
	rest.markup("</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement")
	rest.attribute("AuthnInstant", instant(a.AuthenticatedAt))
	rest.attribute("SessionIndex", a.SessionIndex)
	rest.attribute("SessionNotOnOrAfter", instant(a.SessionEnds))
	rest.markup("><saml:AuthnContext><saml:AuthnContextClassRef>")
	rest.text(a.Class)
	rest.markup("</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>")
	rest = writeAttributes(rest, a.Attributes)
	rest.markup("</saml:Assertion>")
	return written{name: "Assertion", id: a.ID, head: head, rest: rest}
}

// writeAttributes adds the one AttributeStatement, nothing where nothing is
// released. Each value has an AttributeValue of its own and each attribute says
// its NameFormat (saml-core 2.7.3.1). Values carry no xsi:type="xs:string": exclusive
// canonicalization would leave its prefix undeclared.
func writeAttributes(to octets, all []Attribute) octets {
	if len(all) == 0 {
		return to
	}
	to.markup("<saml:AttributeStatement>")
	for _, a := range all {
		to.markup("<saml:Attribute")
		to.optional("FriendlyName", a.FriendlyName)
		to.attribute("Name", a.Name)
		to.attribute("NameFormat", a.NameFormat)
		to.markup(">")
		for _, v := range a.Values {
			to.markup("<saml:AttributeValue>")
			to.text(v)
			to.markup("</saml:AttributeValue>")
		}
		to.markup("</saml:Attribute>")
	}
	to.markup("</saml:AttributeStatement>")
	return to
}
