package admin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// maxTraces is the most sign-ins that are listed at once.
const maxTraces = 1000

// Traces is what sign-ins did, step by step. People are not of one client account, so that everything here takes a
// scope of all.
type Traces struct {
	Store      *store.DB
	References *idp.References // reads the references of requests that were only counted; nil: there are none
}

// Trace is one request of a sign-in, with what its person is called.
type Trace struct {
	store.Trace

	Name        string // "": nobody's, or not known
	AccountName string // "": of no client account, or not known
	Provider    string // "": of none, or of one that is not registered
}

// Short is what a sign-in came to, in a few words: the cause of its reason, as a part of a sentence; "" where nothing
// stopped it.
func (t Trace) Short() string {
	if t.Reason == "" {
		return ""
	}
	cause := strings.TrimSuffix(idp.TextOf(t.Reason).Cause, ".")
	if first, size := utf8.DecodeRuneInString(cause); size < len(cause) {
		if second, _ := utf8.DecodeRuneInString(cause[size:]); !unicode.IsUpper(second) { // no abbreviation
			cause = string(unicode.ToLower(first)) + cause[size:]
		}
	}
	return cause
}

// List lists sign-ins, the newest first, 1 to 1000 at once.
func (a Traces) List(ctx context.Context, s Scope, f store.TraceFilter) ([]Trace, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if f.Limit < 1 || f.Limit > maxTraces {
		return nil, &Error{Field: "limit", Fault: fmt.Sprintf("limit %d is out of range", f.Limit),
			Hint: fmt.Sprintf("write 1 to %d", maxTraces)}
	}
	list, err := a.Store.Traces().List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list sign-ins: %w", err)
	}
	return a.named(ctx, s, list)
}

// Search is List for a page, 1 to 1000 at once: it looks at 2,000 sign-ins at most. next is the Before of the filter
// that goes on, 0 for none; cut tells that there may be more of the filter's before it.
func (a Traces) Search(ctx context.Context, s Scope, f store.TraceFilter) (all []Trace, next int64, cut bool,
	err error) {
	if err := s.whole(); err != nil {
		return nil, 0, false, err
	}
	list, next, cut, err := a.Store.Traces().Search(ctx, f)
	if err != nil {
		return nil, 0, false, fmt.Errorf("search sign-ins: %w", err)
	}
	all, err = a.named(ctx, s, list)
	return all, next, cut, err
}

// Newest names the newest sign-in, so that whoever follows them knows when to search again; 0: there is none.
func (a Traces) Newest(ctx context.Context, s Scope) (int64, error) {
	if err := s.whole(); err != nil {
		return 0, err
	}
	id, err := a.Store.Traces().Newest(ctx)
	if err != nil {
		return 0, fmt.Errorf("follow sign-ins: %w", err)
	}
	return id, nil
}

// referenceParts are what a pasted text is made of, and groupedReference is a reference in groups of letters.
var (
	referenceParts   = regexp.MustCompile(`[0-9A-Z]+`)
	groupedReference = regexp.MustCompile(`\b[0-9A-Z]{2,5}(?:[ -][0-9A-Z]{2,5}){1,4}\b`)
)

// Reference finds the reference of a sign-in in what somebody has pasted: with words around it, in groups, in a URL, in
// lower case. What holds none is answered as it is.
func Reference(text string) string {
	text = strings.ToUpper(strings.TrimSpace(text))
	parts := referenceParts.FindAllString(text, -1)
	// What looks like one comes behind the words; one with a digit is no word.
	best := ""
	for _, part := range parts {
		if isReference(part) && (strings.ContainsAny(part, "0123456789") || !strings.ContainsAny(best, "0123456789")) {
			best = part
		}
	}
	if best != "" {
		return best
	}
	for _, group := range groupedReference.FindAllString(text, -1) {
		words := referenceParts.FindAllString(group, -1)
		for from := range words { // "REF ABCD 1234 EF": words may stand before it
			if whole := strings.Join(words[from:], ""); isReference(whole) {
				return whole
			}
		}
	}
	return text
}

// isReference tells whether a word has the form of a reference, of either length.
func isReference(word string) bool {
	return (len(word) == 10 || len(word) == 14) && !strings.ContainsAny(word, "ILOU")
}

func (a Traces) named(ctx context.Context, s Scope, list []store.Trace) ([]Trace, error) {
	ids := make([]store.PersonID, 0, len(list))
	for _, t := range list {
		ids = append(ids, t.Person)
	}
	names, err := People{Store: a.Store}.Names(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	places := newPlaces(a.Store)
	all := make([]Trace, 0, len(list))
	for _, t := range list {
		if err := places.look(ctx, t.Account, t.SP); err != nil {
			return nil, err
		}
		all = append(all, Trace{t, names[t.Person], places.accounts[t.Account], places.providers[t.SP]})
	}
	return all, nil
}

// Find is the requests of one sign-in, by any of their references. Of a request that was only counted it is what its
// reference itself says, as coded; a reference of neither is an Error.
func (a Traces) Find(ctx context.Context, s Scope, ref string) (list []Trace, coded *idp.CodedRequest, err error) {
	if err := s.whole(); err != nil {
		return nil, nil, err
	}
	ref = Reference(ref)
	found, err := a.Store.Traces().ByRef(ctx, ref)
	if err == nil {
		list, err = a.named(ctx, s, found)
		return list, nil, err
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, nil, fmt.Errorf("read the trace of %.40q: %w", ref, err)
	}
	if a.References != nil {
		one, ok, err := a.References.Find(ctx, a.Store.RequestCounts(), a.Store.Audit(), ref)
		if err != nil {
			return nil, nil, fmt.Errorf("read the reference %.40q: %w", ref, err)
		}
		if ok {
			return nil, &one, nil
		}
	}
	return nil, nil, &Error{Kind: Missing, Field: "ref", Act: AuditOfReference, About: ref, Err: err,
		Fault: "no sign-in with the reference " + plaintext.Quote(ref) + " is known",
		Hint:  "it may be older than traces.keep, or belong to a page that is no sign-in"}
}

// Refusals says why and how often requests were refused since a time, also those that were only counted: by sums, so it
// costs the same after a flood.
func (a Traces) Refusals(ctx context.Context, s Scope, since time.Time, limit int) (refused []store.RefusalSum,
	counted []store.RequestCount, err error) {
	if err := s.whole(); err != nil {
		return nil, nil, err
	}
	if refused, err = a.Store.Statistics().Refusals(ctx, since, limit); err == nil {
		counted, err = a.Store.RequestCounts().Since(ctx, since, limit)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("sum up the refusals: %w", err)
	}
	return refused, counted, nil
}
