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
//
// Where to look, by topic:
//
//   - the database itself: db, engine, sqlite*, postgres*, group (several commits in one), checkpoint (of the
//     write-ahead log), migrate, shape, statistics, lock, copy*
//   - sign-ins: signins, sessions, participations, logouts, tries, throttle and guesses (what is counted before a
//     password or a code is checked)
//   - people: people, epochs, factor*, secondfactors, nameids, departures, forget, source*
//   - the ledger of SSO users: ledger, queue, leases, users; budget and budgetrate (calls that are left, and how fast)
//   - plans: plan*; client accounts: account*, selforder*
//   - configuration: providers, mappings, keys, secretkeys, factorpolicies, apitokens, notice*
//   - audit: audit* ; traces: traces, tracequeue, captures
//   - after a restore: revocations (what the journal holds), replay (how it is done again), restore, movelost
package store
