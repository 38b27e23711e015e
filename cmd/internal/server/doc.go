// Package server is the running bridge: it makes the rooms from one configuration, and serves them until it is told to
// stop.
//
// Open makes the rooms, hands each the settings and neighbours it needs, and dials nobody but the store: the commands
// use the ones they need. Serve opens nothing new; it runs the listeners, the worker and everything else that is
// long-lived, and stops it in order. The package holds no rule of SAML, LDAP or provisioning, and prints nothing: it
// returns errors and writes the log. It must never link what is pretended (the sandbox, the sample directory).
package server
