package admin

import (
	"errors"
	"strings"
)

// Kind says what an Error is about, for exit codes and HTTP status.
type Kind int

// The kinds of an Error.
const (
	Input     Kind = iota // what was given can't be used
	Missing               // there is nothing of that name
	Changed               // something else has changed meanwhile: look again
	Forbidden             // it is outside the caller's scope
	Denied                // the person whom it is about would be refused
	Outside               // the directory, Constant Contact, a service provider, a file or a token failed
)

// Error is an act that was refused, for an administrator to read.
type Error struct {
	Kind  Kind
	Field string // the input at fault, by the name of its parameter, such as confirmed_by; "": none alone
	Fault string // what is wrong, in a sentence without its full stop
	Hint  string // what to do, where the value at fault decides it; the same for every face; "": Act says it
	Act   Act    // what fixes it; NoAct: the fault says it
	About string // what the act is about, such as an entity ID; "": nothing in particular
	Parts []*Error
	Err   error // the cause, for errors.Is and the log; no page shows it
}

// Error is for logs and terminals: the fault with its parts, and the cause.
func (e *Error) Error() string {
	text := e.Text()
	switch {
	case e.Err == nil || strings.Contains(text, e.Err.Error()):
		return text
	case strings.Contains(e.Err.Error(), text):
		return e.Err.Error()
	}
	return text + ": " + e.Err.Error()
}

// Text is the fault with its parts, each on a line of its own. It holds no cause, and not the hint of the whole.
func (e *Error) Text() string {
	var b strings.Builder
	b.WriteString(e.Fault)
	for _, p := range e.Parts {
		b.WriteString("\n  " + strings.ReplaceAll(p.Line(), "\n", "\n  "))
	}
	return b.String()
}

// Line is the fault with its hint, for where the two stand together.
func (e *Error) Line() string {
	if e.Hint == "" {
		return e.Text()
	}
	return e.Text() + ": " + e.Hint
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError finds the Error in err, or makes one of a typed error of the rooms below. ok is false for a failure of ours.
func AsError(err error) (e *Error, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	for _, turn := range turns {
		if e = turn(err); e != nil {
			if e.Err == nil {
				e.Err = err
			}
			return e, true
		}
	}
	return nil, false
}

// refusal is err as an Error where it is one, and err itself where it is a failure of ours.
func refusal(err error) error {
	if e, ok := AsError(err); ok {
		return e
	}
	return err
}

// turns are those of each room: nil for an error that it does not know. They stand beside the areas that need them.
var turns = []func(error) *Error{ringError, remainsError, runError, fieldError, metadataError, directoryError,
	partnerError}
