package idp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	xrv "github.com/mattermost/xml-roundtrip-validator"
)

// Limits inside a document from outside.
const (
	maxDepth      = 32
	maxElements   = 1000
	maxAttributes = 64      // of one element
	maxTag        = 8 << 10 // bytes of one tag beside its attributes' values
)

// declaredEncoding finds the encoding in an XML declaration.
var declaredEncoding = regexp.MustCompile(`encoding\s*=\s*["']([^"']*)["']`)

// XML namespaces.
const (
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
)

// parseXML reads a document from outside and returns its root. One parser reads
// it, and what that parser returned is all that is ever looked at (row REQ-03:
// where two parsers differ, an attacker speaks to each in turn). Refused are: what does not
// survive a round trip through encoding/xml, DTDs and processing instructions,
// anything but white space and comments beside the root, nesting and element
// counts past their bounds, an attribute given twice, one ID used twice.
func parseXML(data []byte, maxDepth, maxElements int) (*etree.Element, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark, as Windows writes it
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	if err := bounded(data, maxDepth, maxElements); err != nil {
		return nil, err
	}
	if err := roundTrips(data); err != nil {
		return nil, errors.New("it is not well-formed XML, or means different things to different parsers")
	}
	return readXML(data, maxDepth, maxElements)
}

// roundTrips is what xrv.Validate does, and the checks are its own. Only that one
// allocates for each byte that it reads, which is half of the cost of a request.
func roundTrips(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = false
	d.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = xrv.CheckToken(token)
		}
		if err != nil {
			return fmt.Errorf("round trip: %w", err)
		}
	}
}

// readXML is parseXML without its first half, for octets that we wrote
// ourselves: the canonical form of what passed parseXML. There is nothing between
// the octets and what is read of them that could differ for anybody else.
func readXML(data []byte, maxDepth, maxElements int) (*etree.Element, error) {
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveDuplicateAttrs = true // seen and refused below
	doc.ReadSettings.MaxDepth = maxDepth
	if err := doc.ReadFromBytes(data); err != nil {
		if errors.Is(err, etree.ErrMaxDepth) {
			return nil, fmt.Errorf("its elements nest deeper than %d", maxDepth)
		}
		return nil, errors.New("it is not well-formed XML")
	}
	var root *etree.Element
	for i, child := range doc.Child {
		switch c := child.(type) {
		case *etree.Element:
			if root != nil {
				return nil, errors.New("it has two root elements")
			}
			root = c
		case *etree.ProcInst:
			if c.Target != "xml" || i != 0 {
				return nil, errors.New("it has a processing instruction")
			}
			if m := declaredEncoding.FindStringSubmatch(c.Inst); m != nil && !strings.EqualFold(m[1], "UTF-8") {
				return nil, errors.New("it declares an encoding other than UTF-8")
			}
		case *etree.CharData:
			if strings.Trim(c.Data, " \t\r\n") != "" {
				return nil, errors.New("text stands beside the root element")
			}
		case *etree.Comment:
		default:
			return nil, errors.New("it has a document type declaration")
		}
	}
	if root == nil {
		return nil, errors.New("it has no root element")
	}
	check := treeCheck{left: maxElements, ids: map[string]bool{}}
	return root, check.element(root)
}

