package api

import (
	"encoding/json"
	"net/http"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

type auditEvent struct {
	ID      int64           `json:"id" doc:"Its number. In the list of events it is the place in the order, which after takes."`
	At      time.Time       `json:"at" doc:"When it happened."`
	Action  string          `json:"action" doc:"Such as sign-in, create-user or mapping-add; more can be added."`
	Outcome string          `json:"outcome,omitempty" doc:"ok, refused, failed or unknown."`
	Reason  string          `json:"reason,omitempty" doc:"Why, in one word."`
	Actor   string          `json:"actor,omitempty" doc:"Person id, admin:NAME on the command line, token:ID, or worker."`
	Subject string          `json:"subject,omitempty" doc:"On whom or what."`
	Account store.AccountID `json:"account,omitempty" doc:"The client account."`
	SP      string          `json:"service_provider,omitempty" doc:"The service provider's entity ID."`
	Address string          `json:"address,omitempty" doc:"From where."`
	Ref     string          `json:"reference,omitempty" doc:"Of the request."`
	Detail  json.RawMessage `json:"detail,omitempty" doc:"What else is known, by the action."`
}

func eventOf(e store.Event) auditEvent {
	return auditEvent{ID: e.ID, At: e.At.UTC(), Action: e.Action, Outcome: e.Outcome, Reason: e.Reason, Actor: e.Actor,
		Subject: e.Subject, Account: e.Account, SP: e.SP, Address: e.Address, Ref: e.Ref, Detail: e.Detail}
}

type eventStream struct {
	Items []auditEvent `json:"items" doc:"Events behind after, in their order."`
	After int64        `json:"after" doc:"What to ask with the next time."`
}

type signInTrace struct {
	Ref       string          `json:"reference" doc:"Of the request."`
	At        time.Time       `json:"at" doc:"When it was."`
	StartedAt time.Time       `json:"started_at" doc:"When the sign-in began."`
	Person    store.PersonID  `json:"person_id,omitempty" doc:"The person."`
	Name      string          `json:"name,omitempty" doc:"How they are called."`
	Account   store.AccountID `json:"account,omitempty" doc:"The client account."`
	SP        string          `json:"service_provider,omitempty" doc:"The service provider's entity ID."`
	Outcome   string          `json:"outcome" doc:"ok, pending, refused or failed."`
	Reason    string          `json:"reason,omitempty" doc:"Why, in one word."`
	Steps     []traceStep     `json:"steps" doc:"What was done. Empty in lists."`
}

type traceStep struct {
	Name   string `json:"name" doc:"The step."`
	Millis int64  `json:"duration_ms" doc:"How long it took."`
	Reason string `json:"reason,omitempty" doc:"Why it ended there, in one word."`
	Cause  string `json:"cause,omitempty" doc:"The same in a sentence."`
	Fix    string `json:"fix,omitempty" doc:"What to do about it."`
}

func traceOf(t admin.Trace) signInTrace {
	out := signInTrace{Ref: t.Ref, At: t.At.UTC(), StartedAt: t.StartedAt.UTC(), Person: t.Person, Name: t.Name,
		Account: t.Account, SP: t.SP, Outcome: t.Outcome, Reason: t.Reason, Steps: []traceStep{}}
	for _, s := range t.Steps {
		out.Steps = append(out.Steps, traceStep{s.Name, s.Took.Milliseconds(), s.Reason, s.Cause, s.Fix})
	}
	return out
}

func auditOperations() []operation {
	const area, traces = "Audit log", "Traces of sign-ins"
	return []operation{
		serves(operation{
			id: "listEvents", method: http.MethodGet, path: "/events", area: area, scope: admin.AuditRead,
			summary: "Follow the events",
			doc: "In the order in which they came into the audit log's chain, none left out: ask again with the after of the " +
				"answer. An event is there within about ten seconds.",
		}, func(c *call, in struct {
			After int64 `query:"after" min:"0" doc:"The after of the answer before; 0 or left out: from the beginning."`
			Limit int   `query:"limit" min:"1" max:"100" doc:"Events of an answer, 50 by default."`
		}) (eventStream, error) {
			if in.Limit == 0 {
				in.Limit = defaultPage
			}
			all, err := c.api.o.Audit.Follow(c.ctx, c.scope(), in.After, in.Limit)
			out := eventStream{Items: []auditEvent{}, After: in.After}
			for _, e := range all {
				event := eventOf(e.Event)
				event.ID = e.Seq
				out.Items, out.After = append(out.Items, event), e.Seq
			}
			return out, err
		}),
		serves(operation{
			id: "listAudit", method: http.MethodGet, path: "/audit", area: area, scope: admin.AuditRead,
			summary: "Search the audit log", doc: "The newest first.",
		}, func(c *call, in struct {
			paged
			About     string    `query:"about" maxlen:"200" doc:"Events whose actor or subject this is: login name, person id, admin:NAME or token:ID."`
			Action    string    `query:"action" maxlen:"100" doc:"Only of this action."`
			Outcome   string    `query:"outcome" maxlen:"30" doc:"Only of this outcome."`
			Account   string    `query:"account" maxlen:"100" doc:"Only of this client account."`
			Reference string    `query:"reference" maxlen:"100" doc:"Only of this request."`
			Since     time.Time `query:"since" doc:"From this time on."`
			Until     time.Time `query:"until" doc:"Before this time."`
		}) (list[auditEvent], error) {
			f := store.Filter{Action: in.Action, Outcome: in.Outcome, Account: store.AccountID(in.Account), Ref: in.Reference,
				Since: in.Since, Until: in.Until, Limit: in.size() + 1}
			var err error
			if f.About, err = c.api.o.Audit.About(c.ctx, in.About); err != nil {
				return list[auditEvent]{}, err
			}
			if err := c.from(in.paged, &f.Before); err != nil {
				return list[auditEvent]{}, err
			}
			rows, err := c.api.o.Audit.List(c.ctx, c.scope(), f)
			if err != nil {
				return list[auditEvent]{}, err
			}
			return pageOf(c, in.paged, rows, func(e admin.Event) auditEvent { return eventOf(e.Event) },
				func(e admin.Event) any { return e.ID })
		}),
		serves(operation{
			id: "listTraces", method: http.MethodGet, path: "/traces", area: traces, scope: admin.TracesRead,
			summary: "List sign-ins", doc: "The newest first.",
		}, func(c *call, in struct {
			paged
			Person  string    `query:"person" maxlen:"200" doc:"Only of this person, by person id or login name."`
			Account string    `query:"account" maxlen:"100" doc:"Only to this client account."`
			Outcome string    `query:"outcome" enum:"ok,pending,refused,failed" doc:"Only of this outcome."`
			Since   time.Time `query:"since" doc:"From this time on."`
		}) (list[signInTrace], error) {
			f := store.TraceFilter{Account: store.AccountID(in.Account), Outcome: in.Outcome, From: in.Since,
				Limit: in.size() + 1}
			if in.Person != "" {
				id, err := c.api.o.Users.Find(c.ctx, in.Person)
				if err != nil {
					return list[signInTrace]{}, err
				}
				f.Person = id
			}
			if err := c.from(in.paged, &f.Before); err != nil {
				return list[signInTrace]{}, err
			}
			rows, err := c.api.o.Traces.List(c.ctx, c.scope(), f)
			if err != nil {
				return list[signInTrace]{}, err
			}
			return pageOf(c, in.paged, rows, traceOf, func(t admin.Trace) any { return t.ID })
		}),
		serves(operation{
			id: "getTrace", method: http.MethodGet, path: "/traces/{reference}", area: traces, scope: admin.TracesRead,
			summary: "Read a sign-in, step by step", doc: "By any reference that a page of it has shown.",
		}, func(c *call, in struct {
			Reference string `path:"reference" maxlen:"100" doc:"The reference."`
		}) (list[signInTrace], error) {
			all, coded, err := c.api.o.Traces.Find(c.ctx, c.scope(), in.Reference)
			out := list[signInTrace]{Items: []signInTrace{}}
			for _, t := range all {
				out.Items = append(out.Items, traceOf(t))
			}
			if coded != nil {
				out.Items = append(out.Items, signInTrace{Ref: in.Reference, At: coded.From.UTC(), StartedAt: coded.From.UTC(),
					Outcome: "refused", Reason: coded.Reason, Steps: []traceStep{}})
			}
			return out, err
		}),
	}
}
