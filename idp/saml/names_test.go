package saml_test

import (
	"testing"

	crewjam "github.com/crewjam/saml"

	"ssobridge/idp/saml"
)

// TestNames compares the identifiers of the specification with those of another implementation.
func TestNames(t *testing.T) {
	for ours, theirs := range map[string]string{
		saml.BindingPost:                 crewjam.HTTPPostBinding,
		saml.BindingRedirect:             crewjam.HTTPRedirectBinding,
		saml.StatusSuccess:               crewjam.StatusSuccess,
		saml.StatusRequester:             crewjam.StatusRequester,
		saml.StatusResponder:             crewjam.StatusResponder,
		saml.StatusVersionMismatch:       crewjam.StatusVersionMismatch,
		saml.StatusAuthnFailed:           crewjam.StatusAuthnFailed,
		saml.StatusInvalidNameIDPolicy:   crewjam.StatusInvalidNameIDPolicy,
		saml.StatusNoAuthnContext:        crewjam.StatusNoAuthnContext,
		saml.StatusNoPassive:             crewjam.StatusNoPassive,
		saml.StatusPartialLogout:         crewjam.StatusPartialLogout,
		saml.StatusRequestDenied:         crewjam.StatusRequestDenied,
		saml.StatusRequestUnsupported:    crewjam.StatusRequestUnsupported,
		saml.StatusRequestVersionTooHigh: crewjam.StatusRequestVersionTooHigh,
		saml.StatusRequestVersionTooLow:  crewjam.StatusRequestVersionTooLow,
		saml.StatusUnknownPrincipal:      crewjam.StatusUnknownPrincipal,
		saml.StatusUnsupportedBinding:    crewjam.StatusUnsupportedBinding,
		saml.FormatPersistent:            string(crewjam.PersistentNameIDFormat),
		saml.FormatTransient:             string(crewjam.TransientNameIDFormat),
		saml.FormatEmail:                 string(crewjam.EmailAddressNameIDFormat),
		saml.FormatUnspecified:           string(crewjam.UnspecifiedNameIDFormat),
	} {
		if ours != theirs {
			t.Errorf("%s, theirs is %s", ours, theirs)
		}
	}
}
