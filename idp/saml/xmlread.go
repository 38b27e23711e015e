package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
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

// declaredEncoding and declaredVersion find what an XML declaration says.
var (
	declaredEncoding = regexp.MustCompile(`encoding\s*=\s*["']([^"']*)["']`)
	declaredVersion  = regexp.MustCompile(`version\s*=\s*["']([^"']*)["']`)
)

// parseXML reads a document from outside and returns its root. One parser reads
// it, and what that parser returned is all that is ever looked at (row REQ-03:
// where two parsers differ, an attacker speaks to each in turn). Refused are: what does not
// survive a round trip through encoding/xml, DTDs and processing instructions,
// anything but white space and comments beside the root, nesting and element
// counts past their bounds, an attribute given twice, one ID used twice.
func parseXML(data []byte, maxDepth, maxElements int) (*etree.Element, error) {
	data, err := inUTF8(data)
	if err != nil {
		return nil, err
	}
	if err := bounded(data, maxDepth, maxElements); err != nil {
		return nil, err
	}
	if err := roundTrips(data); err != nil {
		return nil, errors.New("it is not well-formed XML, or means different things to different parsers")
	}
	return readXML(data, maxDepth, maxElements)
}

// inUTF8 is a document from outside without what may stand before it: a byte order mark, as Windows writes it, and
// white space.
func inUTF8(data []byte) ([]byte, error) {
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), blanks)
	for _, begin := range []string{"\xff\xfe", "\xfe\xff", "<\x00", "\x00<"} { // with a byte order mark, or without
		if bytes.HasPrefix(data, []byte(begin)) {
			return nil, errors.New("it is in UTF-16, and UTF-8 is read")
		}
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	return data, nil
}

// checkDeclaration looks at the XML declaration of a document that is UTF-8. What it says of the encoding is wrong in
// practice more often than right: .NET writes utf-16 over UTF-8. It is passed over where it makes no difference, and
// refused where the same octets would be another text by it.
func checkDeclaration(declaration string, ascii bool) error {
	if m := declaredVersion.FindStringSubmatch(declaration); m != nil && m[1] != "1.0" {
		return fmt.Errorf("it is XML %.20q, and 1.0 is read", m[1])
	}
	m := declaredEncoding.FindStringSubmatch(declaration)
	if m == nil {
		return nil
	}
	switch name := strings.ToLower(strings.TrimSpace(m[1])); {
	case name == "", name == "utf-8", name == "utf8":
	case strings.HasPrefix(name, "utf-16"), name == "utf16", name == "unicode", name == "ucs-2",
		name == "iso-10646-ucs-2":
		// The octets are UTF-8, which as UTF-16 would be no XML at all.
	case ascii && (name == "us-ascii" || name == "ascii" || strings.HasPrefix(name, "iso-8859-") ||
		strings.HasPrefix(name, "windows-125") || name == "latin1"):
		// These agree with UTF-8 on what is ASCII.
	default:
		return fmt.Errorf("it declares an encoding other than UTF-8, %.40q", m[1])
	}
	return nil
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
	ascii := bytes.IndexFunc(data, func(r rune) bool { return r > unicode.MaxASCII }) < 0
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
			if err := checkDeclaration(c.Inst, ascii); err != nil {
				return nil, err
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
