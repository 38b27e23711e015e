package saml

import (
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// treeCheck walks a parsed document. Its depth is bounded by the parser.
type treeCheck struct {
	left int
	ids  map[string]bool
}

func (t *treeCheck) element(el *etree.Element) error {
	if t.left--; t.left < 0 {
		return errors.New("it has too many elements")
	}
	// Names must be sound by the rules of XML namespaces: what :x or an undeclared
	// prefix means, parsers do not agree on.
	if el.Tag == "" || strings.Contains(el.Tag, ":") || el.Space != "" && el.NamespaceURI() == "" {
		return errors.New("it has an element name with no namespace to its prefix")
	}
	for i, a := range el.Attr {
		if a.Key == "" || strings.Contains(a.Key, ":") || a.Space != "" && a.Space != "xmlns" && a.Space != "xml" &&
			a.NamespaceURI() == "" {
			return errors.New("it has an attribute name with no namespace to its prefix")
		}
		for _, b := range el.Attr[:i] {
			if a.Space == b.Space && a.Key == b.Key {
				return errors.New("an attribute is given twice")
			}
		}
		if a.Space == "" && a.Key == "ID" {
			id := strings.Trim(a.Value, blanks)
			if t.ids[id] {
				return errors.New("one ID is used twice")
			}
			t.ids[id] = true
		}
	}
	for _, child := range el.Child {
		switch c := child.(type) {
		case *etree.Element:
			if err := t.element(c); err != nil {
				return err
			}
		case *etree.ProcInst:
			return errors.New("it has a processing instruction")
		case *etree.Directive:
			return errors.New("it has a declaration inside")
		}
	}
	return nil
}

// Is reports whether el has this name in this namespace.
func Is(el *etree.Element, namespace, name string) bool {
	return el.Tag == name && el.NamespaceURI() == namespace
}

// Children returns the children of this name.
func Children(el *etree.Element, namespace, name string) []*etree.Element {
	var found []*etree.Element
	for _, c := range el.ChildElements() {
		if Is(c, namespace, name) {
			found = append(found, c)
		}
	}
	return found
}

// AttributeOf returns an attribute without namespace, as SAML's own all are.
func AttributeOf(el *etree.Element, name string) (string, bool) {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value, true
		}
	}
	return "", false
}

// TextOf returns an element's text without the white space around it. Elements
// and comments inside are refused: what reads the text up to a comment and what
// reads past it would see two different values.
func TextOf(el *etree.Element) (string, error) {
	var b strings.Builder
	for _, child := range el.Child {
		c, ok := child.(*etree.CharData)
		if !ok {
			return "", fmt.Errorf("%s holds more than text", el.Tag)
		}
		b.WriteString(c.Data)
	}
	return strings.Trim(b.String(), blanks), nil
}
