package directory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/go-ldap/ldap/v3"
)

// The tags that tell a search result entry from other messages (RFC 4511 4.5.2).
const (
	tagOctets   = 0x04
	tagSequence = 0x30
	tagSet      = 0x31
	tagEntry    = 0x64 // [APPLICATION 4]
)

var errMalformed = errors.New("the server sent a malformed LDAP message")

// entryStream stands between a connection and the LDAP library and takes what a search finds out of what the server
// sends. The library keeps close to a kilobyte for each value that it decodes, whatever its length, and copies it five
// times: one group of 50,000 members would cost more memory than the whole walk may. Every other message goes through
// as it came: results, errors and controls stay the library's business.
type entryStream struct {
	net.Conn
	in      *bufio.Reader
	through []byte // what is left of the message that goes to the library
	names   map[string]string

	mu   sync.Mutex
	take func(*ldap.Entry) // nil: entries go to the library too
}

func newEntryStream(c net.Conn) *entryStream {
	return &entryStream{Conn: c, in: bufio.NewReaderSize(c, 32<<10), names: map[string]string{}}
}

// give says where entries go from now on. After it has returned, the one before gets no more.
func (s *entryStream) give(take func(*ldap.Entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take = take
}

// Read gives the library its part. It has one caller, the library's reader.
func (s *entryStream) Read(p []byte) (int, error) {
	for len(s.through) == 0 {
		message, err := s.message()
		if err != nil {
			return 0, err
		}
		taken, err := s.taken(message)
		if err != nil {
			return 0, err
		}
		if !taken {
			s.through = message
		}
	}
	n := copy(p, s.through)
	s.through = s.through[n:]
	return n, nil
}

// message reads one whole message.
func (s *entryStream) message() ([]byte, error) {
	head, err := s.in.Peek(2)
	if err == nil {
		head, err = s.in.Peek(2 + longLength(head[1]))
	}
	if errors.Is(err, io.EOF) && len(head) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	n, ok := berLength(head[1:])
	if !ok || head[0] != tagSequence {
		return nil, errMalformed
	}
	n += len(head)
	// A server that only announces much costs no memory.
	var message bytes.Buffer
	message.Grow(min(n, 1<<20))
	if _, err := io.CopyN(&message, s.in, int64(n)); err != nil {
		return nil, fmt.Errorf("read an LDAP message of %d bytes: %w", n, err)
	}
	return message.Bytes(), nil
}

// taken hands a search result entry to who takes it.
func (s *entryStream) taken(message []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.take == nil {
		return false, nil
	}
	// Envelope, number (a walk has one search at a time), operation. A message that is not so is the library's to complain
	// about.
	whole, _ := element(message, 0, len(message))
	number, _ := element(message, whole.from, whole.to)
	op, ok := element(message, number.to, whole.to)
	if !ok || op.tag != tagEntry {
		return false, nil
	}
	e, err := s.entry(message, op)
	if err != nil {
		return false, err
	}
	s.take(e)
	return true, nil
}

// entry decodes a SearchResultEntry. The values of what it makes share two copies of the message: whoever keeps one
// keeps them all.
func (s *entryStream) entry(message []byte, op part) (*ldap.Entry, error) {
	text := string(message)
	dn, ok := element(message, op.from, op.to)
	list, found := element(message, dn.to, op.to)
	if !ok || !found || dn.tag != tagOctets || list.tag != tagSequence {
		return nil, errMalformed
	}
	e := &ldap.Entry{DN: strings.Clone(text[dn.from:dn.to])}
	for at := list.from; at < list.to; {
		pair, ok := element(message, at, list.to)
		name, named := element(message, pair.from, pair.to)
		set, valued := element(message, name.to, pair.to)
		if !ok || !named || !valued || pair.tag != tagSequence || name.tag != tagOctets || set.tag != tagSet {
			return nil, errMalformed
		}
		a := &ldap.EntryAttribute{Name: s.name(message[name.from:name.to])}
		n, ok := count(message, set)
		if !ok {
			return nil, errMalformed
		}
		a.Values, a.ByteValues = make([]string, 0, n), make([][]byte, 0, n)
		for at := set.from; at < set.to; {
			v, _ := element(message, at, set.to)
			a.Values = append(a.Values, text[v.from:v.to])
			a.ByteValues = append(a.ByteValues, message[v.from:v.to:v.to])
			at = v.to
		}
		e.Attributes = append(e.Attributes, a)
		at = pair.to
	}
	return e, nil
}

// count is the number of values in a set.
func count(b []byte, set part) (n int, ok bool) {
	for at := set.from; at < set.to; n++ {
		v, ok := element(b, at, set.to)
		if !ok || v.tag != tagOctets {
			return 0, false
		}
		at = v.to
	}
	return n, true
}

// maxNames bounds how many names of attributes are kept to be used again.
const maxNames = 200

// name is the name of an attribute, the same string for the same name.
func (s *entryStream) name(b []byte) string {
	if name, ok := s.names[string(b)]; ok {
		return name
	}
	name := string(b)
	if len(s.names) < maxNames {
		s.names[name] = name
	}
	return name
}

// part is one BER element: its content is at from up to to, where the next one begins.
type part struct {
	tag      byte
	from, to int
}

// element finds the element that begins at at and must end by end. LDAP has definite lengths and short tags only (RFC
// 4511 5.1).
func element(b []byte, at, end int) (part, bool) {
	if at+2 > end {
		return part{}, false
	}
	from := at + 2 + longLength(b[at+1])
	if from > end {
		return part{}, false
	}
	n, ok := berLength(b[at+1 : from])
	if !ok || n > end-from {
		return part{}, false
	}
	return part{b[at], from, from + n}, true
}

// longLength is how many bytes of the length follow its first.
func longLength(first byte) int {
	if first < 0x80 {
		return 0
	}
	return int(first & 0x7f)
}

// berLength reads a length. It is at most maxAnswer.
func berLength(b []byte) (n int, ok bool) {
	if b[0] < 0x80 {
		return int(b[0]), true
	}
	if len(b) < 2 || len(b) > 5 {
		return 0, false
	}
	for _, c := range b[1:] {
		n = n<<8 | int(c)
	}
	return n, n <= maxAnswer
}
