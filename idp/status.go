package idp

import (
	"github.com/crewjam/saml"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
)

// status is what a service provider is told when there is no assertion
// (saml-core 3.2.2). message is fixed text: nothing of the person, the directory
// or the program goes out with it.
type status struct{ top, second, message string }

// statusOf says which reason is told by which status (table C of the rows).
func statusOf(reason string) status {
	switch reason {
	case ReasonVersionHigh:
		return status{saml.StatusVersionMismatch, saml.StatusRequestVersionTooHigh, "Only SAML 2.0 is supported."}
	case ReasonVersionLow:
		return status{saml.StatusVersionMismatch, saml.StatusRequestVersionTooLow, "Only SAML 2.0 is supported."}
	case ReasonSubject:
		return status{saml.StatusRequester, saml.StatusRequestUnsupported, "A Subject is supported by its NameID only."}
	case ReasonOtherSubject:
		return status{saml.StatusRequester, saml.StatusUnknownPrincipal, "The requested Subject is not the person who signed in."}
	case ReasonUnknownSession:
		return status{saml.StatusRequester, saml.StatusUnknownPrincipal, "No such session is known."}
	case ReasonEncryptedName:
		return status{saml.StatusRequester, saml.StatusRequestUnsupported, "The person must be named by a NameID in clear."}
	case ReasonBinding:
		return status{saml.StatusRequester, saml.StatusUnsupportedBinding, "Responses are sent by HTTP-POST only."}
	case ReasonNameIDPolicy, string(provisioning.MayNotCreate):
		return status{saml.StatusRequester, saml.StatusInvalidNameIDPolicy, "The requested NameID is not available."}
	case ReasonPassive:
		return status{saml.StatusResponder, saml.StatusNoPassive, "The person would have to be shown a page."}
	case ReasonAuthnContext, ReasonFactorNew, ReasonFactorLogin:
		return status{saml.StatusResponder, saml.StatusNoAuthnContext, "The requested authentication context is not available."}
	case ReasonCancelled, ReasonTooManyAttempts, ReasonNameIDTaken,
		string(directory.BadCredentials), string(directory.Locked), string(directory.Disabled), string(directory.Expired),
		string(directory.PasswordExpired), string(directory.MustChange), string(directory.NotNow), string(directory.NotHere),
		string(directory.Ambiguous), string(directory.BadData):
		return status{saml.StatusResponder, saml.StatusAuthnFailed, "The person was not authenticated."}
	case string(provisioning.NoAssignment), string(provisioning.NotThisAccount), string(provisioning.PersonData),
		string(provisioning.HeldConflict), string(provisioning.RefusedByPartner), string(provisioning.OwnerUnknown),
		string(provisioning.NotInGroup), string(provisioning.AccountClosed), string(provisioning.UserSuspended):
		return status{saml.StatusResponder, saml.StatusRequestDenied, "The person has no access to this service."}
	}
	// Directory, database or partner API down, and whatever has no line above.
	return status{saml.StatusResponder, "", "The request can't be served at present."}
}
