// Package sample is a small LDAP directory with people and groups, for the demo: it
// lives in memory, speaks LDAPS with a certificate of its own authority, and answers
// the binds and searches that a sign-in makes.
//
// It is pretended: it is linked by the demo and by tests, never by ssobridge. It is
// no LDAP server for anything else: it knows no schema, no changes and no access
// rules, and compares DNs by their text in lower case.
package sample
