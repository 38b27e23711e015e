package console

import (
	"context"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// request is one request of somebody who was admitted.
type request struct {
	*web.ConsoleRequest
	k    *Console
	area string

	undo   []undoOffer
	crumbs []link // the way to the page, without itself; nil: from the first page of the area
	find   string // what the search box holds

	again      string // where the page goes on by itself where no script runs; "": it stays
	againAfter int    // seconds
}

// actor is how changes name the reader: the person, like in every audit event.
func (r *request) actor() string { return string(r.Admin.Person) }

// ctx bounds everything behind the request.
func (r *request) ctx() context.Context { return r.Request().Context() }

// may tells whether the reader has a role, for what a page offers. It protects
// nothing: the server has let the request through, or has not.
func (r *request) may(role idp.ConsoleRole) bool { return r.Admin.Role >= role }

// scope is what the reader may see and change: all client accounts, for who has a role at all.
func (r *request) scope() admin.Scope { return admin.Everything() }

// event starts the audit event of something that the reader does.
func (r *request) event(action, subject string) store.Event {
	return store.Event{
		At: r.k.now(), Ref: r.Ref(), Actor: string(r.Admin.Person), Action: action, Subject: subject,
		Address: r.Address(), Outcome: "ok",
	}
}
