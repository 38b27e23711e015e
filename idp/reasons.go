package idp

import (
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
)

// Reasons stand in Refusal.Reason, in the log and in audit events. They are
// fixed words: whoever shows them to people has one text for each, and nothing
// that a stranger sent ever becomes part of one.
//
// Beside these, a Refusal carries a word of provisioning.Reason (the gate said
// no) or of directory.Problem (the directory did). Reasons lists them all.
const (
	// ReasonMethod: neither GET nor POST (405).
	ReasonMethod = saml.ReasonMethod
	// ReasonTooLarge: query, form or inflated request over its limit (413).
	ReasonTooLarge = saml.ReasonTooLarge
	// ReasonBadRequest: the request cannot be read as one SAML AuthnRequest (400).
	ReasonBadRequest = saml.ReasonBadRequest
	// ReasonUnsignedRequest: the service provider's metadata promises signed
	// requests, or its record demands them, and this one is not (400).
	ReasonUnsignedRequest = saml.ReasonUnsigned
	// ReasonSignatureParameters: SigAlg and Signature don't belong together, or not
	// to this binding (400).
	ReasonSignatureParameters = saml.ReasonSignatureParameters
	// ReasonSignatureInXML: a signature stands inside the XML on the HTTP-Redirect
	// binding, where the query is signed in its place (400).
	ReasonSignatureInXML = saml.ReasonSignatureInXML
	// ReasonSignatureForm: the signature in the XML is not built as SAML wants it,
	// or is not over the whole message (400).
	ReasonSignatureForm = saml.ReasonSignatureForm
	// ReasonSignatureAlgorithm: the signature's algorithm is not accepted (400).
	ReasonSignatureAlgorithm = saml.ReasonSignatureAlgorithm
	// ReasonNoCertificate: the request is signed and no certificate is on record to
	// check it with (400).
	ReasonNoCertificate = saml.ReasonNoCertificate
	// ReasonBadSignature: no certificate on record verifies the signature, or the
	// content is not what was signed (400).
	ReasonBadSignature = saml.ReasonBadSignature
	// ReasonUnknownProvider: nobody of that entityID is registered (400 for a
	// request, 404 for a launch).
	ReasonUnknownProvider = "unknown_provider"
	// ReasonProviderDisabled: the service provider is registered and switched off (403).
	ReasonProviderDisabled = "provider_disabled"
	// ReasonMetadataExpired: the service provider's metadata was valid until a time
	// that has passed, and no newer copy was had (403).
	ReasonMetadataExpired = "metadata_expired"
	// ReasonWrongDestination: the request was meant for another address (400).
	ReasonWrongDestination = saml.ReasonWrongDestination
	// ReasonRequestTime: the request is more than five minutes old, or from the
	// future: an old link, or two clocks that differ (400).
	ReasonRequestTime = saml.ReasonRequestTime
	// ReasonReplayed: this request was used before, as by a reload (400).
	ReasonReplayed = "replayed_request"
	// ReasonUnknownACS: the request wants its answer at an address that is not
	// registered for this service provider (400).
	ReasonUnknownACS = "unknown_acs"
	// ReasonTooManySignIns: too many sign-ins were begun and not finished, from
	// this address or in all (429).
	ReasonTooManySignIns = "too_many_sign_ins"
	// ReasonEncryption: the service provider is to get encrypted assertions, and its
	// record holds no key for that which can be used (500).
	ReasonEncryption = "no_encryption_key"
	// ReasonNoSingleLogout: single logout is off (404).
	ReasonNoSingleLogout = "no_single_logout"
	// ReasonUnknownLogout: this logout never was, is finished, or is over its time (404).
	ReasonUnknownLogout = "unknown_logout"
	// ReasonBusy: too much is going on at this moment (503).
	ReasonBusy = "busy"

	// ReasonNoConsole: the person has no role in the admin console (403).
	ReasonNoConsole = "no_console_role"

	// ReasonMayNotOrder: the person may not order a client account for themselves (403).
	ReasonMayNotOrder = "may_not_order"
	// ReasonNoFactors: second factors are asked for nowhere here, so there are none to
	// look after (404).
	ReasonNoFactors = "no_second_factors"

	// ReasonFactorNew: the service provider demands a second factor, and the person's are
	// too new to count there (403).
	ReasonFactorNew = "second_factor_new"
	// ReasonFactorLogin: the same, and the person's next login makes them count (403).
	ReasonFactorLogin = "second_factor_login"

	// ReasonNoProvider: a launch names no service provider, and no Constant
	// Contact one is registered and enabled (404).
	ReasonNoProvider = "no_provider"
	// ReasonChooseProvider: a launch names no service provider, and there are
	// several Constant Contact ones (400).
	ReasonChooseProvider = "choose_provider"
	// ReasonUnknownRelayState: a launch asks for a RelayState that is not on the
	// service provider's list (400).
	ReasonUnknownRelayState = "unknown_relay_state"

	// ReasonUnknownSignIn: this sign-in never was, or is over its time (404).
	ReasonUnknownSignIn = "unknown_sign_in"
	// ReasonOtherBrowser: this sign-in was begun in another browser (403).
	ReasonOtherBrowser = "other_browser"
	// ReasonOtherSubject: the request names another person than the one who signed in (403).
	ReasonOtherSubject = "other_subject"
	// ReasonNameIDTaken: another person got this NameID at the service provider before (403).
	ReasonNameIDTaken = "name_id_taken"
	// ReasonTooManyAttempts: too many failed logins for this login name; wait (429).
	ReasonTooManyAttempts = "too_many_attempts"
	// ReasonDirectoryDown: the directory does not answer (503).
	ReasonDirectoryDown = "directory_down"
	// ReasonUnavailable: a part of ours that the decision needs does not answer (503).
	ReasonUnavailable = "unavailable"

	// The reasons below are never on a page: they go to the service provider as a
	// status, and stand in the log and in audit events.

	// ReasonCancelled: the person went back to the service provider.
	ReasonCancelled = "cancelled"
	// ReasonVersionHigh: the request's Version is above 2.0.
	ReasonVersionHigh = "version_too_high"
	// ReasonVersionLow: the request's Version is below 2.0.
	ReasonVersionLow = "version_too_low"
	// ReasonBinding: the request wants its answer by a binding that is not offered.
	ReasonBinding = "unsupported_binding"
	// ReasonNameIDPolicy: the request wants a NameID that is not issued.
	ReasonNameIDPolicy = "name_id_policy"
	// ReasonAuthnContext: the request wants a way of authentication that is not offered.
	ReasonAuthnContext = "authn_context"
	// ReasonSubject: the request names its subject other than by a NameID.
	ReasonSubject = "subject"
	// ReasonPassive: the request allows no page, and one would be needed.
	ReasonPassive = "passive"
	// ReasonUnknownSession: a LogoutRequest names no session that is known here.
	ReasonUnknownSession = "unknown_session"
	// ReasonEncryptedName: a LogoutRequest names the person by an EncryptedID or
	// BaseID, which is not supported.
	ReasonEncryptedName = "encrypted_name"
	// ReasonWaiting: the person went back while their user was being created.
	ReasonWaiting = "waiting"
	// ReasonKeySwitch: the service provider is changing our certificate at this
	// moment, and the person did not or could not wait.
	ReasonKeySwitch = "key_switch"
	// ReasonManyFromAddress: the logins of a network address wait for their turn, and too many do (503).
	ReasonManyFromAddress = "too_many_from_address"
	// ReasonLogoutPartial: not every service of a single logout says that the person is signed out there.
	ReasonLogoutPartial = "logout_partial"

	// The reasons of requests that failed and were not refused; see FailureOf.

	// ReasonStoreDown: the database is not available.
	ReasonStoreDown = "store_down"
	// ReasonTooSlow: the time for one request is over.
	ReasonTooSlow = "too_slow"
	// ReasonInternal: everything else.
	ReasonInternal = "internal"
	// ReasonClientGone: the browser went away; nobody reads the answer.
	ReasonClientGone = "client_closed"

	// ReasonAnswered is none: references of requests that were only counted carry it where nothing was refused.
	ReasonAnswered = "answered"
)

