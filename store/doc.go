// Package store keeps everything that outlives a request: pending sign-ins,
// sessions, service providers, signing keys, mappings, the ledger of SSO users,
// the call budget and the audit events. It holds the records, the SQL and the
// migrations for SQLite and PostgreSQL, and no rule of the sign-in itself.
//
// One DB serves any number of goroutines. Several processes may open the same
// database: replicas on PostgreSQL, the program and its commands on SQLite.
// Each method that changes something is one transaction, durable when it returns,
// and its audit events are part of it.
//
// Times are kept as microseconds since 1970 in UTC and come back cut to that;
// the zero time is kept as 0. Secrets are hashed or sealed by the caller: this
// package never sees a password, a session token or a private key in clear, and
// none of its errors carries a stored value.
package store
