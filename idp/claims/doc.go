// Package claims reads and checks what a source of people says about somebody: signed launch tokens, which a partner's
// own application makes for a person who is signed in there, and ID tokens of OpenID providers, which it asks for them
// as a client (Client). It says whether a token is genuine, for us, fresh and
// within what its source may say, and what it says of the person.
//
// The package stores nothing: whether a token was used before, and what the person may do, is decided by its callers.
// It must never put the value of a claim into an error, because errors go to the log and to traces.
//
// Signatures are verified by the standard library and the envelope (RFC 7515 compact form, RFC 7519 claims) is read
// here, without a JOSE library: a launch token has exactly one form, and what such libraries offer beyond that one
// (algorithms by header, embedded keys, nested tokens, JSON serialization, lenient JSON) is what RFC 8725 warns of.
// The tests compare the result with another implementation.
//
// ID tokens take many forms, which their providers choose. They are read by the same strict reader first, each check
// with a reason of its own, and verified by go-oidc after that; x/oauth2 asks for them.
package claims