// OfMessage tells whether a reason says that a SAML message could not be read or trusted, whatever it was for.
func OfMessage(reason string) bool {
	switch reason {
	case ReasonTooLarge, ReasonBadRequest, ReasonSignatureParameters, ReasonSignatureInXML, ReasonSignatureForm,
		ReasonSignatureAlgorithm, ReasonNoCertificate, ReasonBadSignature:
		return true
	}
	return false
}

// Reasons returns every word that Refusal.Reason can have.
func Reasons() []string {
	all := []string{
		ReasonMethod, ReasonTooLarge, ReasonBadRequest, ReasonUnsignedRequest,
		ReasonSignatureParameters, ReasonSignatureInXML, ReasonSignatureForm, ReasonSignatureAlgorithm, ReasonNoCertificate,
		ReasonBadSignature,
		ReasonUnknownProvider, ReasonProviderDisabled, ReasonMetadataExpired, ReasonWrongDestination, ReasonRequestTime,
		ReasonReplayed, ReasonUnknownACS, ReasonTooManySignIns, ReasonBusy, ReasonEncryption,
		ReasonNoSingleLogout, ReasonUnknownLogout,
		ReasonNoConsole, ReasonNoFactors, ReasonFactorNew, ReasonFactorLogin, ReasonNoProvider, ReasonChooseProvider,
		ReasonUnknownRelayState,
		ReasonUnknownSignIn, ReasonOtherBrowser, ReasonOtherSubject, ReasonNameIDTaken, ReasonTooManyAttempts,
		ReasonManyFromAddress, ReasonDirectoryDown, ReasonUnavailable,
	}
	all = append(all, ReasonMayNotOrder)
	all = append(all, ReasonNoSources, ReasonLaunchLate, ReasonLaunchFactor, ReasonRequest, ReasonRequestSource,
		ReasonRequestBrowser, ReasonRequestUsed, ReasonRequestLate, ReasonSignedOut)
	all = append(all, claims.Reasons()...)
	for _, r := range []provisioning.Reason{
		provisioning.NoAssignment, provisioning.NotThisAccount, provisioning.PersonData, provisioning.MayNotCreate,
		provisioning.HeldConflict, provisioning.RefusedByPartner, provisioning.OwnerUnknown, provisioning.NotInGroup,
		provisioning.AccountClosed, provisioning.UserSuspended, provisioning.MovedAway, provisioning.MoveLost,
		provisioning.MovedConflict,
	} {
		all = append(all, string(r))
	}
	for _, p := range []directory.Problem{
		directory.Locked, directory.Disabled, directory.Expired, directory.PasswordExpired, directory.MustChange,
		directory.NotNow, directory.NotHere, directory.Ambiguous, directory.BadData,
	} {
		all = append(all, string(p))
	}
	return all
}
