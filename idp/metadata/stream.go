package metadata

import (
	"bufio"
	"cmp"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"

	"ssobridge/idp/saml"
)

// Limits for a metadata document. A federation's file is read as a stream, of
// which one entity at a time is in memory: with its tree less than 2 MB.
const (
	maxEntity         = 512 << 10 // bytes of one EntityDescriptor
	maxEntityElements = 3000
	maxMetadataToken  = 256 << 10 // bytes of one tag, text or comment
	maxMetadataDepth  = 32
	maxElementAttrs   = 128
	maxNamedEntities  = 10 // that an error names
)

// DefaultMaxBytes is the largest document where ReadOptions and FetchOptions say nothing else.
const DefaultMaxBytes = 64 << 20

// entity is the one md:EntityDescriptor of a document that was asked for.
type entity struct {
	element  *etree.Element         // with all namespace declarations that hold for it
	lines    map[*etree.Element]int // where each element of it starts
	validity []period               // of the groups around it, the outermost first; its own is in element
	signed   bool                   // by the key that was given
	total    int                    // how many entities the document describes
	notes    []string               // what of the document was passed over
}

// period is what an element says about how long it may be used, as written.
type period struct {
	line                      int
	validUntil, cacheDuration string
}

// readEntity reads a document of one md:EntityDescriptor, or of many inside
// md:EntitiesDescriptor, to its end, and returns the entity named wish; "" means
// the only one. With a key, the root or the entity must have been signed by it.
//
// One tokenizer reads the document once. The tree that is returned and the octets
// whose digest is compared are made of the very same tokens, so that nothing can
// be read that was not signed. Refused are DTDs, processing instructions,
// encodings other than UTF-8, names that parsers disagree about, and whatever is
// past its bound. Nothing is ever fetched.
//
// Refused encodings are those that can't be told for certain: UTF-16 and Latin-1 are read, see inUTF8 and charset.
func readEntity(r io.Reader, wish string, key *x509.Certificate, most int64) (*entity, error) {
	plain, err := inUTF8(bufio.NewReaderSize(r, 32<<10))
	if err != nil {
		return nil, err
	}
	source := &boundedSource{r: plain, most: cmp.Or(most, DefaultMaxBytes)}
	e := &entityReader{source: source, decoder: xml.NewDecoder(source), wish: wish, key: key}
	e.decoder.CharsetReader = charset
	return e.read()
}

// sizeError says how large a document may be.
type sizeError int64

// Error names the setting too: a federation's file can be larger than what suits most.
func (most sizeError) Error() string {
	return fmt.Sprintf("the document has more than %d MiB (metadata.max_mib)", int64(most)>>20)
}

var errMetadataToken = fmt.Errorf("one tag, text or comment has more than %d KiB", maxMetadataToken>>10)

// boundedSource bounds the document, and each token, which the decoder would
// gather in memory whatever its length.
type boundedSource struct {
	r     *bufio.Reader
	most  int64
	read  int64
	token int64 // where the present token began
}

// Read is never called: the decoder takes single bytes where it can.
func (s *boundedSource) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// ReadByte reads one byte within the bounds.
func (s *boundedSource) ReadByte() (byte, error) {
	if s.read-s.token > maxMetadataToken {
		return 0, errMetadataToken
	}
	b, err := s.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if s.read++; s.read > s.most {
		return 0, sizeError(s.most)
	}
	return b, nil
}

// entityReader goes through a document once.
type entityReader struct {
	source  *boundedSource
	decoder *xml.Decoder
	wish    string
	key     *x509.Certificate

	line     int // where the present token starts
	first    bool
	rooted   bool
	declared bool
	notes    []string
	names    saml.Namespaces
	path     []xml.Name // open elements, as written
	groups   []period   // open md:EntitiesDescriptor; all of path while between entities
	root     *saml.EnvelopedVerifier
	kept     *saml.EnvelopedVerifier
	building *saml.ElementBuilder // the entity that is being kept
	began    int64                // where it began
	found    *entity
	ids      []string // of the first entities, for the error that asks to choose
	total    int
	twice    bool // several entities and none named
}

func (e *entityReader) fault(fix, format string, args ...any) error {
	return newFault(e.line, fix, format, args...)
}

// whichFile is what to do about a document that is something else.
const whichFile = "give the file that the service provider calls its SAML 2.0 metadata"

func (e *entityReader) read() (*entity, error) {
	e.first = true
	for {
		e.line, _ = e.decoder.InputPos()
		e.source.token = e.source.read
		token, err := e.decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, e.broken(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = e.start(t)
		case xml.EndElement:
			err = e.end(t)
		case xml.CharData:
			err = e.text(t)
		case xml.Comment:
			if e.building != nil {
				e.building.Comment(t)
			}
		case xml.ProcInst:
			switch {
			case t.Target != "xml" || e.rooted || e.declared:
				err = e.fault("take it out", "the document has a processing instruction")
			case !e.first:
				e.notes = append(e.notes, fmt.Sprintf("line %d: the XML declaration stands behind something else", e.line))
			}
			e.declared = true
		case xml.Directive:
			err = e.fault("take it out", "the document has a document type declaration")
		}
		if err != nil {
			return nil, err
		}
		e.first = false
	}
	return e.result()
}

