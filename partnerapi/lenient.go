package partnerapi

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// What is read leniently is only the form of a value: a number may stand in quotes, a name may be a number, a field may
// be null. What a value has to be is checked as strictly as ever by who reads it.

// text is a string of an answer, whatever scalar it was written as. null, objects and lists give "".
type text string

// UnmarshalJSON never fails on JSON: a field of another kind must not hide the others.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null":
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*t = text(s)
	default:
		*t = text(raw)
	}
	return nil
}

// number is a number of an answer, in quotes or not. null is not told, and what is no number is odd.
type number struct {
	value     float64
	told, odd bool
}

// UnmarshalJSON never fails on JSON: a field of another kind must not hide the others.
func (n *number) UnmarshalJSON(raw []byte) error {
	*n = number{}
	var t text
	if err := t.UnmarshalJSON(raw); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(t)), 64)
	switch {
	case err == nil && !math.IsNaN(v) && !math.IsInf(v, 0):
		*n = number{value: v, told: true}
	case string(bytes.TrimSpace(raw)) != "null":
		n.odd = true
	}
	return nil
}

// most is how far a float holds whole numbers exactly.
const most = 1 << 53

// whole is the number without its fraction.
func (n number) whole() int64 { return int64(max(-most, min(most, n.value))) }

// counts tells whether it is a number of things.
func (n number) counts() bool {
	return n.told && n.value >= 0 && n.value <= most && n.value == math.Trunc(n.value)
}

// link is an address of an answer: a text, or an object that has it as href.
type link string

// UnmarshalJSON never fails on JSON.
func (l *link) UnmarshalJSON(raw []byte) error {
	var to struct {
		Href text `json:"href"`
	}
	var t text
	if json.Unmarshal(raw, &to) == nil && to.Href != "" {
		*l = link(to.Href)
	} else if t.UnmarshalJSON(raw) == nil {
		*l = link(t)
	}
	return nil
}

// links are those of a page. An empty list is how some languages write an empty object.
type links struct{ Next link }

// UnmarshalJSON fails on what is neither: without the links a list might end too early.
func (l *links) UnmarshalJSON(raw []byte) error {
	var all struct {
		Next link `json:"next"`
	}
	*l = links{}
	if string(bytes.TrimSpace(raw)) == "[]" {
		return nil
	}
	err := json.Unmarshal(raw, &all)
	l.Next = all.Next
	return err
}

// tidyJSON is a body as UTF-8 without the mark that some servers put before it, and without space around it.
func tidyJSON(body []byte) []byte {
	switch {
	case bytes.HasPrefix(body, []byte{0xEF, 0xBB, 0xBF}):
		body = body[3:]
	case bytes.HasPrefix(body, []byte{0xFF, 0xFE}):
		body = fromUTF16(body[2:], binary.LittleEndian)
	case bytes.HasPrefix(body, []byte{0xFE, 0xFF}):
		body = fromUTF16(body[2:], binary.BigEndian)
	}
	return bytes.TrimSpace(body)
}

func fromUTF16(body []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(body)/2)
	for ; len(body) >= 2; body = body[2:] {
		units = append(units, order.Uint16(body))
	}
	return []byte(string(utf16.Decode(units)))
}
