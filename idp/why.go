package idp

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// Why says to administrators why a request does not go on. Log, trace, console and commands show the same of it: what
// is empty, the table of reasons fills in. It holds no secret, and nothing that the directory has of a person.
type Why struct {
	Reason string
	Cause  string // what happened, with its particulars: what was asked for, what is on record
	Fix    string // what to do, in words that are the same for every face
	Act    Act    // how it is done: each face has its own words for it
	About  string // what the act is about, such as an entity ID
}

// maxWhy bounds each sentence of a Why.
const maxWhy = 700

// complete fills in what the place that refused did not say. entityID and person are who it was about, "" for nobody.
func (w Why) complete(entityID string, person store.PersonID) Why {
	text := TextOf(w.Reason)
	w.Cause, w.Fix = sentence(cmp.Or(w.Cause, text.Cause)), sentence(cmp.Or(w.Fix, text.Fix))
	w.Act = cmp.Or(w.Act, text.Act)
	switch {
	case w.About != "":
	case w.Act.ofProvider():
		if w.About = entityID; entityID == "" || entityID == consoleID || entityID == ownID || entityID == orderID {
			w.Act, w.About = actListProviders, "" // nobody is known to be meant
		}
	case w.Act.ofPerson():
		w.About = string(person)
	}
	return w
}

// FixText is the fix in one line of a log or a terminal: what to do, and how by command and in the console. how comes
// from the faces, "" where there is no act.
func FixText(fix, how string) string {
	if how == "" {
		return fix
	}
	return strings.TrimSpace(fix + " " + how)
}

// sentence makes one of a text: in one line, with a capital letter and a full stop.
func sentence(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	if len(text) > maxWhy {
		text = strings.ToValidUTF8(text[:maxWhy], "") + "…"
	}
	first, size := utf8.DecodeRuneInString(text)
	if word, _, _ := strings.Cut(text, " "); !strings.ContainsAny(word, "_.:/=") { // not a key of the configuration
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "…") && !strings.HasSuffix(text, "?") {
		text += "."
	}
	return text
}

// whyOf is why a message is refused.
func whyOf(bad *saml.Fault) Why { return Why{Reason: bad.Reason, Cause: bad.Detail, Fix: bad.Fix} }

// FailureOf is the reason of a request that failed, and was not refused: what it needs is down, it took too long, its
// browser went away, or anything else.
func FailureOf(ctx context.Context, err error) string {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ReasonClientGone
	case errors.Is(err, store.ErrUnavailable):
		return ReasonStoreDown
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ReasonTooSlow
	}
	return ReasonInternal
}
