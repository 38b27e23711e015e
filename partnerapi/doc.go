// Package partnerapi is the typed client of Constant Contact's partner endpoints:
// the token exchange, the list of client accounts, and the creation of SSO users.
//
// It knows the wire and what an answer means, nothing else: which user is created, whether
// a call is tried again, and what is remembered of it is decided by its callers. The shared
// limits (calls a second and a day) are kept behind the Budget interface.
//
// It never sends a request twice by itself, save once after a 401, which says that the first
// one was not acted upon. Constant Contact has no idempotency key: a creation whose answer is
// lost may have worked, and the Kind of an Error says so.
//
// Tokens, the client secret and the API key never stand in an error or in a log line.
package partnerapi
