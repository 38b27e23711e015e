package idp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// CanonicalStream is the exclusive canonical form of a document, written token by token.
func CanonicalStream(data []byte, prefixes string) ([]byte, error) {
	var b bytes.Buffer
	var names namespaces
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
			if err = names.open(t); err == nil {
				err = c.start(t, &names)
			}
		case xml.EndElement:
			depth--
			err = c.end(t.Name)
			names.close()
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
