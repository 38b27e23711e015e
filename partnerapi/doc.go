// Package partnerapi is the typed client of Constant Contact's partner endpoints: the token exchange; client accounts,
// which are listed, created, billed and cancelled; the creation of SSO users; calls on behalf of a client account;
// unsubscriptions; webhook subscriptions. openapi.yaml beside this file describes all of them, and the tests hold
// client and sandbox against it.
//
// It knows the wire and what an answer means, nothing else: what is called for whom, whether
// a call is tried again, and what is remembered of it is decided by its callers. The shared
// limits (calls a second and a day) are kept behind the Budget interface.
//
// Bodies are checked before a call is spent on them. Requests are strict; answers are read with an open mind: fields
// are added and statuses get new values without notice, so what is unknown is passed on, and only an answer that does
// not say what it must is an error.
//
// It never sends a request twice by itself, save once after a 401, which says that the first one was not acted upon,
// and a page of a list that was throttled. Constant Contact has no idempotency key: a creation whose answer is lost may
// have worked, and the Kind of an Error says so.
//
// Tokens, the client secret and the API key never stand in an error or in a log line, nor do addresses of webhooks.
package partnerapi
