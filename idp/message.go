package idp

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Limits for what strangers send (row REQ-01). Genuine requests are a few
// kilobytes.
const (
	maxQuery      = 64 << 10
	maxBody       = 512 << 10
	maxXML        = 256 << 10
	maxRelayState = 1 << 10 // theirs; row REQ-20
	parsingSlots  = 16      // requests inflated and parsed at the same time
)

// message is a request message as its binding carried it.
type message struct {
	xml        []byte
	relayState *string // nil: none was sent; an empty one is sent back empty
}

// carried are the parameters of both bindings. Any other parameter is none of
// SAML's and is passed over.
var carried = []string{"SAMLRequest", "RelayState", "SigAlg", "Signature", "SAMLEncoding"}

// raw takes the still encoded parameters off a request, by the rules of its
// method (row REQ-01): the query of a GET (HTTP-Redirect, saml-bindings 3.4), the
// form of a POST (HTTP-POST, saml-bindings 3.5). Nothing is unpacked here, so a
// slow sender costs a connection and no more.
func raw(r *http.Request) (string, *fault) {
	if len(r.URL.RawQuery) > maxQuery {
		return "", tooLarge(fmt.Sprintf("the query has %d bytes, %d are allowed", len(r.URL.RawQuery), maxQuery))
	}
	switch r.Method {
	case http.MethodGet:
		return r.URL.RawQuery, nil
	case http.MethodPost:
	default:
		return "", &fault{ReasonMethod, http.StatusMethodNotAllowed, "the method is neither GET nor POST", "use the HTTP-Redirect or the HTTP-POST binding"}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", badRequest("the form is not application/x-www-form-urlencoded", "send the SAMLRequest as a plain HTML form does (saml-bindings 3.5.4)")
	}
	inQuery, bad := parameters(r.URL.RawQuery)
	if bad != nil {
		return "", bad
	}
	if len(inQuery) > 0 {
		return "", badRequest("SAML parameters stand in the query of a POST", "send them in the form only")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var past *http.MaxBytesError // the server's own limit may be the lower one
	switch {
	case errors.As(err, &past), err == nil && len(body) > maxBody:
		return "", tooLarge(fmt.Sprintf("the form has more than the allowed bytes (%d)", maxBody))
	case err != nil:
		return "", badRequest("the form ended early", "send it again")
	}
	return string(body), nil
}

// unpack reads the message out of the parameters.
func unpack(encoded, method string) (message, *fault) {
	values, bad := parameters(encoded)
	if bad != nil {
		return message{}, bad
	}
	if encoding, sent := values["SAMLEncoding"]; sent && encoding != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
		// saml-bindings 3.4.4: an encoding that is not understood is not guessed at.
		return message{}, badRequest("SAMLEncoding is not DEFLATE", "leave SAMLEncoding out, or use the DEFLATE encoding of saml-bindings 3.4.4.1")
	}
	m, plain, bad := decode(values)
	switch {
	case bad != nil:
		return message{}, bad
	case method == http.MethodGet:
		m.xml, bad = inflate(plain)
		return m, bad
	case len(plain) > maxXML:
		return message{}, tooLarge(fmt.Sprintf("the request has %d bytes, %d are allowed", len(plain), maxXML))
	}
	m.xml = plain
	return m, nil
}

// parameters reads a query or form and keeps what the bindings carry. One that
// comes twice is refused: two readers may take two different ones (row REQ-02).
func parameters(raw string) (map[string]string, *fault) {
	found := make(map[string]string, len(carried))
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			return nil, badRequest("a parameter's name is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
		}
		for _, want := range carried {
			if name != want {
				continue
			}
			if _, twice := found[name]; twice {
				return nil, badRequest(name+" is given twice", "send each parameter once")
			}
			text, err := url.QueryUnescape(value)
			if err != nil {
				return nil, badRequest(name+" is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
			}
			found[name] = text
		}
	}
	return found, nil
}

// decode checks what both bindings share and takes the base64 off.
func decode(values map[string]string) (message, []byte, *fault) {
	var m message
	text, sent := values["SAMLRequest"]
	if !sent || text == "" {
		return m, nil, badRequest("SAMLRequest is missing", "send one AuthnRequest as SAMLRequest; to sign in without one, use the launch link")
	}
	for _, name := range []string{"SigAlg", "Signature"} {
		if _, sent := values[name]; sent {
			// Row REQ-10 comes later. Passing over a signature that may be wrong would
			// tell the service provider that it was checked.
			return m, nil, signedRequest(name + " is sent with the request")
		}
	}
	if state, sent := values["RelayState"]; sent {
		switch {
		case len(state) > maxRelayState:
			return m, nil, tooLarge(fmt.Sprintf("RelayState has %d bytes, %d are allowed", len(state), maxRelayState))
		case !utf8.ValidString(state) || strings.ContainsFunc(state, isControl):
			// It must go back byte for byte (saml-bindings 3.5.3), through an HTML form
			// that keeps neither broken UTF-8 nor line ends as they were.
			return m, nil, badRequest("RelayState has control characters or is not UTF-8", "use printable characters in RelayState")
		}
		m.relayState = &state
	}
	// Strict: one text has one meaning. Line ends are what encoders of RFC 2045 add.
	plain, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return m, nil, badRequest("SAMLRequest is not base64", "encode it with the standard alphabet, padded; in a URL, escape + as %2B")
	}
	return m, plain, nil
}

// inflate unpacks raw DEFLATE (RFC 1951) up to maxXML bytes, so that a few
// bytes can't become a gigabyte.
func inflate(packed []byte) ([]byte, *fault) {
	source := bytes.NewReader(packed) // has ReadByte, so flate reads not one byte too far
	reader := flate.NewReader(source)
	plain, err := io.ReadAll(io.LimitReader(reader, maxXML+1))
	switch {
	case len(plain) > maxXML:
		return nil, tooLarge(fmt.Sprintf("the request inflates to more than %d bytes", maxXML))
	case err != nil:
		return nil, badRequest("SAMLRequest is not raw DEFLATE", "compress it by RFC 1951, without a zlib or gzip header (saml-bindings 3.4.4.1)")
	case source.Len() > 0:
		return nil, badRequest("bytes follow the compressed request", "send one compressed request")
	}
	return plain, nil
}

func signedRequest(detail string) *fault {
	return &fault{ReasonSignedRequest, http.StatusBadRequest, detail,
		"signatures on requests are not checked yet: switch the signing of AuthnRequests off at the service provider"}
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }
