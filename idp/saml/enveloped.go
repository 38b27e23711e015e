package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	digests "hash"
	"slices"

	"github.com/beevik/etree"
)

// Limits of a signature that stands in a stream.
const (
	maxSignatureBytes   = 64 << 10
	maxSignatureElement = 200
)

// EnvelopedVerifier checks the enveloped signature of one element while that element is read
// as a stream. The signature stands first in it (saml-metadata 2.3.1, 2.3.2), so
// that its algorithms are known before what they are applied to: the start tag
// and the white space behind it wait until then.
//
// Accepted is what verifyElement accepts of a message: one reference to the
// element's own ID, the two transforms that SAML allows, algorithms of the
// allow-list without SHA-1. A nil one watches nothing.
type EnvelopedVerifier struct {
	id      string
	begun   xml.StartElement
	context Namespaces // in scope at the start tag
	waiting []byte     // text before the first child
	depth   int        // of open elements inside, the element itself counted
	state   envelopedState

	signature *ElementBuilder
	inside    int // open elements of the signature
	bytes     int

	parsed    *xmlSignature
	info      signedInfo
	canonical *canonical
	signed    []byte // SignedInfo in canonical form
	sum       digests.Hash
	fault     *Fault // of the signature; returned by Verify
}

type envelopedState int

const (
	envelopedWaits    envelopedState = iota // no child element yet
	envelopedReads                          // inside the signature
	envelopedHashes                         // behind the signature
	envelopedUnsigned                       // the first child is something else
)

// NewEnvelopedVerifier watches the element that starts here; in are the declarations in scope, its own included.
func NewEnvelopedVerifier(t xml.StartElement, in *Namespaces) *EnvelopedVerifier {
	s := &EnvelopedVerifier{begun: t.Copy(), depth: 1, context: Namespaces{all: slices.Clone(in.all), depth: in.depth}}
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == "ID" {
			s.id = a.Value
		}
	}
	return s
}

// MaybeSigned reports whether the element has, or can still have, a signature.
func (s *EnvelopedVerifier) MaybeSigned() bool { return s == nil || s.state != envelopedUnsigned }

// Start takes a start tag inside the element, and whether it is that of a ds:Signature.
func (s *EnvelopedVerifier) Start(t xml.StartElement, in *Namespaces, signature bool) error {
	if s == nil || s.depth == 0 {
		return nil
	}
	s.depth++
	switch s.state {
	case envelopedWaits:
		if !signature || s.depth != 2 {
			s.state, s.waiting = envelopedUnsigned, nil
			return nil
		}
		s.state, s.inside = envelopedReads, 1
		s.signature = NewElementBuilder(maxSignatureElement, false)
		return s.signature.Start(t, in, 0)
	case envelopedReads:
		s.inside++
		return s.signature.Start(t, in, 0)
	case envelopedHashes:
		return s.canonical.start(t, in)
	}
	return nil
}

// End takes an end tag, the element's own included.
func (s *EnvelopedVerifier) End(name xml.Name) error {
	if s == nil || s.depth == 0 {
		return nil
	}
	s.depth--
	switch s.state {
	case envelopedWaits:
		s.state = envelopedUnsigned // it ended without a child
	case envelopedReads:
		s.signature.End()
		if s.inside--; s.inside == 0 {
			return s.begin()
		}
	case envelopedHashes:
		return s.canonical.end(name)
	}
	return nil
}

// Text takes character data inside the element.
func (s *EnvelopedVerifier) Text(data []byte) error {
	if s == nil || s.depth == 0 {
		return nil
	}
	switch s.state {
	case envelopedWaits:
		if len(s.waiting)+len(data) > maxSignatureBytes {
			return fmt.Errorf("more than %d KiB stand before the signature", maxSignatureBytes>>10)
		}
		s.waiting = append(s.waiting, data...)
	case envelopedReads:
		if s.bytes += len(data); s.bytes > maxSignatureBytes {
			return fmt.Errorf("the signature has more than %d KiB", maxSignatureBytes>>10)
		}
		s.signature.Text(data)
	case envelopedHashes:
		return s.canonical.text(data)
	}
	return nil
}

// begin reads the signature and takes up the digest of what it is over. A fault
// waits for Verify: what comes behind is read to its end in any case.
func (s *EnvelopedVerifier) begin() error {
	s.fault = s.readSignature(s.signature.root)
	s.signature = nil
	if s.fault != nil {
		s.state = envelopedHashes
		s.canonical = newCanonical(discard{}, "")
	} else {
		s.state = envelopedHashes
		s.sum = s.info.digest.hash.New()
		s.canonical = newCanonical(s.sum, s.info.prefixes)
	}
	if err := s.canonical.start(s.begun, &s.context); err != nil {
		return err
	}
	err := s.canonical.text(s.waiting)
	s.begun, s.context, s.waiting = xml.StartElement{}, Namespaces{}, nil
	return err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (s *EnvelopedVerifier) readSignature(el *etree.Element) (bad *Fault) {
	if s.parsed, bad = readSignature(el); bad != nil {
		return bad
	}
	var err error
	if s.signed, err = canonicalSignedInfo(el, s.parsed); err != nil {
		return badForm("SignedInfo has no canonical form: "+err.Error(), "")
	}
	if s.info, bad = signedInfoOf(s.signed); bad != nil {
		return bad
	}
	if s.id == "" || s.info.uri != "#"+s.id {
		return badForm(fmt.Sprintf("the signature's reference %.80q is not the ID of the element that it stands in",
			s.info.uri), "sign by a reference to that ID (saml-metadata 3.1)")
	}
	var t Trust // SHA-1 is never taken here
	if bad := t.accepts(s.info.method, s.info.methodKnown, "SignatureMethod", s.info.methodURI); bad != nil {
		return bad
	}
	return t.accepts(s.info.digest, s.info.digestKnown, "DigestMethod", s.info.digestURI)
}

// Verify is called once the document was read to its end.
func (s *EnvelopedVerifier) Verify(key *x509.Certificate) *Fault {
	t := Trust{certificates: []*x509.Certificate{key}}
	const fix = "compare the trust key with what the publisher of the metadata announces; the file must be as it was " +
		"published, byte for byte"
	switch {
	case s.state != envelopedHashes:
		return badForm("the metadata is not signed, and a trust key was given: neither the document's root nor the entity "+
			"has a signature as its first element",
			"take the signed file, or import it without a trust key after having checked it in another way")
	case s.fault != nil:
		return &Fault{s.fault.Reason, s.fault.Status, s.fault.Detail,
			"ask its publisher to sign as saml-core 5.4 describes it"}
	case !t.verifies(s.info.method, s.signed, s.parsed.value):
		return badSignature("the signature was not made by the trust key", fix)
	case !bytes.Equal(s.sum.Sum(nil), s.info.digestValue):
		return badSignature("the metadata is not what was signed: its digest differs", fix)
	}
	return nil
}
