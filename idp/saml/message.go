package saml

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// Limits for what strangers send (row REQ-01). Genuine requests are a few
// kilobytes.
const (
	maxQuery = 64 << 10
	maxBody  = 512 << 10
	MaxXML   = 256 << 10 // of a message that is unpacked
)

// RequestWindow is how far a message's IssueInstant may lie from its arrival, to either side (row REQ-07).
const RequestWindow = 5 * time.Minute

// message is a SAML message as its binding carried it.
type message struct {
	name       string // of the parameter: SAMLRequest or SAMLResponse
	redirect   bool   // by the HTTP-Redirect binding, else by HTTP-POST
	query      string // as received, since a signature is over its octets
	xml        []byte
	relayState *string // nil: none was sent; an empty one is sent back empty
}

// placed refuses a signature that does not stand where the binding has it,
// before anything is read from the message. It verifies nothing.
func (m message) placed(root *etree.Element) *Fault {
	if m.redirect {
		return unsignedXML(root)
	}
	_, bad := signatureOf(root)
	return bad
}

// shown is the root of a message that is refused, to see who sent it and nothing else; nil where it can't be read.
func (m message) shown() *etree.Element {
	if len(m.xml) == 0 || len(m.xml) > MaxXML {
		return nil
	}
	root, err := parseXML(m.xml, maxDepth, maxElements)
	if err != nil {
		return nil
	}
	return root
}

// binding names the binding that a message came by.
func (m message) binding() string {
	if m.redirect {
		return BindingRedirect
	}
	return BindingPost
}

// verify checks the message's signature by the rules of its binding. Where it is
// signed, read the message from verified and from nothing else (row REQ-11).
func (m message) verify(root *etree.Element, t Trust) (verified *etree.Element, signed bool, bad *Fault) {
	if !m.redirect {
		return verifyElement(root, t)
	}
	if bad := unsignedXML(root); bad != nil {
		return nil, true, bad
	}
	signed, bad = VerifyQuery(m.query, m.name, t)
	if bad != nil || !signed {
		return nil, signed, bad
	}
	// The signature is over the octets that root was read from.
	return root, true, nil
}

// carried are the parameters of both bindings. Any other parameter is none of
// SAML's and is passed over.
var carried = []string{"SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"}

// ReadParameters takes the still encoded parameters off a request, by the rules of its
// method (row REQ-01): the query of a GET (HTTP-Redirect, saml-bindings 3.4), the
// form of a POST (HTTP-POST, saml-bindings 3.5). Nothing is unpacked here, so a
// slow sender costs a connection and no more.
func ReadParameters(r *http.Request) (string, *Fault) {
	if len(r.URL.RawQuery) > maxQuery {
		return "", tooLarge(fmt.Sprintf("the query has %d bytes, %d are allowed", len(r.URL.RawQuery), maxQuery))
	}
	switch r.Method {
	case http.MethodGet:
		return r.URL.RawQuery, nil
	case http.MethodPost:
	default:
		return "", &Fault{ReasonMethod, http.StatusMethodNotAllowed, "the method is neither GET nor POST",
			"use the HTTP-Redirect or the HTTP-POST binding"}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", BadRequest("the form is not application/x-www-form-urlencoded",
			"send the SAMLRequest as a plain HTML form does (saml-bindings 3.5.4)")
	}
	inQuery, bad := parameters(r.URL.RawQuery)
	if bad != nil {
		return "", bad
	}
	if len(inQuery) > 0 {
		return "", BadRequest("SAML parameters stand in the query of a POST", "send them in the form only")
	}
	if r.ContentLength > maxBody {
		return "", tooLarge(fmt.Sprintf("the form has %d bytes, %d are allowed", r.ContentLength, maxBody))
	}
	body, more, err := readUpTo(r.Body, maxBody)
	var past *http.MaxBytesError // the server's own limit may be the lower one
	switch {
	case errors.As(err, &past), more:
		return "", tooLarge(fmt.Sprintf("the form has more than the allowed bytes (%d)", maxBody))
	case err != nil:
		return "", BadRequest("the form ended early", "send it again")
	}
	return string(body), nil
}

