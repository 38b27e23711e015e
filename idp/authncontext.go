package idp

import (
	"slices"

	"ssobridge/idp/mfa"
	"ssobridge/idp/saml"
)

// DefaultSecondFactorClass says that a second factor was proved beside the password. SAML
// itself has no class for that; this one is the profile of REFEDS, which service providers
// know (https://refeds.org/profile/mfa).
const DefaultSecondFactorClass = "https://refeds.org/profile/mfa"

// methodPassword is a method of a session beside the kinds of second factor: what was really done.
const methodPassword = "password"

// secondFactor tells whether the methods hold one beside the password.
func secondFactor(methods []string) bool { return slices.ContainsFunc(methods, mfa.IsKind) }

// classes says which classes a session's methods amount to (row RSP-08).
type classes struct {
	protected bool   // people reach us by TLS
	second    string // the class of a password and a second factor
}

// order goes from weak to strong.
func (c classes) order() []string {
	return []string{saml.ClassPassword, saml.ClassPasswordProtected, c.second}
}

// byPassword are the classes of a login by password, from weak to strong. A password that came over plain HTTP, as on
// loopback, was not protected on its way, and the classes say so. One that came by TLS is a password all the same: who
// asks for no more gets no more said.
func (c classes) byPassword() []string {
	if c.protected {
		return []string{saml.ClassPassword, saml.ClassPasswordProtected}
	}
	return []string{saml.ClassPassword}
}

// reached are the classes that the methods amount to, from weak to strong. Who proved
// a second factor also proved the password.
func (c classes) reached(methods []string) []string {
	all := c.byPassword()
	if secondFactor(methods) && !slices.Contains(all, c.second) {
		all = append(all, c.second)
	}
	return all
}

// of is the class to tell of a session: the strongest that was asked for, by asked of
// a pending request.
func (c classes) of(methods, asked []string) string {
	return strongest(c.reached(methods), asked)
}

// meeting are the classes of ours that a request is content with. It is nil where
// nothing was asked for; ok is false where none of ours would do.
func (c classes) meeting(want *saml.RequestedContext, withSecond bool) (asked []string, ok bool) {
	if want == nil {
		return nil, true
	}
	ours := c.byPassword()
	if withSecond {
		ours = c.reached([]string{methodPassword, mfa.TOTP})
	}
	for _, class := range ours {
		if want.Meets(class, c.order()) {
			asked = append(asked, class)
		}
	}
	return asked, len(asked) > 0
}

// needsSecond tells whether what was asked for takes a second factor.
func (c classes) needsSecond(asked []string) bool {
	return len(asked) > 0 && !slices.ContainsFunc(c.byPassword(), func(class string) bool {
		return slices.Contains(asked, class)
	})
}
