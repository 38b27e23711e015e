package saml

import (
	"encoding/xml"
	"errors"

	"github.com/beevik/etree"
)

// ElementBuilder builds an element out of tokens, within a bound of elements.
type ElementBuilder struct {
	root, at *etree.Element
	left     int
	lines    map[*etree.Element]int
	ids      map[string]bool
}

// NewElementBuilder takes an element of at most so many elements. With lines it notes in which line each one starts.
func NewElementBuilder(elements int, lines bool) *ElementBuilder {
	b := &ElementBuilder{left: elements}
	if lines {
		b.lines = map[*etree.Element]int{}
	}
	return b
}

// Root is the element; nil as long as it has not begun.
func (b *ElementBuilder) Root() *etree.Element { return b.root }

// Lines says where each element starts.
func (b *ElementBuilder) Lines() map[*etree.Element]int { return b.lines }

// Start takes a start tag. in are the declarations in scope, its own included.
func (b *ElementBuilder) Start(t xml.StartElement, in *Namespaces, line int) error {
	if b.left--; b.left < 0 {
		return errors.New("it has too many elements")
	}
	el := etree.NewElement(fullName(t.Name))
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == "ID" {
			if b.ids[a.Value] {
				return errors.New("one ID is used twice")
			}
			if b.ids == nil {
				b.ids = map[string]bool{}
			}
			b.ids[a.Value] = true
		}
		el.CreateAttr(fullName(a.Name), a.Value)
	}
	if b.root == nil {
		// What the elements around it declare holds inside too.
		in.InScope(func(prefix, uri string) {
			key := "xmlns"
			if prefix != "" {
				key += ":" + prefix
			}
			if el.SelectAttr(key) == nil && uri != "" {
				el.CreateAttr(key, uri)
			}
		})
		b.root = el
	} else {
		b.at.AddChild(el)
	}
	b.at = el
	if b.lines != nil {
		b.lines[el] = line
	}
	return nil
}

// End takes an end tag and reports whether the whole element has ended.
func (b *ElementBuilder) End() bool {
	b.at = b.at.Parent()
	return b.at == nil
}

// Text takes character data.
func (b *ElementBuilder) Text(data []byte) { b.at.CreateText(string(data)) }

// Comment takes a comment.
func (b *ElementBuilder) Comment(data []byte) { b.at.CreateComment(string(data)) }

func fullName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}
