package idp

import (
	"ssobridge/idp/directory"
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
	ReasonMethod = "method_not_allowed"
	// ReasonTooLarge: query, form or inflated request over its limit (413).
	ReasonTooLarge = "too_large"
	// ReasonBadRequest: the request cannot be read as one SAML AuthnRequest (400).
	ReasonBadRequest = "bad_request"
	// ReasonSignedRequest: the request is signed, and signatures are not checked
	// yet. An unchecked signature is worth less than none (400).
	ReasonSignedRequest = "signed_request"
	// ReasonUnsignedRequest: the service provider's metadata promises signed
	// requests and this one is not (400).
	ReasonUnsignedRequest = "unsigned_request"
	// ReasonUnknownProvider: nobody of that entityID is registered (400 for a
	// request, 404 for a launch).
	ReasonUnknownProvider = "unknown_provider"
	// ReasonProviderDisabled: the service provider is registered and switched off (403).
	ReasonProviderDisabled = "provider_disabled"
	// ReasonWrongDestination: the request was meant for another address (400).
	ReasonWrongDestination = "wrong_destination"
	// ReasonRequestTime: the request is more than five minutes old, or from the
	// future: an old link, or two clocks that differ (400).
	ReasonRequestTime = "request_time"
	// ReasonReplayed: this request was used before, as by a reload (400).
	ReasonReplayed = "replayed_request"
	// ReasonUnknownACS: the request wants its answer at an address that is not
	// registered for this service provider (400).
	ReasonUnknownACS = "unknown_acs"
	// ReasonTooManySignIns: too many sign-ins were begun and not finished, from
	// this address or in all (429).
	ReasonTooManySignIns = "too_many_sign_ins"
	// ReasonBusy: too much is going on at this moment (503).
	ReasonBusy = "busy"

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
	// ReasonSubject: the request names a subject, which is not checked yet.
	ReasonSubject = "subject"
	// ReasonPassive: the request allows no page, and one would be needed.
	ReasonPassive = "passive"
	// ReasonWaiting: the person went back while their user was being created.
	ReasonWaiting = "waiting"
)

// Reasons returns every word that Refusal.Reason can have.
func Reasons() []string {
	all := []string{
		ReasonMethod, ReasonTooLarge, ReasonBadRequest, ReasonSignedRequest, ReasonUnsignedRequest,
		ReasonUnknownProvider, ReasonProviderDisabled, ReasonWrongDestination, ReasonRequestTime,
		ReasonReplayed, ReasonUnknownACS, ReasonTooManySignIns, ReasonBusy,
		ReasonNoProvider, ReasonChooseProvider, ReasonUnknownRelayState,
		ReasonUnknownSignIn, ReasonOtherBrowser, ReasonTooManyAttempts, ReasonDirectoryDown, ReasonUnavailable,
	}
	for _, r := range []provisioning.Reason{
		provisioning.NoAssignment, provisioning.NotThisAccount, provisioning.PersonData, provisioning.MayNotCreate,
		provisioning.HeldConflict, provisioning.RefusedByPartner, provisioning.OwnerUnknown, provisioning.NotInGroup,
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
