// Package cli is the program ssobridge: the wiring of its parts, and its commands.
//
// It is shared by cmd/ssobridge and cmd/demo. It holds no rule of SAML, LDAP or
// provisioning: it hands each part the settings and neighbours it needs, runs
// what is long-lived, and turns errors into messages and exit codes. It must never link what is pretended
// (the sandbox, the sample directory).
package cli
