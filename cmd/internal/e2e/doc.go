// Package e2e holds the end-to-end tests: the real program as a process of its
// own, a real OpenLDAP server or a Samba Active Directory, the sandbox on another
// site than the bridge, and a person at a real browser or a plain HTTP client.
//
// Peers by other hands check what goes over the wire: a service provider of node-saml
// (folder interop), xmlsec1 for signatures and encryption, the OASIS schemas.
//
// Nothing in here is linked into a program.
package e2e