// broken names what the decoder did not like.
func (e *entityReader) broken(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, new(sizeError)):
		return newFault(0, "take the service provider's own metadata, or allow more", "%s", err)
	case errors.Is(err, errMetadataToken):
		return e.fault("take the service provider's own metadata", "%s", err)
	case errors.Is(err, errEncoding), errors.Is(err, errCharacter):
		return e.fault("save it as UTF-8", "%s", err)
	case errors.As(err, &syntax) && strings.Contains(syntax.Msg, "UTF-8"):
		return newFault(syntax.Line, "save it as UTF-8, or let its declaration name the encoding", "it is not well-formed "+
			"XML: %.200s", syntax.Msg)
	case errors.As(err, &syntax) && !e.rooted && !e.declared:
		return newFault(syntax.Line, whichFile, "it is no XML: %.200s", syntax.Msg)
	case errors.As(err, &syntax):
		return newFault(syntax.Line, "", "it is not well-formed XML: %.200s", syntax.Msg)
	case strings.Contains(err.Error(), "encoding"): // encoding/xml has no type for it
		return e.fault("save it as UTF-8", "the document declares an encoding that is not read here: %.100s", err)
	case strings.Contains(err.Error(), "unsupported version"):
		return e.fault(`write version="1.0" in its first line`, "the document is not XML 1.0: %.100s", err)
	}
	return fmt.Errorf("read metadata: %w", err)
}

func (e *entityReader) start(t xml.StartElement) error {
	if len(e.path) == 0 && e.rooted {
		return e.fault("", "the document has two root elements")
	}
	if len(e.path) >= maxMetadataDepth {
		return e.fault("take the service provider's own metadata", "elements nest deeper than %d", maxMetadataDepth)
	}
	namespace, err := e.check(t)
	if err != nil {
		return err
	}
	between := len(e.groups) == len(e.path)
	e.path = append(e.path, t.Name)
	is := func(name string) bool { return namespace == saml.NSMetadata && t.Name.Local == name }
	switch {
	case !between:
	case is("EntitiesDescriptor"):
		e.groups = append(e.groups, e.period(t))
	case is("EntityDescriptor"):
		if err := e.enter(t); err != nil {
			return err
		}
	case !e.rooted:
		return e.fault(whichFile,
			"the root element is %.60q, not md:EntityDescriptor", t.Name.Local)
	}
	signature := namespace == saml.NSSignature && t.Name.Local == "Signature"
	if !e.rooted {
		e.rooted = true
		e.root = e.verifier(t)
	} else if err := e.root.Start(t, &e.names, signature); err != nil {
		return e.unsound(err)
	}
	if e.building == nil {
		return nil
	}
	if e.building.Root() == nil {
		// With the whole document signed, a signature of the entity's own says nothing more.
		if e.kept = e.root; !e.root.MaybeSigned() {
			e.kept = e.verifier(t)
		}
	} else if e.kept != e.root {
		if err := e.kept.Start(t, &e.names, signature); err != nil {
			return e.unsound(err)
		}
	}
	return e.keep(func() error { return e.building.Start(t, &e.names, e.line) })
}

// check looks at names, of which no two parsers may think differently, and opens
// the element's namespaces.
func (e *entityReader) check(t xml.StartElement) (namespace string, err error) {
	if len(t.Attr) > maxElementAttrs {
		return "", e.fault("", "an element has more than %d attributes", maxElementAttrs)
	}
	if err := e.names.Open(t); err != nil {
		return "", e.fault("", "%s", err)
	}
	namespace, ok := e.names.URI(t.Name.Space)
	if !ok || !plainName(t.Name) {
		return "", e.fault("declare the namespace of its prefix", "element name %.60q has no namespace to its prefix",
			t.Name.Local)
	}
	seen := make(map[xml.Name]bool, len(t.Attr))
	for _, a := range t.Attr {
		if !plainName(a.Name) {
			return "", e.fault("", "attribute name %.60q is none", a.Name.Local)
		}
		expanded := a.Name
		if _, declaration := saml.Declares(a); !declaration && a.Name.Space != "" {
			if expanded.Space, ok = e.names.URI(a.Name.Space); !ok {
				return "", e.fault("declare the namespace of its prefix", "attribute name %.60q has no namespace to its prefix",
					a.Name.Local)
			}
		}
		if seen[expanded] {
			return "", e.fault("give it once", "attribute %.60q is given twice", a.Name.Local)
		}
		seen[expanded] = true
	}
	return namespace, nil
}

