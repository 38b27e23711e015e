package idp

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// What a launch token says of how somebody proved themselves stands among the methods of its session, which the
// session's MAC covers: the values alone. What they are believed is decided by the configuration of the moment, so that
// a source that is trusted less from now on is trusted less at once.

const (
	proofMethod    = "claim:"     // of a session, followed by a value of acr or amr, such as "amr=mfa"
	authTimeMethod = "auth_time:" // followed by seconds
)

// trustedFor are the words that the proofs of a session amount to with its source.
func (s Source) trustedFor(methods []string) (words []string) {
	for _, t := range s.Trust {
		if slices.Contains(methods, proofMethod+t.Proof()) {
			words = append(words, t.For...)
		}
	}
	return words
}

// uri is the class that a word of a source's trust stands for.
func (c classes) uri(word string) string {
	switch word {
	case claims.TrustPassword:
		return saml.ClassPassword
	case claims.TrustProtected:
		return saml.ClassPasswordProtected
	case claims.TrustFactor:
		return c.second
	}
	return ""
}

// launched are the classes that a source's session amounts to, from weak to strong. What a source is not trusted for
// is said to be unspecified.
func (c classes) launched(words []string) []string {
	all := []string{saml.ClassUnspecified}
	for _, class := range c.order() {
		if slices.ContainsFunc(words, func(word string) bool { return c.uri(word) == class }) {
			all = append(all, class)
		}
	}
	return all
}

// contextsOf are the classes that a session amounts to, from weak to strong.
func (p *IdP) contextsOf(s store.Session) []string {
	name := launchedBy(s)
	if name == "" {
		return p.classes.reached(s.Methods)
	}
	source, known := p.source(name)
	if !known {
		return []string{saml.ClassUnspecified}
	}
	return p.classes.launched(source.trustedFor(s.Methods))
}

// classOf is the class to tell of a session, see classes.of.
func (p *IdP) classOf(o responseParams, s store.Session) string {
	if launchedBy(s) == "" {
		return p.classes.of(p.toldMethods(o, s), o.asked)
	}
	return strongest(p.contextsOf(s), o.asked)
}

// strongest is the strongest class that was asked for.
func strongest(reached, asked []string) string {
	for _, class := range slices.Backward(reached) {
		if len(asked) == 0 || slices.Contains(asked, class) {
			return class
		}
	}
	return reached[len(reached)-1]
}

// satisfies tells whether a session amounts to one of the classes that a request demands.
func (p *IdP) satisfies(f *flow, s store.Session) bool {
	return !f.fromSP() || len(f.data.Request.Classes) == 0 ||
		slices.ContainsFunc(p.contextsOf(s), func(class string) bool {
			return slices.Contains(f.data.Request.Classes, class)
		})
}

// factorAtSource tells whether a launch counts as one with a second factor.
func (p *IdP) factorAtSource(s store.Session) bool {
	source, known := p.source(launchedBy(s))
	return known && slices.Contains(source.trustedFor(s.Methods), claims.TrustFactor)
}

// sourcesProveFactor tells whether a source is trusted with second factors, so that service providers can ask for one.
func (p *IdP) sourcesProveFactor() bool {
	return slices.ContainsFunc(p.o.Sources, func(s Source) bool {
		return slices.ContainsFunc(s.Trust, func(t claims.Trust) bool { return slices.Contains(t.For, claims.TrustFactor) })
	})
}

// ProvesFactor tells whether a source is trusted to prove second factors.
func (p *IdP) ProvesFactor(source string) bool {
	s, known := p.source(source)
	return known && slices.ContainsFunc(s.Trust, func(t claims.Trust) bool {
		return slices.Contains(t.For, claims.TrustFactor)
	})
}

// provedAt is when the person of a session proved themselves: by the source, where it is trusted with that.
func (p *IdP) provedAt(s store.Session) time.Time {
	source, known := p.source(launchedBy(s))
	if !known || !source.TrustAuthTime {
		return s.AuthenticatedAt
	}
	for _, m := range s.Methods {
		if text, ok := strings.CutPrefix(m, authTimeMethod); ok {
			// Never behind the launch: its source's clock may be ahead.
			if at, err := strconv.ParseInt(text, 10, 64); err == nil && at < s.AuthenticatedAt.Unix() {
				return time.Unix(at, 0).UTC()
			}
		}
	}
	return s.AuthenticatedAt
}
