// Package documents holds the documents to what the program does: each block of commands or configuration in README.md
// and docs says in a comment before it, which readers don't see, how it is held:
//
//	<!-- run: MACHINE -->              a shell runs it as it stands, as root, on the machine of that name
//	<!-- run: MACHINE; write FILE -->  it is the content of this file there
//	<!-- run: MACHINE; edit FILE -->   its sections take the place of those in this YAML file there
//	<!-- run: MACHINE; when FILE -->   a shell runs it once this file is there
//	<!-- run: MACHINE; in the background -->
//	<!-- checked: TestName -->         that test looks at it
//	<!-- shown: why it is not run -->
//
// A block without a mark fails a test of make check. A machine is this Debian once more: its files below an empty layer
// in memory, its own users and processes, systemd as its first one, and a network with one neighbour. The names of the
// documents (sso.example.com, ldap1.example.com, api.cc.email) lead to the program, slapd and the sandbox there. The
// blocks of a machine run one after the other, in the order of its pages. It holds tests alone.
package documents
