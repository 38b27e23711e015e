package saml

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// canonical writes one element in exclusive canonical form without comments
// (xml-exc-c14n 3), token by token as the element is read. A library would need
// the whole of it in memory, and a federation's file has tens of megabytes.
// Attribute values count as the decoder returns them: a line end that stands in
// one as such, and not as a character reference, makes another digest than the
// signer's, so that the file is refused.
type canonical struct {
	to        io.Writer
	inclusive []string   // prefixes of the InclusiveNamespaces list, "" for #default
	rendered  Namespaces // what the output has declared
	line      bytes.Buffer

	// Of the start tag at hand; kept so that their memory is used again.
	seen, used           []string
	declared, attributes []xml.Attr
}

func newCanonical(to io.Writer, prefixList string) *canonical {
	c := &canonical{to: to, inclusive: strings.Fields(prefixList)}
	for i, p := range c.inclusive {
		if p == "#default" {
			c.inclusive[i] = ""
		}
	}
	return c
}

// start writes a start tag. in are the declarations in scope, its own included.
func (c *canonical) start(el xml.StartElement, in *Namespaces) error {
	attributes, declared := c.attributes[:0], c.declared[:0]
	seen := append(c.seen[:0], el.Name.Space)
	for _, a := range el.Attr {
		if _, ok := Declares(a); ok {
			continue
		}
		attributes = append(attributes, a)
		if a.Name.Space != "" {
			seen = append(seen, a.Name.Space)
		}
	}
	used := append(append(c.used[:0], c.inclusive...), seen...)
	slices.Sort(used)
	used = slices.Compact(used)
	for _, prefix := range used {
		if prefix == "xml" {
			continue
		}
		uri, ok := in.URI(prefix)
		switch before, _ := c.rendered.URI(prefix); {
		case !ok && slices.Contains(seen, prefix):
			return errors.New("a namespace prefix is not declared")
		case !ok, before == uri: // a prefix is never declared as "", so that nothing before is nothing now
			continue
		}
		name := xml.Name{Space: "xmlns", Local: prefix}
		if prefix == "" {
			name = xml.Name{Local: "xmlns"}
		}
		declared = append(declared, xml.Attr{Name: name, Value: uri})
	}
	c.seen, c.used, c.declared, c.attributes = seen, used, declared, attributes
	if err := c.rendered.Open(xml.StartElement{Attr: declared}); err != nil {
		return err
	}
	slices.SortStableFunc(attributes, func(a, b xml.Attr) int {
		return cmp.Or(cmp.Compare(attributeNamespace(a, in), attributeNamespace(b, in)),
			cmp.Compare(a.Name.Local, b.Name.Local))
	})
	c.line.Reset()
	c.line.WriteByte('<')
	c.name(el.Name)
	for _, list := range [][]xml.Attr{declared, attributes} {
		for _, a := range list {
			c.line.WriteByte(' ')
			c.name(a.Name)
			c.line.WriteString(`="`)
			escapeAttribute(&c.line, a.Value)
			c.line.WriteByte('"')
		}
	}
	c.line.WriteByte('>')
	return c.flush()
}

func attributeNamespace(a xml.Attr, in *Namespaces) string {
	if a.Name.Space == "" {
		return "" // the default namespace is not an attribute's
	}
	uri, _ := in.URI(a.Name.Space)
	return uri
}

func (c *canonical) end(name xml.Name) error {
	c.rendered.Close()
	c.line.Reset()
	c.line.WriteString("</")
	c.name(name)
	c.line.WriteByte('>')
	return c.flush()
}

func (c *canonical) text(data []byte) error {
	c.line.Reset()
	written := 0
	for i, b := range data {
		var escaped string
		switch b {
		case '&':
			escaped = "&amp;"
		case '<':
			escaped = "&lt;"
		case '>':
			escaped = "&gt;"
		case '\r':
			escaped = "&#xD;"
		default:
			continue
		}
		c.line.Write(data[written:i])
		c.line.WriteString(escaped)
		written = i + 1
	}
	c.line.Write(data[written:])
	return c.flush()
}

func escapeAttribute(w *bytes.Buffer, value string) {
	written := 0
	for i := range len(value) {
		var escaped string
		switch value[i] {
		case '&':
			escaped = "&amp;"
		case '<':
			escaped = "&lt;"
		case '"':
			escaped = "&quot;"
		case '\t':
			escaped = "&#x9;"
		case '\n':
			escaped = "&#xA;"
		case '\r':
			escaped = "&#xD;"
		default:
			continue
		}
		w.WriteString(value[written:i])
		w.WriteString(escaped)
		written = i + 1
	}
	w.WriteString(value[written:])
}

func (c *canonical) name(n xml.Name) {
	if n.Space != "" {
		c.line.WriteString(n.Space)
		c.line.WriteByte(':')
	}
	c.line.WriteString(n.Local)
}

func (c *canonical) flush() error {
	_, err := c.to.Write(c.line.Bytes())
	return err
}