// bounded looks over a document before any parser does, and refuses what would
// cost one much: the round trip takes thousands of bytes for each token, and time
// by the square of an element's attributes. It is linear and allocates nothing. It
// is no parser: what it lets pass is still checked in full.
func bounded(data []byte, maxDepth, maxElements int) error {
	depth, elements, other := 0, 0, 0
	for {
		at := bytes.IndexByte(data, '<')
		if at < 0 {
			return nil
		}
		data = data[at:]
		end := ""
		switch {
		case bytes.HasPrefix(data, []byte("<!--")):
			end, data = "-->", data[len("<!--"):]
		case bytes.HasPrefix(data, []byte("<![CDATA[")):
			end = "]]>"
		case bytes.HasPrefix(data, []byte("<!")):
			return errors.New("it has a document type declaration")
		case bytes.HasPrefix(data, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(data, []byte("</")):
			end = ">"
			depth--
		}
		if end != "" {
			if end != ">" {
				other++
			}
			stop := bytes.Index(data, []byte(end))
			if stop < 0 {
				return errors.New("it is not well-formed XML")
			}
			data = data[stop+len(end):]
		} else {
			length, closed, err := tag(data)
			if err != nil {
				return err
			}
			data = data[length:]
			elements++
			if !closed {
				depth++
			}
		}
		switch {
		case depth < 0:
			return errors.New("it is not well-formed XML")
		case depth > maxDepth:
			return fmt.Errorf("its elements nest deeper than %d", maxDepth)
		case elements > maxElements:
			return fmt.Errorf("it has more than %d elements", maxElements)
		case other > maxElements:
			return errors.New("it has too many comments or sections")
		}
	}
}

// tag measures the start tag at the beginning of data, and tells whether it
// closes itself.
func tag(data []byte) (length int, closed bool, err error) {
	attributes, outside := 0, 0
	for i := 1; i < len(data); i++ {
		switch c := data[i]; c {
		case '>':
			return i + 1, data[i-1] == '/', nil
		case '"', '\'':
			stop := bytes.IndexByte(data[i+1:], c)
			if stop < 0 {
				return 0, false, errors.New("it is not well-formed XML")
			}
			i += stop + 1
			attributes++
		default:
			outside++
		}
		if attributes > maxAttributes || outside > maxTag {
			return 0, false, fmt.Errorf("an element has more than %d attributes", maxAttributes)
		}
	}
	return 0, false, errors.New("it is not well-formed XML")
}

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
		if a.Key == "" || strings.Contains(a.Key, ":") || a.Space != "" && a.Space != "xmlns" && a.Space != "xml" && a.NamespaceURI() == "" {
			return errors.New("it has an attribute name with no namespace to its prefix")
		}
		for _, b := range el.Attr[:i] {
			if a.Space == b.Space && a.Key == b.Key {
				return errors.New("an attribute is given twice")
			}
		}
		if a.Space == "" && a.Key == "ID" {
			if t.ids[a.Value] {
				return errors.New("one ID is used twice")
			}
			t.ids[a.Value] = true
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

// is tells whether el has this name in this namespace.
func is(el *etree.Element, namespace, name string) bool {
	return el.Tag == name && el.NamespaceURI() == namespace
}

// children returns the children of this name.
func children(el *etree.Element, namespace, name string) []*etree.Element {
	var found []*etree.Element
	for _, c := range el.ChildElements() {
		if is(c, namespace, name) {
			found = append(found, c)
		}
	}
	return found
}

// attribute returns an attribute without namespace, as SAML's own all are.
func attribute(el *etree.Element, name string) (string, bool) {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value, true
		}
	}
	return "", false
}

// text returns an element's text without the white space around it. Elements
// and comments inside are refused: what reads the text up to a comment and what
// reads past it would see two different values.
func text(el *etree.Element) (string, error) {
	var b strings.Builder
	for _, child := range el.Child {
		c, ok := child.(*etree.CharData)
		if !ok {
			return "", fmt.Errorf("%s holds more than text", el.Tag)
		}
		b.WriteString(c.Data)
	}
	return strings.Trim(b.String(), " \t\r\n"), nil
}

// boolean reads an xs:boolean attribute; ok is false where it is absent.
func boolean(el *etree.Element, name string) (value, ok bool, err error) {
	v, ok := attribute(el, name)
	if !ok {
		return false, false, nil
	}
	switch strings.Trim(v, " \t\r\n") {
	case "true", "1":
		return true, true, nil
	case "false", "0":
		return false, true, nil
	}
	return false, true, fmt.Errorf("%s is neither true nor false", name)
}
