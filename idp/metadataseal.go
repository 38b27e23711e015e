package idp

import (
	"bytes"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	digests "hash"
	"slices"

	"github.com/beevik/etree"
)

// seal checks the enveloped signature of one element while that element is read
// as a stream. The signature stands first in it (saml-metadata 2.3.1, 2.3.2), so
// that its algorithms are known before what they are applied to: the start tag
// and the white space behind it wait until then.
//
// Accepted is what verifyElement accepts of a message: one reference to the
// element's own ID, the two transforms that SAML allows, algorithms of the
// allow-list without SHA-1. A nil seal watches nothing.
type seal struct {
	id      string
	begun   xml.StartElement
	context namespaces // in scope at the start tag
	waiting []byte     // text before the first child
	depth   int        // of open elements inside, the element itself counted
	state   sealState

	signature *tree
	inside    int // open elements of the signature
	bytes     int

	parsed    *xmlSignature
	info      signedInfo
	canonical *canonical
	signed    []byte // SignedInfo in canonical form
	sum       digests.Hash
	fault     *fault // of the signature; told by verify
}

type sealState int

const (
	sealWaits    sealState = iota // no child element yet
	sealReads                     // inside the signature
	sealHashes                    // behind the signature
	sealUnsigned                  // the first child is something else
)

// seal watches the element that starts here, if there is a key to check with.
func (e *entityReader) seal(t xml.StartElement) *seal {
	if e.key == nil {
		return nil
	}
	s := &seal{begun: t.Copy(), depth: 1, context: namespaces{all: slices.Clone(e.names.all), depth: e.names.depth}}
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == "ID" {
			s.id = a.Value
		}
	}
	return s
}

// open tells whether the element has, or can still have, a signature.
func (s *seal) open() bool { return s == nil || s.state != sealUnsigned }

func (s *seal) start(t xml.StartElement, in *namespaces, signature bool) error {
	if s == nil || s.depth == 0 {
		return nil
	}
	s.depth++
	switch s.state {
	case sealWaits:
		if !signature || s.depth != 2 {
			s.state, s.waiting = sealUnsigned, nil
			return nil
		}
		s.state, s.inside = sealReads, 1
		s.signature = &tree{left: maxSignatureElement}
		return s.signature.start(t, in, 0)
	case sealReads:
		s.inside++
		return s.signature.start(t, in, 0)
	case sealHashes:
		return s.canonical.start(t, in)
	}
	return nil
}

func (s *seal) end(name xml.Name) error {
	if s == nil || s.depth == 0 {
		return nil
	}
	s.depth--
	switch s.state {
	case sealWaits:
		s.state = sealUnsigned // it ended without a child
	case sealReads:
		s.signature.end()
		if s.inside--; s.inside == 0 {
			return s.begin()
		}
	case sealHashes:
		return s.canonical.end(name)
	}
	return nil
}

func (s *seal) text(data []byte) error {
	if s == nil || s.depth == 0 {
		return nil
	}
	switch s.state {
	case sealWaits:
		if len(s.waiting)+len(data) > maxSignatureBytes {
			return fmt.Errorf("more than %d KiB stand before the signature", maxSignatureBytes>>10)
		}
		s.waiting = append(s.waiting, data...)
	case sealReads:
		if s.bytes += len(data); s.bytes > maxSignatureBytes {
			return fmt.Errorf("the signature has more than %d KiB", maxSignatureBytes>>10)
		}
		s.signature.text(data)
	case sealHashes:
		return s.canonical.text(data)
	}
	return nil
}

// begin reads the signature and takes up the digest of what it is over. A fault
// waits for verify: what comes behind is read to its end in any case.
func (s *seal) begin() error {
	s.fault = s.readSignature(s.signature.root)
	s.signature = nil
	if s.fault != nil {
		s.state = sealHashes
		s.canonical = newCanonical(discard{}, "")
	} else {
		s.state = sealHashes
		s.sum = s.info.digest.hash.New()
		s.canonical = newCanonical(s.sum, s.info.prefixes)
	}
	if err := s.canonical.start(s.begun, &s.context); err != nil {
		return err
	}
	err := s.canonical.text(s.waiting)
	s.begun, s.context, s.waiting = xml.StartElement{}, namespaces{}, nil
	return err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (s *seal) readSignature(el *etree.Element) (bad *fault) {
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
		return badForm(fmt.Sprintf("the signature's reference %.80q is not the ID of the element that it stands in", s.info.uri), "sign by a reference to that ID (saml-metadata 3.1)")
	}
	var t trust // SHA-1 is never taken here
	if bad := t.accepts(s.info.method, s.info.methodKnown, "SignatureMethod", s.info.methodURI); bad != nil {
		return bad
	}
	return t.accepts(s.info.digest, s.info.digestKnown, "DigestMethod", s.info.digestURI)
}

// verify is asked once the document was read to its end.
func (s *seal) verify(key *x509.Certificate) error {
	t := trust{certificates: []*x509.Certificate{key}}
	const mend = "compare the trust key with what the publisher of the metadata announces; the file must be as it was published, byte for byte"
	switch {
	case s.state != sealHashes:
		return metadataFault(0, "take the signed file, or import it without a trust key after having checked it in another way",
			"the metadata is not signed, and a trust key was given: neither the document's root nor the entity has a signature as its first element")
	case s.fault != nil:
		return metadataFault(0, "ask its publisher to sign as saml-core 5.4 describes it", "%s", s.fault.detail)
	case !t.verifies(s.info.method, s.signed, s.parsed.value):
		return metadataFault(0, mend, "the signature was not made by the trust key")
	case !bytes.Equal(s.sum.Sum(nil), s.info.digestValue):
		return metadataFault(0, mend, "the metadata is not what was signed: its digest differs")
	}
	return nil
}