// readUpTo reads r to its end, or says that it has more than limit bytes. It
// grows by pieces and not by doubling, so that what is too large costs the limit
// and no more.
func readUpTo(r io.Reader, limit int) (data []byte, more bool, err error) {
	size := 4 << 10
	var pieces [][]byte
	for total := 0; err == nil; size = 32 << 10 {
		p, n := make([]byte, size), 0
		for n < len(p) && err == nil {
			var m int
			m, err = r.Read(p[n:])
			n += m
		}
		if total += n; total > limit {
			return nil, true, nil
		}
		pieces = append(pieces, p[:n])
	}
	if err != io.EOF { // as Read gives it, never wrapped
		return nil, false, err
	}
	return bytes.Join(pieces, nil), false, nil
}

// What a RelayState of theirs may have in bytes (row REQ-20). SAML says 80, and products put the address of the page
// into it that somebody wanted.
const (
	DefaultRelayState = 8 << 10
	LeastRelayState   = 80
	MostRelayState    = 16 << 10 // what travels with the browser has room for it, escaped
)

// unpack reads the message called name, SAMLRequest or SAMLResponse, out of the
// parameters. relayState is what a RelayState may have in bytes. What comes with a fault is for naming who sent it.
func unpack(encoded, method, name string, relayState int) (message, *Fault) {
	values, bad := parameters(encoded)
	if bad != nil {
		return message{}, bad
	}
	if encoding := strings.TrimSpace(values["SAMLEncoding"]); encoding != "" &&
		!strings.EqualFold(encoding, "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE") {
		// saml-bindings 3.4.4: an encoding that is not understood is not guessed at.
		return message{}, BadRequest("SAMLEncoding is not DEFLATE",
			"leave SAMLEncoding out, or use the DEFLATE encoding of saml-bindings 3.4.4.1")
	}
	m, plain, bad := decode(values, name, method == http.MethodGet, relayState)
	switch {
	case bad != nil:
		m.xml = plain
		return m, bad
	case method == http.MethodGet:
		m.redirect, m.query, m.xml = true, encoded, plain
		return m, nil
	}
	for _, part := range []string{"SigAlg", "Signature"} {
		if _, sent := values[part]; sent {
			// Passing over a signature that may be wrong would tell the sender that it was checked.
			m.xml = plain
			return m, badParameters(part+" is sent in a form",
				"sign inside the XML on the HTTP-POST binding (saml-bindings 3.5.4.2), or use HTTP-Redirect")
		}
	}
	if len(plain) > MaxXML {
		return message{}, tooLarge(fmt.Sprintf("the request has %d bytes, %d are allowed", len(plain), MaxXML))
	}
	m.xml = plain
	return m, nil
}

// parameters reads a query or form and keeps what the bindings carry. One that
// comes twice is refused: two readers may take two different ones (row REQ-02).
func parameters(raw string) (map[string]string, *Fault) {
	found := make(map[string]string, len(carried))
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			return nil, BadRequest("a parameter's name is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
		}
		for _, want := range carried {
			if name != want {
				continue
			}
			if _, twice := found[name]; twice {
				return nil, BadRequest(name+" is given twice", "send each parameter once")
			}
			text, err := url.QueryUnescape(value)
			if err != nil {
				return nil, BadRequest(name+" is not URL-encoded", "encode the parameters (saml-bindings 3.4.4.1)")
			}
			found[name] = text
		}
	}
	return found, nil
}

// decode checks what both bindings share and unpacks the message, which is also returned where what came beside it is
// at fault.
func decode(values map[string]string, name string, packed bool, relayState int) (message, []byte, *Fault) {
	m := message{name: name}
	text := values[name]
	if text == "" {
		return m, nil, BadRequest(name+" is missing", "send one message as "+name+
			"; to sign in without one, use the launch link")
	}
	for _, other := range []string{"SAMLRequest", "SAMLResponse"} {
		if _, sent := values[other]; sent && other != name {
			return m, nil, BadRequest(other+" is sent beside "+name, "send one message")
		}
	}
	plain, bad := decoded(text, name, packed)
	if state, sent := values["RelayState"]; sent {
		switch {
		case len(state) > relayState:
			return m, plain, &Fault{ReasonTooLarge, http.StatusRequestEntityTooLarge,
				fmt.Sprintf("RelayState has %d bytes, %d are allowed", len(state), relayState),
				fmt.Sprintf("let the service provider keep the address itself and send a short RelayState, or raise "+
					"sign_in.relay_state_max (at most %d)", MostRelayState)}
		case !utf8.ValidString(state) || strings.ContainsFunc(state, IsControl):
			// It must go back byte for byte (saml-bindings 3.5.3), through an HTML form
			// that keeps neither broken UTF-8 nor line ends as they were.
			return m, plain, BadRequest("RelayState has control characters or is not UTF-8",
				"use printable characters in RelayState")
		}
		m.relayState = &state
	}
	return m, plain, bad
}

