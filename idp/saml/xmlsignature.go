package saml

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Algorithm identifiers of XML Signature.
const (
	algEnveloped        = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	algExclusive        = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algExclusiveComment = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"
)

// maxCanonicalWork bounds elements times namespace declarations of what is
// brought into canonical form: the canonicalizer copies all declarations for each
// element. A genuine request comes to about a thousand.
const maxCanonicalWork = 1 << 18

// algorithm is a signature or digest method.
type algorithm struct {
	key  x509.PublicKeyAlgorithm // unset for a digest
	hash crypto.Hash
}

// signatureMethods and digestMethods are the allow-list (row REQ-12). SHA-1 is
// in it so that it can be named; Trust.accepts decides about it.
var (
	signatureMethods = map[string]algorithm{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   {x509.RSA, crypto.SHA256},
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   {x509.RSA, crypto.SHA384},
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   {x509.RSA, crypto.SHA512},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": {x509.ECDSA, crypto.SHA256},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": {x509.ECDSA, crypto.SHA384},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": {x509.ECDSA, crypto.SHA512},
		"http://www.w3.org/2000/09/xmldsig#rsa-sha1":          {x509.RSA, crypto.SHA1},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1":   {x509.ECDSA, crypto.SHA1},
	}
	digestMethods = map[string]algorithm{
		"http://www.w3.org/2001/04/xmlenc#sha256":       {hash: crypto.SHA256},
		"http://www.w3.org/2001/04/xmldsig-more#sha384": {hash: crypto.SHA384},
		"http://www.w3.org/2001/04/xmlenc#sha512":       {hash: crypto.SHA512},
		"http://www.w3.org/2000/09/xmldsig#sha1":        {hash: crypto.SHA1},
	}
)

// xmlSignature is a ds:Signature beside its SignedInfo. Nothing in it is signed.
type xmlSignature struct {
	info        *etree.Element
	prefixes    string // of the canonicalization of SignedInfo
	value       []byte
	certificate []byte // the first that KeyInfo shows, for the log; nil: none
}

// signedInfo is a ds:SignedInfo, read from its canonical form.
type signedInfo struct {
	method      algorithm
	methodURI   string
	methodKnown bool
	uri         string
	prefixes    string // of the canonicalization of the document
	digest      algorithm
	digestURI   string
	digestKnown bool
	digestValue []byte
}

// hasSignature looks for a ds:Signature, wherever it stands.
func hasSignature(el *etree.Element) bool {
	if Is(el, NSSignature, "Signature") {
		return true
	}
	return slices.ContainsFunc(el.ChildElements(), hasSignature)
}

// unsignedXML refuses a signature inside a message of the HTTP-Redirect binding:
// there it must have been taken out, and the query is signed in its place
// (saml-bindings 3.4.4.1). To pass over it would be to let a wrong one pass.
func unsignedXML(root *etree.Element) *Fault {
	if !hasSignature(root) {
		return nil
	}
	return &Fault{ReasonSignatureInXML, http.StatusBadRequest,
		"the service provider signs inside the XML on the HTTP-Redirect binding",
		"let it sign the query (SigAlg and Signature, saml-bindings 3.4.4.1), or send its request by HTTP-POST"}
}

// signatureOf finds the one signature of a document: the root's own, behind its
// Issuer. A document without any has none to return. Signatures in other places,
// or several, are what signature wrapping is made of, and refused whatever they
// are worth (saml-core 5.4.1).
func signatureOf(root *etree.Element) (*etree.Element, *Fault) {
	w := signatureWalk{}
	w.element(root)
	switch {
	case w.foreign:
		return nil, badForm("an element is called Signature and is not of XML Signature", "take it out of the message")
	case len(w.found) > 1:
		return nil, badForm(fmt.Sprintf("the message has %d signatures", len(w.found)), "sign the message once")
	case w.object:
		return nil, badForm("the message has a ds:Object or ds:Manifest", "sign without one (saml-core 5.4.1)")
	case len(w.found) == 0:
		return nil, nil
	}
	signature := w.found[0]
	if signature.Parent() != root {
		return nil, badForm("the signature stands on another element than the message",
			"sign the message itself (saml-core 5.4.1)")
	}
	at, issuers := -1, 0
	for i, c := range root.ChildElements() {
		if c == signature {
			at = i
		}
		if Is(c, NSAssertion, "Issuer") {
			issuers++
		}
	}
	if at > 1 || at != issuers || at == 1 && !Is(root.ChildElements()[0], NSAssertion, "Issuer") {
		return nil, badForm("the signature does not stand right behind the Issuer",
			"put it where the schema wants it (saml-core 3.2.1)")
	}
	id, _ := AttributeOf(root, "ID")
	if !isID(id) {
		return nil, badForm("the signed message has no ID", "give it one (saml-core 5.4.2)")
	}
	if sameID(root, id) > 1 {
		return nil, badForm("another element bears the message's ID", "use each ID once")
	}
	if w.comments {
		return nil, badForm("the signed message has a comment",
			"send it without comments: parsers differ in what they make of them")
	}
	if w.elements*(w.declarations+8) > maxCanonicalWork {
		return nil, badForm(fmt.Sprintf("the signed message has %d elements and %d namespace declarations", w.elements,
			w.declarations), "a genuine message is small: look at what the service provider sends")
	}
	return signature, nil
}

// signatureWalk looks over a document once.
type signatureWalk struct {
	found                     []*etree.Element
	object, comments, foreign bool
	elements, declarations    int
}

func (w *signatureWalk) element(el *etree.Element) {
	w.elements++
	switch namespace := el.NamespaceURI(); {
	case el.Tag == "Signature" && namespace == NSSignature:
		w.found = append(w.found, el)
	case el.Tag == "Signature":
		w.foreign = true
	case namespace == NSSignature && (el.Tag == "Object" || el.Tag == "Manifest"):
		w.object = true
	}
	for _, a := range el.Attr {
		if a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns" {
			w.declarations++
		}
	}
	for _, child := range el.Child {
		switch c := child.(type) {
		case *etree.Element:
			w.element(c)
		case *etree.Comment:
			w.comments = true
		}
	}
}

// sameID counts the elements that bear this ID in any of the attributes that
// some software takes for one.
func sameID(el *etree.Element, id string) int {
	count := 0
	for _, a := range el.Attr {
		if strings.EqualFold(a.Key, "ID") && a.Space != "xmlns" && a.Value == id {
			count++
		}
	}
	for _, c := range el.ChildElements() {
		count += sameID(c, id)
	}
	return count
}

// readSignature checks the form of a ds:Signature: what stands in it, how often
// and in which order (xmldsig-core1 4.1), so that two readers can't find two
// different things.
func readSignature(el *etree.Element) (*xmlSignature, *Fault) {
	parts, err := elements(el)
	if err != nil {
		return nil, brokenSignature(err)
	}
	if len(parts) < 2 || len(parts) > 3 || !Is(parts[0], NSSignature, "SignedInfo") || !Is(parts[1], NSSignature,
		"SignatureValue") ||
		len(parts) == 3 && !Is(parts[2], NSSignature, "KeyInfo") {
		return nil, brokenSignature(errors.New("it wants one SignedInfo, one SignatureValue and at most one KeyInfo, in " +
			"this order"))
	}
	s := &xmlSignature{info: parts[0]}
	// Shape and transforms first: what comes out of the canonical form is read again.
	if _, bad := readSignedInfo(parts[0]); bad != nil {
		return nil, bad
	}
	method := parts[0].ChildElements()[0]
	if s.prefixes, err = exclusive(method); err != nil {
		return nil, brokenSignature(fmt.Errorf("CanonicalizationMethod: %w", err))
	}
	if s.value, err = binary(parts[1]); err != nil {
		return nil, brokenSignature(err)
	}
	if len(parts) == 3 {
		if s.certificate, err = readKeyInfo(parts[2]); err != nil {
			return nil, brokenSignature(err)
		}
	}
	return s, nil
}

// readSignedInfo reads a ds:SignedInfo: one reference, with the two transforms
// that SAML allows and no others (saml-core 5.4.2 to 5.4.4).
func readSignedInfo(el *etree.Element) (info signedInfo, bad *Fault) {
	fail := func(format string, args ...any) (signedInfo, *Fault) {
		return signedInfo{}, brokenSignature(fmt.Errorf(format, args...))
	}
	parts, err := elements(el)
	if err != nil {
		return fail("SignedInfo: %w", err)
	}
	references := Children(el, NSSignature, "Reference")
	if len(references) != 1 {
		return fail("it has %d references, and one is allowed", len(references))
	}
	if len(parts) != 3 || !Is(parts[0], NSSignature, "CanonicalizationMethod") || !Is(parts[1], NSSignature,
		"SignatureMethod") || parts[2] != references[0] {
		return fail("SignedInfo wants CanonicalizationMethod, SignatureMethod and Reference, in this order")
	}
	if _, err := exclusive(parts[0]); err != nil {
		return fail("CanonicalizationMethod: %w", err)
	}
	if len(parts[1].Child) > 0 && len(parts[1].ChildElements()) > 0 {
		return fail("SignatureMethod has parameters") // such as a shorter output of an HMAC
	}
	info.methodURI, _ = AttributeOf(parts[1], "Algorithm")
	info.method, info.methodKnown = signatureMethods[info.methodURI]

	var sent bool
	if info.uri, sent = AttributeOf(references[0], "URI"); !sent || info.uri == "" {
		return fail("the reference has no URI")
	}
	inner, err := elements(references[0])
	if err != nil {
		return fail("Reference: %w", err)
	}
	if len(inner) != 3 || !Is(inner[0], NSSignature, "Transforms") || !Is(inner[1], NSSignature, "DigestMethod") ||
		!Is(inner[2], NSSignature, "DigestValue") {
		return fail("Reference wants Transforms, DigestMethod and DigestValue, in this order")
	}
	if info.prefixes, err = transforms(inner[0]); err != nil {
		return fail("%w", err)
	}
	if len(inner[1].ChildElements()) > 0 {
		return fail("DigestMethod has parameters")
	}
	info.digestURI, _ = AttributeOf(inner[1], "Algorithm")
	info.digest, info.digestKnown = digestMethods[info.digestURI]
	if info.digestValue, err = binary(inner[2]); err != nil {
		return fail("%w", err)
	}
	return info, nil
}

