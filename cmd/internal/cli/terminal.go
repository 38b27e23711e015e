package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// maxAnswer is how long an answer may be, in bytes: more than any DN, URL or password.
const maxAnswer = 4 << 10

// errLongAnswer is an answer beyond that.
var errLongAnswer = errors.New("the answer is longer than 4096 bytes")

// errNoText is an answer that is no text.
var errNoText = errors.New("the answer is no UTF-8 text")

// errControl is a hidden answer with a key that types no character, such as an arrow: nobody sees what it did.
var errControl = errors.New("a key was pressed that types no character, such as an arrow: type the answer again")

// errNoTerminal says that nobody can be asked.
var errNoTerminal = errors.New("standard input is no terminal")

// terminalOf is the terminal that a person types at; ok is false without one.
func (s *invocation) terminalOf() (in *os.File, ok bool) {
	in, ok = s.stdin.(*os.File)
	return in, ok && term.IsTerminal(int(in.Fd()))
}

// readAnswer asks at the terminal. hidden: what is typed is not shown. It ends with ctx, and leaves the terminal as it
// was, echo included. io.EOF: the person ended the input.
func (s *invocation) readAnswer(ctx context.Context, question string, hidden bool) (string, error) {
	in, ok := s.terminalOf()
	if !ok {
		return "", errNoTerminal
	}
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("look at the terminal: %w", err)
	}
	read := readLine
	if hidden {
		// Before the question is there: what somebody types or pastes at once must not be shown either.
		if _, err := term.MakeRaw(fd); err != nil {
			return "", fmt.Errorf("turn off the echo of the terminal: %w", err)
		}
		read = readHidden
	}
	s.printf("%s", question)
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	// A read from a terminal can't be called off: it goes on until a line comes or the process ends.
	go func() {
		text, err := read(in)
		answered <- answer{text, err}
	}()
	var a answer
	select {
	case a = <-answered:
	case <-ctx.Done():
		a.err = context.Cause(ctx)
	}
	err = errors.Join(a.err, term.Restore(fd, before))
	if hidden || a.err != nil {
		s.printf("\n") // the one that was typed was not shown
	}
	switch {
	case err != nil:
		return "", err
	case len(a.text) > maxAnswer:
		return "", errLongAnswer
	case !utf8.ValidString(a.text):
		return "", errNoText
	}
	return a.text, nil
}

// What the keys of a terminal send that does not pass them on as they are.
const (
	ctrlC     = 3
	ctrlD     = 4
	backspace = 8
	ctrlU     = 21
	deleted   = 127
)

// readHidden reads a line from a terminal that shows nothing and interprets nothing.
func readHidden(in io.Reader) (string, error) {
	var line []byte
	control := false
	one := make([]byte, 1)
	for {
		n, err := in.Read(one)
		if n == 0 {
			if err == nil {
				err = io.EOF
			}
			return "", err
		}
		switch c := one[0]; {
		case (c == '\r' || c == '\n') && control:
			return "", errControl
		case c == '\r' || c == '\n':
			return string(line), nil
		case c == ctrlC:
			return "", context.Canceled
		case c == ctrlD && len(line) == 0:
			return "", io.EOF
		case c == ctrlU:
			line = line[:0]
		case c == backspace || c == deleted:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		case c < ' ':
			control = true
		case len(line) <= maxAnswer:
			line = append(line, c)
		}
	}
}

// readLine reads up to the end of the line and no further: what is typed ahead is the answer to the next question,
// which may be a hidden one.
func readLine(in io.Reader) (string, error) {
	var line strings.Builder
	one := make([]byte, 1)
	for {
		n, err := in.Read(one)
		switch {
		case n == 0 && err == nil:
			return "", io.EOF
		case n == 1 && one[0] == '\n':
			return strings.TrimSuffix(line.String(), "\r"), nil
		case n == 1:
			if line.Len() <= maxAnswer {
				line.WriteByte(one[0])
			}
		case err != nil:
			return "", err
		}
	}
}
