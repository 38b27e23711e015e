package directory_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"

	"ssobridge/idp/directory"
)

// wireBytes is a connection from which these bytes come.
type wireBytes struct {
	net.Conn
	*bytes.Reader
}

func (w wireBytes) Read(b []byte) (int, error) { return w.Reader.Read(b) }

// entryMessage is a search result entry as a server sends it.
func entryMessage(dn, attribute string, values ...string) []byte {
	sequence := func(class ber.Class, tag ber.Tag, children ...*ber.Packet) *ber.Packet {
		p := ber.Encode(class, ber.TypeConstructed, tag, nil, "")
		for _, c := range children {
			p.AppendChild(c)
		}
		return p
	}
	octets := func(s string) *ber.Packet {
		return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
	}
	set := sequence(ber.ClassUniversal, ber.TagSet)
	for _, v := range values {
		set.AppendChild(octets(v))
	}
	list := sequence(ber.ClassUniversal, ber.TagSequence, sequence(ber.ClassUniversal, ber.TagSequence,
		octets(attribute), set))
	number := ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 3, "")
	return sequence(ber.ClassUniversal, ber.TagSequence, number, sequence(ber.ClassApplication, 4,
		octets(dn), list)).Bytes()
}

func TestEntryStream(t *testing.T) {
	done := []byte{0x30, 0x0c, 0x02, 0x01, 0x03, 0x65, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00}
	long := strings.Repeat("x", 70_000)
	for name, c := range map[string][]string{"none": nil, "one": {"a"}, "empty": {"", "b"}, "binary": {"\x00\xff", "ü"},
		"long": {long, long}} {
		t.Run(name, func(t *testing.T) {
			taken, through, err := directory.Taken(wireBytes{nil,
				bytes.NewReader(slices.Concat(done, entryMessage("cn=x", "member", c...), done))})
			if err != nil || len(taken) != 1 || !bytes.Equal(through, slices.Concat(done, done)) {
				t.Fatalf("got %d entries, %x, %v", len(taken), through, err)
			}
			if e := taken[0]; e.DN != "cn=x" || len(e.Attributes) != 1 || !slices.Equal(e.GetAttributeValues("member"),
				c) && len(c) > 0 {
				t.Errorf("got %+v", e)
			}
			for i, raw := range taken[0].GetRawAttributeValues("member") {
				if string(raw) != c[i] {
					t.Errorf("value %d: got %d bytes, want %d", i, len(raw), len(c[i]))
				}
			}
		})
	}
	whole := entryMessage("cn=x", "member", "a", "b")
	for name, bad := range map[string][]byte{
		"cut short":          whole[:len(whole)-1],
		"no sequence":        {0x04, 0x01, 0x00},
		"indefinite length":  {0x30, 0x80, 0x00, 0x00},
		"length of 16 bytes": append([]byte{0x30, 0x90}, make([]byte, 16)...),
		"huge":               {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff},
		"value too long":     bytes.Replace(whole, []byte{0x04, 0x01, 'b'}, []byte{0x04, 0x09, 'b'}, 1),
		"no set":             bytes.Replace(whole, []byte{0x31, 0x06}, []byte{0x30, 0x06}, 1),
	} {
		if taken, _, err := directory.Taken(wireBytes{nil, bytes.NewReader(bad)}); err == nil || len(taken) > 0 {
			t.Errorf("%s: got %d entries, %v; want an error", name, len(taken), err)
		}
	}
}

// What is not taken goes through as it came, and nothing that a server sends does harm.
func FuzzEntryStream(f *testing.F) {
	f.Add(entryMessage("cn=x", "member", "a", "b"))
	f.Add([]byte{0x30, 0x0c, 0x02, 0x01, 0x03, 0x65, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00})
	f.Add([]byte{0x30, 0x05, 0x02, 0x01, 0x03, 0x64, 0x00})
	f.Fuzz(func(t *testing.T, sent []byte) {
		taken, through, err := directory.Taken(wireBytes{nil, bytes.NewReader(sent)})
		if err == nil && len(taken) == 0 && !bytes.Equal(through, sent) {
			t.Fatalf("%x went through as %x", sent, through)
		}
	})
}