// transforms reads the two transforms: enveloped-signature, then exclusive
// canonicalization. Others can do anything, up to running a program (XSLT), or
// sign something else than what is read (XPath).
func transforms(el *etree.Element) (prefixes string, err error) {
	parts, err := elements(el)
	if err != nil {
		return "", err
	}
	for _, t := range parts {
		algorithm, _ := AttributeOf(t, "Algorithm")
		if !Is(t, NSSignature, "Transform") || algorithm != algEnveloped && algorithm != algExclusive &&
			algorithm != algExclusiveComment {
			return "", fmt.Errorf("the transform %.80q is not accepted, only enveloped-signature and exclusive "+
				"canonicalization are", algorithm)
		}
	}
	if len(parts) != 2 || parts[0].SelectAttrValue("Algorithm", "") != algEnveloped || len(parts[0].ChildElements()) > 0 {
		return "", errors.New("the transforms are not enveloped-signature and exclusive canonicalization, in this order")
	}
	if prefixes, err = exclusive(parts[1]); err != nil {
		return "", fmt.Errorf("Transform: %w", err)
	}
	return prefixes, nil
}

// exclusive reads a method of exclusive canonicalization and its prefix list. The
// form with comments is the same here, where a signed message has none.
func exclusive(el *etree.Element) (prefixes string, err error) {
	if a, _ := AttributeOf(el, "Algorithm"); a != algExclusive && a != algExclusiveComment {
		return "", fmt.Errorf("%.80q is not exclusive canonicalization", a)
	}
	parts, err := elements(el)
	if err != nil {
		return "", err
	}
	switch {
	case len(parts) == 0:
		return "", nil
	case len(parts) > 1 || !Is(parts[0], algExclusive, "InclusiveNamespaces") || len(parts[0].Child) > 0:
		return "", errors.New("it has unknown parameters")
	}
	prefixes, _ = AttributeOf(parts[0], "PrefixList")
	if len(prefixes) > 1024 {
		return "", errors.New("its PrefixList is too long")
	}
	return prefixes, nil
}

// readKeyInfo returns the first certificate. It is never trusted and only
// compared. What points elsewhere or brings transforms of its own is refused.
func readKeyInfo(el *etree.Element) ([]byte, error) {
	for _, c := range el.ChildElements() {
		switch {
		case Is(c, NSSignature, "RetrievalMethod"), Is(c, NSSignature, "Transforms"):
			return nil, fmt.Errorf("KeyInfo has a %s", c.Tag)
		case Is(c, NSSignature, "X509Data"):
			for _, holder := range Children(c, NSSignature, "X509Certificate") {
				if der, err := binary(holder); err == nil {
					return der, nil
				}
			}
		}
	}
	return nil, nil
}

// canonicalSignedInfo brings SignedInfo into canonical form, in which the
// signature is made over it.
func canonicalSignedInfo(signature *etree.Element, s *xmlSignature) ([]byte, error) {
	el := s.info.Copy()
	// The declarations of its ancestors hold for it too, and the copy stands alone.
	for up := signature; up != nil; up = up.Parent() {
		for _, a := range up.Attr {
			if (a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns") && el.SelectAttr(a.FullKey()) == nil {
				el.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(s.prefixes).Canonicalize(el)
}

// signedInfoOf reads SignedInfo from its canonical octets.
func signedInfoOf(canonical []byte) (signedInfo, *Fault) {
	el, err := readXML(canonical, maxDepth, maxElements)
	if err != nil {
		return signedInfo{}, brokenSignature(fmt.Errorf("SignedInfo: %w", err))
	}
	if !Is(el, NSSignature, "SignedInfo") {
		return signedInfo{}, brokenSignature(errors.New("SignedInfo is something else in canonical form"))
	}
	return readSignedInfo(el)
}

// elements returns the child elements of one that may hold nothing else but
// white space.
func elements(el *etree.Element) ([]*etree.Element, error) {
	var found []*etree.Element
	for _, child := range el.Child {
		switch c := child.(type) {
		case *etree.Element:
			found = append(found, c)
		case *etree.CharData:
			if strings.Trim(c.Data, " \t\r\n") != "" {
				return nil, fmt.Errorf("%.40q has text among its elements", el.Tag)
			}
		default:
			return nil, fmt.Errorf("%.40q has more than elements", el.Tag)
		}
	}
	return found, nil
}

// binary reads an element of type xs:base64Binary, which may have white space
// anywhere (xmlschema-2 3.2.16).
func binary(el *etree.Element) ([]byte, error) {
	s, err := TextOf(el)
	if err != nil {
		return nil, err
	}
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return nil, fmt.Errorf("%s is empty", el.Tag)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64", el.Tag)
	}
	return b, nil
}

func brokenSignature(err error) *Fault {
	return badForm("the signature: "+err.Error(),
		"sign as saml-core 5.4 describes it: enveloped, one reference, exclusive canonicalization")
}
