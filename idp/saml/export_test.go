package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// ownCanonical is what canonicalizes the trees that leave.
type ownCanonical struct{}

func (ownCanonical) Algorithm() dsig.AlgorithmID { return dsig.CanonicalXML10ExclusiveAlgorithmId }

func (ownCanonical) Canonicalize(el *etree.Element) ([]byte, error) { return writeXML(el) }

// OwnCanonical is the canonicalizer of trees that leave.
func OwnCanonical() dsig.Canonicalizer { return ownCanonical{} }

// CanonicalStream is the exclusive canonical form of a document, written token by token.
func CanonicalStream(data []byte, prefixes string) ([]byte, error) {
	var b bytes.Buffer
	var names Namespaces
	c := newCanonical(&b, prefixes)
	d := xml.NewDecoder(bytes.NewReader(data))
	depth := 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return b.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			if err = names.Open(t); err == nil {
				err = c.start(t, &names)
			}
		case xml.EndElement:
			depth--
			err = c.end(t.Name)
			names.Close()
		case xml.CharData:
			if depth > 0 {
				err = c.text(t)
			}
		}
		if err != nil {
			return nil, err
		}
	}
}
