package idp

import "slices"

// Authentication context classes (saml-authn-context 3.4).
const (
	classPassword          = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	classPasswordProtected = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
)

// methodPassword stands in a session's Methods when a directory password was checked.
const methodPassword = "password"

// classOrder goes from weak to strong; a further factor adds a stronger class.
var classOrder = []string{classPassword, classPasswordProtected}

// classes says which class a session's methods amount to (row RSP-08).
type classes struct {
	protected bool // people reach us by TLS
}

// of names the class for what was really done. A password that came over plain
// HTTP, as on loopback, was not protected on its way, and the class says so.
func (c classes) of(methods []string) string {
	if c.protected && slices.Contains(methods, methodPassword) {
		return classPasswordProtected
	}
	return classPassword
}

// reachable is the class that a fresh login would give.
func (c classes) reachable() string { return c.of([]string{methodPassword}) }

// meets tells whether a class is what a request asks for (saml-core
// 3.3.2.2.1). A class that is not in classOrder has no place in it, so it is
// only ever met exactly.
func meets(class string, want *requestedContext) bool {
	if want == nil {
		return true
	}
	if len(want.classes) == 0 {
		return false // declarations alone: none are published
	}
	ours := slices.Index(classOrder, class)
	better := true
	for _, asked := range want.classes {
		place := slices.Index(classOrder, asked)
		switch {
		case want.comparison == "exact" && asked == class,
			want.comparison == "minimum" && place >= 0 && ours >= place,
			want.comparison == "maximum" && place >= 0 && ours <= place:
			return true
		}
		better = better && place >= 0 && ours > place // stronger than all that are named
	}
	return want.comparison == "better" && better
}
