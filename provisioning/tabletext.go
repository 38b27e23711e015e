package provisioning

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"regexp"
	"unicode/utf16"
	"unicode/utf8"
)

// separatorLine is the line by which spreadsheets tell each other the separator. The header says it, too.
var separatorLine = regexp.MustCompile(`^"?sep=(.|\t)"?\r?$`)

// roundedNumber is what a spreadsheet writes in the place of a long number. The digits are lost.
var roundedNumber = regexp.MustCompile(`^[0-9](?:[.,][0-9]+)?E\+[0-9]+$`)

// tableText gives the text of a file of at most limit bytes as UTF-8. It takes UTF-16 with its mark, which spreadsheets
// write as "Unicode text", and refuses by name what is no text.
func tableText(r io.Reader, limit int64) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(&boundedReader{r: r, left: limit}, 64<<10)
	start, err := in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fileFault(err, 0)
	}
	notText := func(what, fix string) error { return &InputError{Field: "file", Fault: what, Fix: fix} }
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3) // they are there
	case bytes.HasPrefix(start, []byte("\xff\xfe")):
		return bufio.NewReaderSize(&fromUTF16{r: in, order: binary.LittleEndian}, 64<<10), nil
	case bytes.HasPrefix(start, []byte("\xfe\xff")):
		return bufio.NewReaderSize(&fromUTF16{r: in, order: binary.BigEndian}, 64<<10), nil
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("\xd0\xcf\x11\xe0")):
		return nil, notText("is a workbook of a spreadsheet program", "save the sheet as CSV in UTF-8")
	case bytes.IndexByte(bytes.SplitN(start, []byte("\n"), 2)[0], 0) >= 0:
		return nil, notText("is no text", "give a CSV file in UTF-8")
	}
	return in, nil
}

// separator tells what separates the cells of the header line: a semicolon where the comma stands in numbers, a tab in
// "Unicode text", else a comma.
func separator(head []byte) rune {
	head, _, _ = bytes.Cut(head, []byte("\n"))
	best, most := ',', bytes.Count(head, []byte(","))
	for _, r := range []rune{';', '\t'} {
		if n := bytes.Count(head, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}

// fromUTF16 reads UTF-16 as UTF-8, without its mark.
type fromUTF16 struct {
	r     *bufio.Reader
	order binary.ByteOrder
	ready []byte
	begun bool
	err   error // stays: whoever peeks sees it, and does not pass it on
}

var errUTF16 = errors.New("is not sound UTF-16")

func (u *fromUTF16) Read(p []byte) (int, error) {
	for len(u.ready) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		r, err := u.unit()
		if err == nil && utf16.IsSurrogate(r) {
			var low rune
			if low, err = u.unit(); err == nil {
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					err = errUTF16
				}
			} else if errors.Is(err, io.EOF) {
				err = errUTF16
			}
		}
		switch {
		case err != nil:
			u.err = err
		case u.begun || r != '\ufeff':
			u.ready = utf8.AppendRune(u.ready, r)
		}
		u.begun = true
	}
	n := copy(p, u.ready)
	u.ready = u.ready[n:]
	return n, nil
}

// unit is the next 16 bits.
func (u *fromUTF16) unit() (rune, error) {
	var two [2]byte
	_, err := io.ReadFull(u.r, two[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errUTF16
	}
	return rune(u.order.Uint16(two[:])), err
}
