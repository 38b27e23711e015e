package metadata

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errEncoding and errCharacter say that the bytes are not what the document's own mark says that they are.
var (
	errEncoding  = errors.New("the document is not sound UTF-16")
	errCharacter = errors.New("the document has a byte that stands for no character in the encoding that it declares")
)

// inUTF8 is the document without its byte order mark, as UTF-8 where it is UTF-16: Windows writes both. A mark, or what
// every document begins with, says which it is; what the declaration says about it is not needed (XML 1.0, appendix F).
func inUTF8(r *bufio.Reader) (*bufio.Reader, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	skip, big := 0, false
	switch begin := string(head); {
	case strings.HasPrefix(begin, "\xef\xbb\xbf"):
		_, _ = r.Discard(3) // just peeked
		return r, nil
	case begin == "\xff\xfe\x00\x00" || begin == "\x00\x00\xfe\xff" || begin == "<\x00\x00\x00" ||
		begin == "\x00\x00\x00<":
		return nil, newFault(1, "save it as UTF-8", "the document is UTF-32")
	case strings.HasPrefix(begin, "\xff\xfe"):
		skip = 2
	case strings.HasPrefix(begin, "\xfe\xff"):
		skip, big = 2, true
	case strings.HasPrefix(begin, "<\x00"), strings.HasPrefix(begin, "\n\x00"), strings.HasPrefix(begin, "\r\x00"):
	case strings.HasPrefix(begin, "\x00<"), strings.HasPrefix(begin, "\x00\n"), strings.HasPrefix(begin, "\x00\r"):
		big = true
	default:
		return r, nil
	}
	_, _ = r.Discard(skip) // just peeked
	return bufio.NewReaderSize(&fromUTF16{r: r, big: big}, 4<<10), nil
}

// fromUTF16 reads UTF-16 as UTF-8.
type fromUTF16 struct {
	r    *bufio.Reader
	big  bool
	left []byte // of a character that did not fit
}

func (f *fromUTF16) unit() (rune, error) {
	first, err := f.r.ReadByte()
	if err != nil {
		return 0, err
	}
	second, err := f.r.ReadByte()
	if errors.Is(err, io.EOF) {
		return 0, errEncoding // half a unit
	}
	if f.big {
		first, second = second, first
	}
	return rune(first) | rune(second)<<8, err
}

// Read reads at least one byte.
func (f *fromUTF16) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(f.left) == 0 {
			if n > 0 && f.r.Buffered() < 4 {
				break // what is there is enough
			}
			c, err := f.unit()
			if err == nil && utf16.IsSurrogate(c) {
				var second rune
				if second, err = f.unit(); errors.Is(err, io.EOF) {
					err = errEncoding
				}
				// Never replaced by a mark: what is read is what is signed.
				if c = utf16.DecodeRune(c, second); err == nil && c == utf8.RuneError {
					err = errEncoding
				}
			}
			if err != nil {
				return n, err
			}
			f.left = utf8.AppendRune(f.left[:0], c)
		}
		copied := copy(p[n:], f.left)
		f.left, n = f.left[copied:], n+copied
	}
	return n, nil
}

// windows1252 are the characters from 0x80 to 0x9f of what Windows calls ANSI. Documents that call themselves
// ISO-8859-1, which has control characters there that nobody writes, are read the same way, as browsers do.
var windows1252 = [32]rune{'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ'}

// charset is what the decoder asks for a document that declares something else than UTF-8.
func charset(label string, in io.Reader) (io.Reader, error) {
	source, ok := in.(io.ByteReader)
	switch strings.ToLower(label) {
	case "utf-16", "utf-16le", "utf-16be", "utf8", "us-ascii", "ascii":
		// UTF-16 is UTF-8 by now; where it was never UTF-16, only the declaration is wrong. Bytes that are neither are
		// refused by the decoder, which checks each character.
		return in, nil
	case "iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252":
		if ok {
			return &fromSingleBytes{r: source}, nil
		}
	}
	return nil, errors.New("encoding " + label)
}

// fromSingleBytes reads Latin-1 and its like as UTF-8. It gives single bytes too, so that the decoder reads no further
// than it has to.
type fromSingleBytes struct {
	r    io.ByteReader
	left []byte
}

// ReadByte reads the next byte of UTF-8.
func (f *fromSingleBytes) ReadByte() (byte, error) {
	if len(f.left) == 0 {
		b, err := f.r.ReadByte()
		if err != nil {
			return 0, err
		}
		c := rune(b)
		if b >= 0x80 && b < 0xa0 {
			if c = windows1252[b-0x80]; c == 0 {
				return 0, errCharacter
			}
		}
		f.left = utf8.AppendRune(f.left, c)
	}
	b := f.left[0]
	f.left = f.left[1:]
	return b, nil
}

// Read is never called: the decoder takes single bytes where it can.
func (f *fromSingleBytes) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := f.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}
