package saml

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/beevik/etree"
)

// Limits of a captured message: an assertion with thousands of values fits.
const (
	maxCaptured         = 4 << 20
	maxCapturedElements = 20_000
)

// Captured is what a Response says that another identity provider sent, for a comparison with ours. No signature of it
// is checked: nobody is signed in by it, and what it says is shown and not believed.
type Captured struct {
	Issuer, Destination, Recipient, Class string
	NameID, NameIDFormat                  string
	NameQualifier, SPNameQualifier        string
	Audiences                             []string
	Attributes                            []Attribute
	SignedAssertion, SignedResponse       bool
	SignatureMethod                       string // of the innermost signature
	Certificate                           string // SHA-256 of the certificate that it names, in hex; "": none
}

var formField = regexp.MustCompile(`(?is)name\s*=\s*["']SAMLResponse["'][^>]*?value\s*=\s*["']([^"']*)["']` +
	`|value\s*=\s*["']([^"']*)["'][^>]*?name\s*=\s*["']SAMLResponse["']`)

// ReadCaptured reads a Response or an assertion as people capture them: the XML, its base64, the body of the posted
// form, or the page that holds the form. An encrypted assertion can't be read.
func ReadCaptured(data []byte) (Captured, error) {
	var c Captured
	if len(data) > maxCaptured {
		return c, errors.New("it is larger than 4 MiB")
	}
	document, err := capturedXML(data)
	if err != nil {
		return c, err
	}
	root, err := parseXML(document, maxDepth, maxCapturedElements)
	if err != nil {
		return c, err
	}
	assertion := root
	switch {
	case Is(root, NSProtocol, "Response"):
		c.Destination, _ = AttributeOf(root, "Destination")
		c.SignedResponse = c.signature(root)
		found := Children(root, NSAssertion, "Assertion")
		switch {
		case len(found) == 1:
			assertion = found[0]
		case len(found) > 1:
			return c, errors.New("it has several assertions")
		case len(Children(root, NSAssertion, "EncryptedAssertion")) > 0:
			return c, errors.New("its assertion is encrypted: switch encryption off for one sign-in, or take the assertion from " +
				"the service provider's log")
		default:
			return c, errors.New("it has no assertion, so it says that a sign-in failed")
		}
	case !Is(root, NSAssertion, "Assertion"):
		return c, errors.New("it is neither a Response nor an assertion of SAML 2.0")
	}
	c.assertion(assertion)
	return c, nil
}

// capturedXML finds the document in what was captured.
func capturedXML(data []byte) ([]byte, error) {
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	if m := formField.FindStringSubmatch(text); m != nil {
		text = html.UnescapeString(m[1] + m[2])
	}
	if strings.HasPrefix(text, "<") {
		return []byte(text), nil
	}
	if strings.HasPrefix(text, "SAMLResponse=") || strings.Contains(text, "&SAMLResponse=") {
		values, err := url.ParseQuery(text)
		if err != nil {
			return nil, errors.New("its form can't be read")
		}
		text = values.Get("SAMLResponse")
	} else if strings.Contains(text, "%") {
		if plain, err := url.QueryUnescape(text); err == nil {
			text = plain
		}
	}
	text = strings.Join(strings.Fields(text), "")
	document, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(bytes.TrimSpace(document)) == 0 {
		return nil, errors.New("it is neither XML nor the base64 of a posted Response")
	}
	return document, nil
}

// assertion reads what an assertion says.
func (c *Captured) assertion(el *etree.Element) {
	c.SignedAssertion = c.signature(el)
	text := func(parent *etree.Element, name string) (value string) {
		for _, child := range Children(parent, NSAssertion, name) {
			value, _ = TextOf(child) // what holds more than text is shown as empty
		}
		return value
	}
	c.Issuer = text(el, "Issuer")
	for _, subject := range Children(el, NSAssertion, "Subject") {
		for _, id := range Children(subject, NSAssertion, "NameID") {
			c.NameID, _ = TextOf(id)
			c.NameIDFormat, _ = AttributeOf(id, "Format")
			c.NameQualifier, _ = AttributeOf(id, "NameQualifier")
			c.SPNameQualifier, _ = AttributeOf(id, "SPNameQualifier")
		}
		for _, confirmation := range Children(subject, NSAssertion, "SubjectConfirmation") {
			for _, data := range Children(confirmation, NSAssertion, "SubjectConfirmationData") {
				c.Recipient, _ = AttributeOf(data, "Recipient")
			}
		}
	}
	for _, conditions := range Children(el, NSAssertion, "Conditions") {
		for _, restriction := range Children(conditions, NSAssertion, "AudienceRestriction") {
			for _, audience := range Children(restriction, NSAssertion, "Audience") {
				if value, err := TextOf(audience); err == nil {
					c.Audiences = append(c.Audiences, value)
				}
			}
		}
	}
	for _, statement := range Children(el, NSAssertion, "AuthnStatement") {
		for _, context := range Children(statement, NSAssertion, "AuthnContext") {
			c.Class = text(context, "AuthnContextClassRef")
		}
	}
	for _, statement := range Children(el, NSAssertion, "AttributeStatement") {
		for _, attribute := range Children(statement, NSAssertion, "Attribute") {
			var a Attribute
			a.Name, _ = AttributeOf(attribute, "Name")
			a.NameFormat, _ = AttributeOf(attribute, "NameFormat")
			a.FriendlyName, _ = AttributeOf(attribute, "FriendlyName")
			for _, value := range Children(attribute, NSAssertion, "AttributeValue") {
				v, err := TextOf(value)
				if err != nil {
					v = "(an element)"
				}
				a.Values = append(a.Values, v)
			}
			c.Attributes = append(c.Attributes, a)
		}
	}
}

// signature notes by what an element is signed, if it is.
func (c *Captured) signature(el *etree.Element) bool {
	found := Children(el, NSSignature, "Signature")
	for _, s := range found {
		for _, info := range Children(s, NSSignature, "SignedInfo") {
			for _, method := range Children(info, NSSignature, "SignatureMethod") {
				c.SignatureMethod, _ = AttributeOf(method, "Algorithm")
			}
		}
		for _, info := range Children(s, NSSignature, "KeyInfo") {
			for _, data := range Children(info, NSSignature, "X509Data") {
				for _, certificate := range Children(data, NSSignature, "X509Certificate") {
					text, err := TextOf(certificate)
					if err != nil {
						continue
					}
					if der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
						sum := sha256.Sum256(der)
						c.Certificate = hex.EncodeToString(sum[:])
					}
				}
			}
		}
	}
	return len(found) > 0
}
