// Package mfa keeps the second factors of people: codes of authenticator apps, passkeys and recovery codes. It makes
// them, checks what people prove them with, and seals what proves them with the secret key for its person, so that
// nobody gains one by writing into the database.
//
// The package leaves to others: who is asked for a factor and when, sessions, and how often a proof may be tried
// (limits are taken before anything is checked here).
//
// It must never take a code twice, hand out what proves a factor after it was enrolled, or let a factor that can't be
// read pass as one that proves something.
package mfa
