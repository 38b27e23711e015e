package directory

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// sid is a security identifier of Active Directory as it is stored: revision, number of parts, authority, and the parts
// as little-endian numbers (MS-DTYP 2.4.2.2). As a key of a map it is the octets themselves.
type sid string

const (
	sidHead  = 8  // octets before the parts
	sidParts = 15 // at most
)

// readSID takes the octets of a well-formed identifier.
func readSID(raw []byte) (s sid, ok bool) {
	if len(raw) < sidHead+4 || raw[0] != 1 || raw[1] > sidParts || len(raw) != sidHead+4*int(raw[1]) {
		return "", false
	}
	return sid(raw), true
}

// entrySID is the identifier of an entry.
func entrySID(e *ldap.Entry) (s sid, ok bool) {
	raw := e.GetEqualFoldRawAttributeValues("objectSid")
	if len(raw) != 1 {
		return "", false
	}
	return readSID(raw[0])
}

// String is the form S-1-5-21-….
func (s sid) String() string {
	var authority uint64
	for _, c := range []byte(s[2:sidHead]) {
		authority = authority<<8 | uint64(c)
	}
	text := fmt.Sprintf("S-%d-%d", s[0], authority)
	for at := sidHead; at < len(s); at += 4 {
		text += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32([]byte(s[at:at+4]))), 10)
	}
	return text
}

// last is the number of the object within its domain.
func (s sid) last() uint32 { return binary.LittleEndian.Uint32([]byte(s[len(s)-4:])) }

// filter finds the entry with this identifier. Every octet is escaped (RFC 4515 3), so no value changes the filter.
func (s sid) filter() string {
	var b strings.Builder
	b.WriteString("(objectSid=")
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	b.WriteString(")")
	return b.String()
}

// dn names the entry with this identifier as the base of a search, wherever it is (MS-ADTS 3.1.1.3.1.2.4).
func (s sid) dn() string { return "<SID=" + s.String() + ">" }

// primarySID is the identifier of a person's primary group: their own, with primaryGroupID as the last part. The
// membership stands nowhere else; neither the person's memberOf nor the group's member lists it (MS-ADTS 3.1.1.4.5.19).
func primarySID(person *ldap.Entry) (s sid, ok bool) {
	own, ok := entrySID(person)
	id, err := strconv.ParseUint(person.GetEqualFoldAttributeValue("primaryGroupID"), 10, 32)
	if !ok || err != nil {
		return "", false
	}
	return sid(binary.LittleEndian.AppendUint32([]byte(own[:len(own)-4]), uint32(id))), true
}
