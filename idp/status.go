package idp

import (
	"ssobridge/idp/directory"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
)

// statusOf says which reason is told by which status (table C of the rows).
func statusOf(reason string) saml.Status {
	switch reason {
	case ReasonVersionHigh:
		return saml.Status{Top: saml.StatusVersionMismatch, Second: saml.StatusRequestVersionTooHigh,
			Message: "Only SAML 2.0 is supported."}
	case ReasonVersionLow:
		return saml.Status{Top: saml.StatusVersionMismatch, Second: saml.StatusRequestVersionTooLow,
			Message: "Only SAML 2.0 is supported."}
	case ReasonSubject:
		return saml.Status{Top: saml.StatusRequester, Second: saml.StatusRequestUnsupported,
			Message: "A Subject is supported by its NameID only."}
	case ReasonOtherSubject:
		return saml.Status{Top: saml.StatusRequester, Second: saml.StatusUnknownPrincipal,
			Message: "The requested Subject is not the person who signed in."}
	case ReasonUnknownSession:
		return saml.Status{Top: saml.StatusRequester, Second: saml.StatusUnknownPrincipal,
			Message: "No such session is known."}
	case ReasonEncryptedName:
		return saml.Status{Top: saml.StatusRequester, Second: saml.StatusRequestUnsupported,
			Message: "The person must be named by a NameID in clear."}
	case ReasonBinding:
		return saml.Status{Top: saml.StatusRequester, Second: saml.StatusUnsupportedBinding,
			Message: "Responses are sent by HTTP-POST only."}
	case ReasonNameIDPolicy, string(provisioning.MayNotCreate):
		return saml.Status{Top: saml.StatusRequester, Second: saml.StatusInvalidNameIDPolicy,
			Message: "The requested NameID is not available."}
	case ReasonPassive:
		return saml.Status{Top: saml.StatusResponder, Second: saml.StatusNoPassive,
			Message: "The person would have to be shown a page."}
	case ReasonAuthnContext, ReasonFactorNew, ReasonFactorLogin, ReasonLaunchFactor:
		return saml.Status{Top: saml.StatusResponder, Second: saml.StatusNoAuthnContext,
			Message: "The requested authentication context is not available."}
	case ReasonCancelled, ReasonTooManyAttempts, ReasonNameIDTaken,
		string(directory.BadCredentials), string(directory.Locked), string(directory.Disabled), string(directory.Expired),
		string(directory.PasswordExpired), string(directory.MustChange), string(directory.NotNow), string(directory.NotHere),
		string(directory.Ambiguous), string(directory.BadData):
		return saml.Status{Top: saml.StatusResponder, Second: saml.StatusAuthnFailed,
			Message: "The person was not authenticated."}
	case string(provisioning.NoAssignment), string(provisioning.NotThisAccount), string(provisioning.PersonData),
		string(provisioning.HeldConflict), string(provisioning.RefusedByPartner), string(provisioning.OwnerUnknown),
		string(provisioning.NotInGroup), string(provisioning.AccountClosed), string(provisioning.UserSuspended),
		string(provisioning.MovedAway), string(provisioning.MoveLost), string(provisioning.MovedConflict):
		return saml.Status{Top: saml.StatusResponder, Second: saml.StatusRequestDenied,
			Message: "The person has no access to this service."}
	}
	// Directory, database or partner API down, and whatever has no line above.
	return saml.Status{Top: saml.StatusResponder, Message: "The request can't be served at present."}
}
