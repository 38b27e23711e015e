package idp

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// ownCanonical is exclusive canonicalization without comments (xml-exc-c14n 3) of
// elements that this package has built. goxmldsig's own gives the same octets, but
// rearranges the tree and copies two maps of namespaces for each element, which cost
// more than everything else of a launch beside RSA. What others send is not verified
// by it.
type ownCanonical struct{}

func (ownCanonical) Algorithm() dsig.AlgorithmID { return dsig.CanonicalXML10ExclusiveAlgorithmId }

// Canonicalize returns the canonical octets of el, and leaves it as it is.
func (ownCanonical) Canonicalize(el *etree.Element) ([]byte, error) { return writeXML(el) }

// writeXML writes an element in canonical form: what leaves is octet for octet what
// was signed. The declarations around el count as its own; those that nothing uses
// as a prefix of a name are left out.
func writeXML(el *etree.Element) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(8 << 10) // a Response with an assertion, at once
	t := treeWriter{to: newCanonical(&out, "")}
	var around []*etree.Element
	for up := el.Parent(); up != nil; up = up.Parent() {
		around = append(around, up)
	}
	for _, up := range slices.Backward(around) {
		if err := t.names.open(t.tag(up)); err != nil {
			return nil, fmt.Errorf("%s around %s: %w", up.Tag, el.Tag, err)
		}
	}
	if err := t.element(el); err != nil {
		return nil, fmt.Errorf("write %s in canonical form: %w", el.Tag, err)
	}
	return out.Bytes(), nil
}

// treeWriter hands a tree to the canonical writer, token by token.
type treeWriter struct {
	to         *canonical
	names      namespaces
	attributes []xml.Attr // of the tag at hand
	data       []byte     // the text at hand
}

func (t *treeWriter) tag(el *etree.Element) xml.StartElement {
	t.attributes = t.attributes[:0]
	for _, a := range el.Attr {
		t.attributes = append(t.attributes, xml.Attr{Name: xml.Name{Space: a.Space, Local: a.Key}, Value: characters(a.Value)})
	}
	return xml.StartElement{Name: xml.Name{Space: el.Space, Local: el.Tag}, Attr: t.attributes}
}

func (t *treeWriter) element(el *etree.Element) error {
	start := t.tag(el)
	if err := t.names.open(start); err != nil {
		return err
	}
	if err := t.to.start(start, &t.names); err != nil {
		return err
	}
	for _, child := range el.Child {
		var err error
		switch c := child.(type) {
		case *etree.Element:
			err = t.element(c)
		case *etree.CharData:
			t.data = append(t.data[:0], characters(c.Data)...)
			err = t.to.text(t.data)
		case *etree.Comment:
		default:
			err = fmt.Errorf("%T has no place in a message", child)
		}
		if err != nil {
			return err
		}
	}
	t.names.close()
	return t.to.end(start.Name)
}

// characters puts U+FFFD in the place of what XML has no way to write (xml 2.2): a
// control character in a person's record must not make the document unreadable.
func characters(s string) string {
	for i := range len(s) {
		if s[i] >= ' ' && s[i] < 0x7f || s[i] == '\t' || s[i] == '\n' || s[i] == '\r' {
			continue
		}
		return strings.Map(func(r rune) rune {
			switch {
			case r == '\t', r == '\n', r == '\r', r >= ' ' && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
				return r
			}
			return '\ufffd'
		}, s)
	}
	return s
}
