package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is one audit event: who did what on whom, from where, with which outcome.
// It carries no secret, token, assertion or password. People stand in it by their id
// alone: it stays as it is when a person is forgotten.
type Event struct {
	ID      int64           `json:"id"`
	At      time.Time       `json:"at"`                // zero: when it is stored
	Ref     string          `json:"ref,omitempty"`     // reference id, shown to the person and in the log
	Actor   string          `json:"actor,omitempty"`   // person id, "admin:NAME" on the command line, or "worker"
	Action  string          `json:"action"`            // "sign-in", "refusal", "login", "create-user", "mapping-add", …
	Subject string          `json:"subject,omitempty"` // on whom or what
	Account AccountID       `json:"account,omitempty"`
	SP      string          `json:"sp,omitempty"`
	Address string          `json:"address,omitempty"`
	Outcome string          `json:"outcome,omitempty"` // "ok", "refused", "failed", "unknown"
	Reason  string          `json:"reason,omitempty"`  // a fixed word, never free text from outside
	Detail  json.RawMessage `json:"detail,omitempty"`
	// Foreign: no writer of ours vouched for it. Somebody wrote it into the database. It is found out when events are
	// read; nothing stores it.
	Foreign bool `json:"foreign,omitempty"`
}

// Audit keeps the audit events. They are only ever added, and purged when they are old.
type Audit struct{ db *DB }

// Audit returns the audit events of this database.
func (db *DB) Audit() *Audit { return &Audit{db} }

// Add stores events that belong to no other change.
func (a *Audit) Add(ctx context.Context, e ...Event) error {
	if len(e) == 0 {
		return nil
	}
	return a.db.write(ctx, "add audit events", func(ctx context.Context, tx querier) error {
		return addEvents(ctx, tx, a.db.now(), e)
	})
}

const (
	maxEventText   = 1000
	maxEventDetail = 16 << 10
)

// addEvents stores events in the transaction of the change that they tell of.
// An event with neither action nor actor is none, and left out.
func addEvents(ctx context.Context, tx querier, now time.Time, events []Event) error {
	all, err := eventSteps(ctx, now, events)
	if err != nil || len(all) == 0 {
		return err
	}
	if err := inSteps(ctx, tx, all...); err != nil {
		return err
	}
	w, err := eventWriterOf(ctx)
	if err != nil {
		return err
	}
	return claimDone(ctx, tx, events, w.made)
}

// eventSteps are the statements of addEvents.
func eventSteps(ctx context.Context, now time.Time, events []Event) (all []step, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	w, err := eventWriterOf(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.Action == "" && e.Actor == "" {
			continue
		}
		e = e.from(ctx)
		if e.At.IsZero() {
			e.At = now
		}
		detail := string(e.Detail)
		switch {
		case detail == "":
		case len(detail) > maxEventDetail:
			detail = fmt.Sprintf(`{"left_out":"%d bytes"}`, len(detail))
		case !json.Valid(e.Detail) || !utf8.ValidString(detail) || strings.Contains(detail, "\x00"):
			return nil, fmt.Errorf("audit event %q: detail is not JSON", e.Action)
		}
		e = Event{
			At: fromMicros(micros(e.At)), Ref: sanitize(e.Ref), Actor: sanitize(e.Actor), Action: sanitize(e.Action),
			Subject: sanitize(e.Subject), Account: AccountID(sanitize(string(e.Account))),
			SP: sanitize(e.SP), Address: sanitize(e.Address), Outcome: sanitize(e.Outcome), Reason: sanitize(e.Reason),
			Detail: json.RawMessage(detail),
		}
		vouched := encodeVouched(e)
		own := ownEvent{at: micros(e.At), action: e.Action, sum: sha256.Sum256(vouched)}
		all = append(all, step{
			text: `
				INSERT INTO audit_events (at, ref, actor, action, subject, account, sp, address,
				    outcome, reason, detail, mac)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
				RETURNING id`,
			args: []any{
				micros(e.At), e.Ref, e.Actor, e.Action, e.Subject, string(e.Account), e.SP, e.Address, e.Outcome, e.Reason, detail,
				w.macs.event(vouched),
			},
			row: func(r scanner) error {
				if err := r.Scan(&own.id); err != nil {
					return err
				}
				*w.own = append(*w.own, own)
				return nil
			},
		})
		all = append(all, noticeSteps(e)...)
	}
	return all, nil
}