func plainName(n xml.Name) bool {
	return n.Local != "" && !strings.Contains(n.Local, ":") && !strings.Contains(n.Space, ":")
}

func (e *entityReader) period(t xml.StartElement) period {
	p := period{line: e.line}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space != "":
		case a.Name.Local == "validUntil":
			p.validUntil = strings.TrimSpace(a.Value)
		case a.Name.Local == "cacheDuration":
			p.cacheDuration = strings.TrimSpace(a.Value)
		}
	}
	return p
}

// enter decides whether the entity that starts here is kept.
func (e *entityReader) enter(t xml.StartElement) error {
	e.total++
	id := ""
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == "entityID" {
			id = strings.Trim(a.Value, " \t\r\n")
		}
	}
	if len(e.ids) < maxNamedEntities {
		e.ids = append(e.ids, id)
	}
	switch {
	case e.wish != "" && id != e.wish:
		return nil
	case e.wish != "" && e.found != nil:
		return e.fault("ask its publisher which one holds", "the entity %.200q is described a second time", id)
	case e.found != nil:
		e.twice, e.found = true, nil // none was named: all that is left to say is that one must be
		return nil
	case e.twice:
		return nil
	}
	e.building = saml.NewElementBuilder(maxEntityElements, true)
	e.began = e.decoder.InputOffset()
	e.found = &entity{validity: append([]period(nil), e.groups...)}
	return nil
}

// keep adds to the entity within its bounds.
func (e *entityReader) keep(add func() error) error {
	if e.decoder.InputOffset()-e.began > maxEntity {
		return e.fault("ask the service provider for metadata without pictures and the like",
			"the entity has more than %d KiB", maxEntity>>10)
	}
	if err := add(); err != nil {
		return e.fault("", "%s", err)
	}
	return nil
}

func (e *entityReader) end(t xml.EndElement) error {
	if len(e.path) == 0 || e.path[len(e.path)-1] != t.Name {
		return e.fault("", "it is not well-formed XML: the end tag %.60q has no start", t.Name.Local)
	}
	e.path = e.path[:len(e.path)-1]
	if err := e.root.End(t.Name); err != nil {
		return e.unsound(err)
	}
	if e.building != nil {
		if e.kept != e.root {
			if err := e.kept.End(t.Name); err != nil {
				return e.unsound(err)
			}
		}
		if e.building.End() {
			e.found.element, e.found.lines = e.building.Root(), e.building.Lines()
			e.building = nil
		}
	}
	if len(e.groups) > len(e.path) {
		e.groups = e.groups[:len(e.path)]
	}
	e.names.Close()
	return nil
}

func (e *entityReader) text(data []byte) error {
	if len(e.path) == 0 {
		if strings.Trim(string(data), " \t\r\n\ufeff") != "" { // a mark that was put in twice is blank too
			if !e.rooted && !e.declared {
				return e.fault(whichFile, "it is no XML: text stands beside the root element")
			}
			return e.fault("", "text stands beside the root element")
		}
		return nil
	}
	if err := e.root.Text(data); err != nil {
		return e.unsound(err)
	}
	if e.building == nil {
		return nil
	}
	if e.kept != e.root {
		if err := e.kept.Text(data); err != nil {
			return e.unsound(err)
		}
	}
	return e.keep(func() error { e.building.Text(data); return nil })
}

// result is told once the whole document was read without a fault.
func (e *entityReader) result() (*entity, error) {
	switch {
	case len(e.path) > 0:
		return nil, e.fault("fetch it again", "the document ends in the middle")
	case !e.rooted:
		return nil, newFault(0, "", "the document has no root element")
	case e.twice:
		names := strings.Join(e.ids, ", ")
		if e.total > len(e.ids) {
			names += ", …"
		}
		return nil, newFault(0, "name the one that is meant by its entityID", "the document describes %d entities: %.1500s",
			e.total, names)
	case e.found == nil && e.wish == "":
		return nil, newFault(0, "", "the document describes no entity")
	case e.found == nil:
		return nil, newFault(0, "compare it letter by letter",
			"the entity %.200q is not among the %d that the document describes", e.wish, e.total)
	}
	e.found.total, e.found.notes = e.total, e.notes
	if e.key == nil {
		return e.found, nil
	}
	by := e.root
	if !by.MaybeSigned() {
		by = e.kept
	}
	if bad := by.Verify(e.key); bad != nil {
		return nil, newFault(0, bad.Fix, "%s", bad.Detail)
	}
	e.found.signed = true
	return e.found, nil
}

func (e *entityReader) unsound(err error) error { return e.fault("", "the signed part: %s", err) }

// verifier watches the element that starts here, if there is a key to check with.
func (e *entityReader) verifier(t xml.StartElement) *saml.EnvelopedVerifier {
	if e.key == nil {
		return nil
	}
	return saml.NewEnvelopedVerifier(t, &e.names)
}
