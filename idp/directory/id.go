package directory

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// maxID bounds an immutable id.
const maxID = 256

// errNoID is the fault of an entry without a usable immutable id.
var errNoID = errors.New("no usable immutable id")

// guidOrders maps, for each attribute that holds the 16 octets of a GUID rather than text, the octets as they are
// stored to their places in the text form 8-4-4-4-12. Active Directory stores the first three fields little-endian and
// the rest in order (MS-DTYP 2.3.4), eDirectory all in order.
var guidOrders = map[string][guidSize]int{
	"objectguid": {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15},
	"guid":       {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
}

const guidSize = 16

// guidOrder is the order of an attribute that holds a GUID.
func guidOrder(attribute string) (order [guidSize]int, ok bool) {
	order, ok = guidOrders[strings.ToLower(attribute)]
	return order, ok
}

// octetsMark begins the text of an id whose octets are no text, before their hexadecimal digits.
const octetsMark = "hex-"

// idText is the canonical text of an immutable id as the directory gave it.
func idText(attribute string, raw []byte) (string, error) {
	id := string(raw)
	if order, ok := guidOrder(attribute); ok {
		if isUUID(id) { // a server that writes the text
			return CanonicalID(id), nil
		}
		return guidText(attribute, order, raw)
	}
	if _, marked := markedOctets(id); marked {
		// Otherwise one entry's text could be what another's octets are written as.
		return "", fmt.Errorf("%w: %q is how octets that are no text are written", errNoID, id)
	}
	if strings.HasPrefix(id, SourcePrefix) {
		return "", fmt.Errorf("%w: %q is how people of other sources are named", errNoID, id)
	}
	if err := checkID(id); err == nil {
		return CanonicalID(id), nil // RFC 4122 3: written in lower case, read in either
	}
	if text := octetsMark + hex.EncodeToString(raw); len(raw) > 0 && len(text) <= maxID {
		return text, nil
	}
	return "", fmt.Errorf("%w: it must be 1 to %d bytes of text, or at most %d octets", errNoID, maxID,
		(maxID-len(octetsMark))/2)
}

// SourcePrefix begins the ids of people whom no directory has: package claims makes them. Nobody of a directory is
// taken for one of these.
const SourcePrefix = "source-"

// SourceOf is the source that a person's id names, as package claims makes them; "" for somebody of the directory.
func SourceOf(id string) string {
	rest, ok := strings.CutPrefix(id, SourcePrefix)
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, ".")
	if !ok {
		return ""
	}
	return name
}

// markedOctets are the octets of an id that are no text.
func markedOctets(id string) (raw []byte, ok bool) {
	digits, ok := strings.CutPrefix(id, octetsMark)
	if !ok || digits == "" {
		return nil, false
	}
	raw, err := hex.DecodeString(digits)
	return raw, err == nil
}

// CanonicalID brings an immutable id that somebody typed to the one form in which ids are kept: a UUID in lower case,
// any other text as it is. Callers use it where an id comes in; behind that, ids are compared byte for byte.
func CanonicalID(typed string) string {
	if isUUID(typed) {
		return strings.ToLower(typed) // hexadecimal digits alone: no other letters can fold into them
	}
	return typed
}

// canonicalID is CanonicalID that also takes the octets of a GUID as tools show them: as 32 hexadecimal digits, as
// base64 (ldapsearch, LDIF), or in braces.
func canonicalID(attribute, typed string) string {
	order, ok := guidOrder(attribute)
	if !ok {
		return CanonicalID(typed)
	}
	typed = strings.TrimSuffix(strings.TrimPrefix(typed, "{"), "}")
	raw, err := hex.DecodeString(typed)
	if err != nil || len(raw) != guidSize {
		raw, err = base64.StdEncoding.DecodeString(typed)
	}
	if err == nil && len(raw) == guidSize {
		if text, err := guidText(attribute, order, raw); err == nil {
			return text
		}
	}
	return CanonicalID(typed)
}

// idFilter is the condition that finds an id: by escaped text, or by escaped octets.
func idFilter(attribute, id string) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	text := "(" + attribute + "=" + ldap.EscapeFilter(id) + ")"
	if order, ok := guidOrder(attribute); ok {
		raw, err := guidOctets(order, id)
		if err != nil {
			return "", err
		}
		// As octets, or as the text that some servers write.
		return "(|(" + attribute + "=" + escapeOctets(raw) + ")" + text + ")", nil
	}
	if raw, ok := markedOctets(id); ok {
		return "(" + attribute + "=" + escapeOctets(raw) + ")", nil
	}
	return text, nil
}

// escapeOctets escapes every octet, so no value changes the filter (RFC 4515 3).
func escapeOctets(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return b.String()
}

func checkID(id string) error {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return fmt.Errorf("%w: it must be 1 to %d bytes of text", errNoID, maxID)
	}
	return nil
}

func guidText(attribute string, order [guidSize]int, raw []byte) (string, error) {
	if len(raw) != guidSize {
		return "", fmt.Errorf("%w: %d octets in %s", errNoID, len(raw), attribute)
	}
	var b [guidSize]byte
	for i, from := range order {
		b[i] = raw[from]
	}
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

func guidOctets(order [guidSize]int, id string) ([]byte, error) {
	if !isUUID(id) {
		return nil, fmt.Errorf("%w: %q is not of the form 8-4-4-4-12", errNoID, id)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoID, err)
	}
	raw := make([]byte, guidSize)
	for i, from := range order {
		raw[from] = b[i]
	}
	return raw, nil
}

// isUUID tells whether id has the form 8-4-4-4-12 of hexadecimal digits.
func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range []byte(id) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}