// sanitize makes any text storable: cut to a bound, valid UTF-8, no NUL, which
// PostgreSQL refuses. An event must not be lost because of what a stranger sent.
func sanitize(s string) string {
	if len(s) > maxEventText {
		s = s[:maxEventText]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

// Filter for List and Export; zero fields do not filter.
type Filter struct {
	Ref, Actor, Action, Subject, Outcome, SP string
	Account                                  AccountID
	About                                    string    // events whose actor or subject this is
	Since, Until                             time.Time // Since inclusive, Until exclusive
	Before                                   int64     // events with a smaller id
	Limit                                    int       // of List, 1 to 1000, default 100
}

const eventColumns = `id, at, ref, actor, action, subject, account, sp, address, outcome, reason, detail`

// List returns events, newest first. For the next page, set Before to the
// smallest id of this one.
func (a *Audit) List(ctx context.Context, f Filter) ([]Event, error) {
	const what = "list audit events"
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 || f.Before < 0 {
		return nil, fmt.Errorf("%s: limit %d, before %d: want a limit from 1 to 1000 and an id", what, f.Limit, f.Before)
	}
	c := f.conditions()
	if f.Before > 0 {
		c.text.WriteString(" AND id < " + c.param(f.Before))
	}
	c.text.WriteString(" ORDER BY id DESC LIMIT " + c.param(f.Limit))
	all, err := a.events(ctx, c)
	return all, a.db.explain(what, err)
}

// events reads those of a query, and marks those that are foreign.
func (a *Audit) events(ctx context.Context, c *conditions) ([]Event, error) {
	all, err := collect(ctx, a.db.engine.lister(), scanEvent, c.text.String(), c.args...)
	if err != nil || len(all) == 0 {
		return all, err
	}
	// The mark is for the eye. Verify believes the entry's hash alone. Only these are looked up: those of one person lie
	// far apart, and whoever writes into the database may have written any number between them.
	var marked conditions
	marked.text.WriteString(`SELECT event FROM audit_chain WHERE foreign_event = 1 AND event IN (`)
	marked.among(len(all), func(i int) any { return all[i].ID })
	marked.text.WriteString(")")
	foreign, err := collect(ctx, a.db.engine.reader(), scanID, marked.text.String(), marked.args...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Foreign = slices.Contains(foreign, all[i].ID)
	}
	return all, nil
}

// conditions is the query of a filter, without order and page. Only the conditions
// that filter are put in, so that their index is used.
func (f Filter) conditions() *conditions {
	c := &conditions{}
	c.text.WriteString(`SELECT ` + eventColumns + ` FROM audit_events WHERE 1 = 1`)
	for _, e := range []struct{ column, value string }{
		{"ref", f.Ref}, {"actor", f.Actor}, {"action", f.Action}, {"subject", f.Subject}, {"outcome", f.Outcome},
		{"sp", f.SP}, {"account", string(f.Account)},
	} {
		if e.value != "" {
			c.text.WriteString(" AND " + e.column + " = " + c.param(e.value))
		}
	}
	// What the partial indexes hold, in their words, so that they are used.
	for _, e := range []struct {
		filters bool
		text    string
	}{
		{f.SP != "", "sp <> ''"}, {f.Account != "", "account <> ''"}, {f.Outcome != "" && f.Outcome != "ok",
			"outcome <> 'ok'"},
	} {
		if e.filters {
			c.text.WriteString(" AND " + e.text)
		}
	}
	if f.About != "" {
		// Each index by itself, not an OR over the table.
		c.text.WriteString(" AND id IN (SELECT id FROM audit_events WHERE actor = " + c.param(f.About) +
			" UNION SELECT id FROM audit_events WHERE subject = " + c.param(f.About) + ")")
	}
	if !f.Since.IsZero() {
		c.text.WriteString(" AND at >= " + c.param(micros(f.Since)))
	}
	if !f.Until.IsZero() {
		c.text.WriteString(" AND at < " + c.param(micros(f.Until)))
	}
	return c
}

func scanEvent(row scanner) (e Event, err error) {
	var (
		at     int64
		detail string
	)
	err = row.Scan(&e.ID, &at, &e.Ref, &e.Actor, &e.Action, &e.Subject, &e.Account, &e.SP,
		&e.Address, &e.Outcome, &e.Reason, &detail)
	e.At = fromMicros(at)
	if detail != "" {
		e.Detail = json.RawMessage(detail)
	}
	return e, err
}

// DetailOf is the Detail of an event. What is put in here can always be encoded: texts, numbers, times, lists of them.
func DetailOf(about map[string]any) json.RawMessage {
	data, err := json.Marshal(about)
	if err != nil {
		return nil
	}
	return data
}
