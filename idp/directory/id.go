package directory

import (
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

// isGUID tells whether the attribute holds the 16 octets of a Microsoft GUID rather than text.
func isGUID(attribute string) bool { return strings.EqualFold(attribute, "objectGUID") }

// idText is the canonical text of an immutable id as the directory gave it.
func idText(attribute string, raw []byte) (string, error) {
	if isGUID(attribute) {
		return guidText(raw)
	}
	id := string(raw)
	if err := checkID(id); err != nil {
		return "", err
	}
	return CanonicalID(id), nil // RFC 4122 3: written in lower case, read in either
}

// CanonicalID brings an immutable id that somebody typed to the one form in which ids are kept: a UUID in lower case,
// any other text as it is. Callers use it where an id comes in; behind that, ids are compared byte for byte.
func CanonicalID(typed string) string {
	if isUUID(typed) {
		return strings.ToLower(typed) // hexadecimal digits alone: no other letters can fold into them
	}
	return typed
}

// idFilter is the assertion value that finds an id: escaped text, or escaped octets for objectGUID.
func idFilter(attribute, id string) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	if !isGUID(attribute) {
		return ldap.EscapeFilter(id), nil
	}
	raw, err := guidOctets(id)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return b.String(), nil
}

func checkID(id string) error {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return fmt.Errorf("%w: it must be 1 to %d bytes of text", errNoID, maxID)
	}
	return nil
}

// guidOrder maps each octet of a GUID as Active Directory stores it to its place in the text form 8-4-4-4-12: the first
// three fields are little-endian, the rest is in order (MS-DTYP 2.3.4).
var guidOrder = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

func guidText(raw []byte) (string, error) {
	if len(raw) != len(guidOrder) {
		return "", fmt.Errorf("%w: an objectGUID of %d octets", errNoID, len(raw))
	}
	var b [16]byte
	for i, from := range guidOrder {
		b[i] = raw[from]
	}
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

func guidOctets(id string) ([]byte, error) {
	if !isUUID(id) {
		return nil, fmt.Errorf("%w: %q is not of the form 8-4-4-4-12", errNoID, id)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoID, err)
	}
	raw := make([]byte, len(guidOrder))
	for i, from := range guidOrder {
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