// decoded takes the base64 off, and the compression where there is one.
func decoded(text, name string, packed bool) ([]byte, *Fault) {
	var first *Fault
	for _, text := range base64Texts(text) {
		plain, bad := decodeText(text, name)
		switch {
		case bad != nil:
		case packed:
			plain, bad = inflate(plain)
		case !beginsXML(plain):
			// node-saml compresses what it posts, too, unless its skipRequestCompression is set.
			if inflated, fault := inflate(plain); fault == nil && beginsXML(inflated) ||
				fault != nil && fault.Reason == ReasonTooLarge {
				plain, bad = inflated, fault
			}
		}
		if bad == nil {
			_, err := inUTF8(plain)
			if err == nil {
				return plain, nil
			}
			bad = BadRequest(name+": "+err.Error(), "send one message of SAML 2.0 as XML in UTF-8")
		}
		if first == nil {
			first = bad
		}
	}
	return nil, first
}

// beginsXML reports whether a message begins as XML does in any encoding: with <, a mark or a zero byte.
func beginsXML(plain []byte) bool {
	start := bytes.TrimLeft(plain, " \t\r\n")
	return len(start) == 0 || strings.IndexByte("<\xef\xfe\xff\x00", start[0]) >= 0
}

// base64Texts are what a base64 text with blanks inside can have been. Blanks at its ends and beside line ends, and
// line ends themselves, are what encoders and forms add (RFC 2045). Any other blank was a + that nobody escaped in a
// URL, or white space after all: the first that can be decoded is taken. Nothing that is signed depends on it: on
// HTTP-Redirect the octets of the query are, on HTTP-POST the XML.
func base64Texts(text string) []string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " \t")
	}
	text = strings.Join(lines, "")
	if !strings.ContainsAny(text, " \t") {
		return []string{text}
	}
	return []string{strings.ReplaceAll(text, " ", "+"), strings.Join(strings.Fields(text), "")}
}

// decodeText reads base64 of either alphabet, padded or not. It is strict in all else: one text has one meaning.
func decodeText(text, name string) ([]byte, *Fault) {
	bad := BadRequest(name+" is not base64", "encode it with the standard alphabet, padded; in a URL, escape + as %2B")
	bare := strings.TrimRight(text, "=")
	if len(text)-len(bare) > 2 || bare == "" {
		return nil, bad
	}
	plain, err := base64.RawStdEncoding.Strict().DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(bare))
	if err != nil {
		return nil, bad
	}
	return plain, nil
}

// inflate unpacks raw DEFLATE (RFC 1951), and the same with the header of zlib (RFC 1950) as some libraries add it, up
// to MaxXML bytes, so that a few bytes can't become a gigabyte.
func inflate(packed []byte) ([]byte, *Fault) {
	source := bytes.NewReader(packed) // has ReadByte, so flate reads not one byte too far
	plain, more, err := readUpTo(flate.NewReader(source), MaxXML)
	if err != nil {
		source.Reset(packed)
		if reader, header := zlib.NewReader(source); header == nil {
			plain, more, err = readUpTo(reader, MaxXML)
		}
	}
	switch {
	case more:
		return nil, tooLarge(fmt.Sprintf("the request inflates to more than %d bytes", MaxXML))
	case err != nil:
		return nil, BadRequest("the message is not DEFLATE",
			"compress it by RFC 1951, without a gzip header (saml-bindings 3.4.4.1)")
	case source.Len() > 0:
		return nil, BadRequest("bytes follow the compressed request", "send one compressed request")
	}
	return plain, nil
}

// IsControl reports the control characters of ASCII and Latin-1.
func IsControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }
