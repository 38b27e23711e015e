package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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

	Name string // "": nobody's, or not known
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

func (a Traces) named(ctx context.Context, s Scope, list []store.Trace) ([]Trace, error) {
	ids := make([]store.PersonID, 0, len(list))
	for _, t := range list {
		ids = append(ids, t.Person)
	}
	names, err := People{Store: a.Store}.Names(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	all := make([]Trace, 0, len(list))
	for _, t := range list {
		all = append(all, Trace{t, names[t.Person]})
	}
	return all, nil
}

// Find is the requests of one sign-in, by any of their references. Of a request that was only counted it is what its
// reference itself says, as coded; a reference of neither is an Error.
func (a Traces) Find(ctx context.Context, s Scope, ref string) (list []Trace, coded *idp.CodedRequest, err error) {
	if err := s.whole(); err != nil {
		return nil, nil, err
	}
	ref = strings.ToUpper(ref)
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
