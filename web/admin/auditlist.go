package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// maxEvents is the most events that are listed at once.
const maxEvents = 1000

// namesAtOnce is how many people's names are looked up at once.
const namesAtOnce = 500

// Event is an event of the audit log with the names of its people, which the event itself does not hold.
type Event struct {
	store.Event

	ActorName, SubjectName string // "": nobody's, or not known
	AccountName, Provider  string // "": of none, or not known
}

// About is how events name whom somebody has written: the person id of a login name of the directory. What is nobody's
// login is taken as it stands: a person id, or an administrator of the command line (admin:NAME).
func (a Audit) About(ctx context.Context, who string) (string, error) {
	who = store.TrimTyped(who)
	if who == "" || strings.Contains(who, ":") {
		return who, nil
	}
	e, err := a.Directory.Find(ctx, who)
	if err == nil {
		return e.ID, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("find the person %.80q: %w", who, err)
	}
	return directory.CanonicalID(who), nil
}

// List lists events, the newest first, 1 to 1000 at once.
func (a Audit) List(ctx context.Context, s Scope, f store.Filter) ([]Event, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if f.Limit < 1 || f.Limit > maxEvents {
		return nil, &Error{Field: "limit", Fault: fmt.Sprintf("limit %d is out of range", f.Limit),
			Hint: fmt.Sprintf("write 1 to %d", maxEvents)}
	}
	f.Ref = strings.ToUpper(strings.TrimSpace(f.Ref)) // as it is stored, however it was read aloud
	list, err := a.Store.Audit().List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list audit events: %w", err)
	}
	var ids []store.PersonID
	for _, e := range list {
		ids = append(ids, store.PersonID(e.Actor), store.PersonID(e.Subject))
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id store.PersonID) bool { return id == "" })
	names := map[store.PersonID]string{}
	for some := range slices.Chunk(ids, namesAtOnce) {
		found, err := People{Store: a.Store}.Names(ctx, s, some)
		if err != nil {
			return nil, err
		}
		for id, name := range found {
			names[id] = name
		}
	}
	places := newPlaces(a.Store)
	all := make([]Event, 0, len(list))
	for _, e := range list {
		if err := places.look(ctx, e.Account, e.SP); err != nil {
			return nil, err
		}
		all = append(all, Event{e, names[store.PersonID(e.Actor)], names[store.PersonID(e.Subject)],
			places.accounts[e.Account], places.providers[e.SP]})
	}
	return all, nil
}

// Export writes events as CSV or as JSON lines (format csv or jsonl), the oldest first. e starts the audit event, which
// is stored before anything is written, so that it is among what is exported.
func (a Audit) Export(ctx context.Context, s Scope, w io.Writer, f store.Filter, format string, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	if format != "csv" && format != "jsonl" {
		return unknownFormat(format)
	}
	e.Action, e.Subject = "audit-export", format
	if err := a.Store.Audit().Add(ctx, e); err != nil {
		return fmt.Errorf("record an export of the audit log: %w", err)
	}
	if err := a.Store.Audit().Export(ctx, w, f, format); err != nil {
		return fmt.Errorf("export the audit log: %w", err)
	}
	return nil
}

// Follow lists the events behind a place in the audit log's chain, in its order, 1 to 1000 at once.
func (a Audit) Follow(ctx context.Context, s Scope, after int64, limit int) ([]store.Followed, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if limit < 1 || limit > maxEvents {
		return nil, &Error{Field: "limit", Fault: fmt.Sprintf("limit %d is out of range", limit),
			Hint: fmt.Sprintf("write 1 to %d", maxEvents)}
	}
	list, err := a.Store.Audit().Follow(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("follow audit events: %w", err)
	}
	return list, nil
}
