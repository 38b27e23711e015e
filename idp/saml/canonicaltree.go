package saml

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"

	"github.com/beevik/etree"
)

// writeXML writes a tree that this package has built, such as our metadata, in exclusive canonical form without
// comments (xml-exc-c14n 3). goxmldsig's own canonicalizer gives the same octets, but rearranges the tree and copies
// two maps of Namespaces for each element. What others send is not verified by this. The declarations around el count
// as its own; those that nothing uses as a prefix of a name are left out.
func writeXML(el *etree.Element) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(8 << 10) // a Response with an assertion, at once
	t := treeWriter{to: newCanonical(&out, "")}
	var around []*etree.Element
	for up := el.Parent(); up != nil; up = up.Parent() {
		around = append(around, up)
	}
	for _, up := range slices.Backward(around) {
		if err := t.names.Open(t.tag(up)); err != nil {
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
	names      Namespaces
	attributes []xml.Attr // of the tag at hand
	data       []byte     // the text at hand
}

func (t *treeWriter) tag(el *etree.Element) xml.StartElement {
	t.attributes = t.attributes[:0]
	for _, a := range el.Attr {
		t.attributes = append(t.attributes, xml.Attr{Name: xml.Name{Space: a.Space, Local: a.Key},
			Value: characters(a.Value)})
	}
	return xml.StartElement{Name: xml.Name{Space: el.Space, Local: el.Tag}, Attr: t.attributes}
}

func (t *treeWriter) element(el *etree.Element) error {
	start := t.tag(el)
	if err := t.names.Open(start); err != nil {
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
	t.names.Close()
	return t.to.end(start.Name)
}
