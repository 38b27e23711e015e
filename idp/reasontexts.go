package idp

// ReasonText says what a reason means to an admin: what happened, and what to do about it. It is for where nothing but
// the reason is left.
type ReasonText struct{ Cause, Fix string }

// TextOf is the text of a reason. One without a text gets a general one.
func TextOf(reason string) ReasonText {
	if t, ok := reasonTexts[reason]; ok {
		return t
	}
	return ReasonText{"The request was refused.", "Ask for the time and what the person did, and look for it in the log."}
}

const (
	fixLink     = "Compare the link with the one that the console or the documentation gives."
	fixProvider = "Ask the administrators of the service provider to look at how they build requests."
	fixMetadata = "Load the service provider's current metadata again, and compare what it names."
	fixStart    = "Have the person start again, from the launch link or at the service provider."
	fixAccount  = "Look at the account in the directory."
	fixFlood    = "Look at the metrics and the log for a flood; if these are people, wait until it is over."
	fixServer   = "Look at the error lines of the log at that time, and run a check."
	fixCookies  = "Have the person allow cookies for this site and start again in the same browser."
	fixMappings = "The explanation of the person's access shows which mappings apply."
	fixUser     = "Look how the person's user stands at Constant Contact."
)

// reasonTexts has one for each of Reasons, for what goes out as a status, and for those of the pages themselves.
var reasonTexts = map[string]ReasonText{
	ReasonMethod:     {"The page does not exist for this HTTP method.", fixLink},
	ReasonTooLarge:   {"The request was larger than is read.", fixProvider},
	ReasonBadRequest: {"The request could not be read as a SAML message.", fixProvider},
	ReasonUnsignedRequest: {"The request carries no signature, and this service provider must sign.", fixProvider +
		" Or set request_signatures of the service provider."},
	ReasonSignatureParameters: {"The parameters of the request's signature do not fit the binding.", fixProvider},
	ReasonSignatureInXML: {"The request carries its signature inside the XML, which HTTP-Redirect does not allow.",
		fixProvider},
	ReasonSignatureForm: {"The request's signature is not built as SAML demands.", fixProvider},
	ReasonSignatureAlgorithm: {"The request is signed by an algorithm that is not accepted.",
		"Have the service provider sign with SHA-256."},
	ReasonNoCertificate: {"The request is signed, and no certificate of the service provider is on record.",
		fixMetadata},
	ReasonBadSignature: {"No certificate on record verifies the request's signature.", fixMetadata},
	ReasonUnknownProvider: {"No service provider with this entity ID is registered.",
		"Register it, or compare the entity ID letter by letter."},
	ReasonProviderDisabled: {"The service provider is disabled.",
		"Set enabled to true in the service provider's settings."},
	ReasonMetadataExpired: {"The service provider's metadata is no longer valid.", fixMetadata},
	ReasonWrongDestination: {"The request was meant for another address.",
		"Have the service provider load our current metadata."},
	ReasonRequestTime: {"The request is older than five minutes, or from the future.",
		"Have the person start again; if it happens often, compare the clocks."},
	ReasonReplayed:       {"The request was used before, as by a reload.", fixStart},
	ReasonUnknownACS:     {"The request wants its answer at an address that is not registered.", fixMetadata},
	ReasonTooManySignIns: {"Too many sign-ins were started and not finished.", fixFlood},
	ReasonEncryption: {"The service provider must get encrypted assertions, and its record has no usable key.",
		fixMetadata},
	ReasonNoSingleLogout: {"Single logout is off.", "Set logout.enabled if it is to be on."},
	ReasonUnknownLogout: {"The single logout was finished, or is over its time.",
		"Nothing: the person may sign out again."},
	ReasonBusy: {"Too many requests were being served.", fixFlood},
	ReasonNoConsole: {"The person has no role in the admin console.",
		"Put the person into one of the groups in console.viewer_group, operator_group or admin_group."},
	ReasonNoFactors: {"Second factors are asked for nowhere.", "Nothing: there are none to look after."},
	ReasonFactorNew: {"The service provider demands a second factor, and the person's are too new to count " +
		"there.", "Wait for second_factor.confirm_after; the person then signs in again."},
	ReasonFactorLogin: {"The service provider demands a second factor, and the person's counts from the next " +
		"login on.", "The person signs out and in again, once in the browser that they have used for longest."},
	ReasonNameIDTaken: {"Another person got this NameID at the service provider before.",
		"Release the NameID, if it was given back."},
	ReasonNoProvider: {"The launch names no service provider, and no Constant Contact one is registered and " +
		"enabled.", "Register Constant Contact."},
	ReasonChooseProvider: {"The launch names no service provider, and there are several.",
		"Use a launch link that names one: /launch/sp?entity_id=…"},
	ReasonUnknownRelayState: {"The launch asks for a RelayState that the service provider's record does not list.",
		"Add it to the service provider's settings, or correct the link."},
	ReasonUnknownSignIn: {"The sign-in is finished, or was left open for too long.", fixStart},
	ReasonOtherBrowser:  {"The sign-in was started in another browser.", fixStart},
	ReasonOtherSubject: {"The request names another person than the one who signed in.",
		"Have the person sign out and start again as the other one."},
	ReasonTooManyAttempts: {"There were too many failed logins for this login name.",
		"Wait until sign_in.login_window is over."},
	ReasonDirectoryDown: {"The directory did not answer.", "Look after the directory; a check shows what fails."},
	ReasonUnavailable:   {"A part that the decision needs did not answer.", fixServer},

	"bad_link":     {"The link is incomplete or was changed.", fixLink},
	"bad_form":     {"The form could not be read.", fixStart},
	"stale_form":   {"The form was of an earlier page: its token did not hold.", fixStart},
	"no_cookies":   {"The browser sent no cookie of ours.", fixCookies},
	"cross_origin": {"Another site sent a form to this one.", "Find out which page did that; people never need it."},
	"wrong_host": {"The page was asked for under another name than public_url.",
		"Correct the link, or the proxy's Host header."},
	"framed": {"A launch was opened in a frame, or by something that is no navigation.",
		"Have the page that embeds it link to it instead."},
	"prefetched":      {"The browser loaded a launch before the person wanted it.", fixStart},
	"not_found":       {"There is no such page.", fixLink},
	"too_slow":        {"The answer took longer than is allowed.", fixServer},
	"store_down":      {"The database was not available.", fixServer},
	"internal":        {"An error of this program or of what it needs.", fixServer},
	"console_session": {"The console's session was over, or the login not young enough.", "Sign in again."},
	"console_role": {"The person's role in the console does not allow this.",
		"Put the person into the group of a higher role, if they are to do it."},
	"console_twice": {"The form of the console was sent before.",
		"Open the page again and look whether the change was made."},

	ReasonCancelled:   {"The person went back to the service provider.", "Nothing."},
	ReasonVersionHigh: {"The request's SAML version is above 2.0.", fixProvider},
	ReasonVersionLow:  {"The request's SAML version is below 2.0.", fixProvider},
	ReasonBinding: {"The request wants its answer by a binding that is not offered; the trace says which.",
		"Have the service provider ask for HTTP-POST."},
	ReasonNameIDPolicy: {"The request wants a NameID that is not issued to this service provider; the trace says which.",
		"Set name_id_format and name_id of the service provider to what it asks for, or have it ask for what is set."},
	ReasonAuthnContext: {"The request wants a way of authentication that is not offered; the trace says which.",
		"Have the service provider ask for less, or compare second_factor.authn_context with what it asks for."},
	ReasonSubject: {"The request names its subject other than by a NameID.", fixProvider},
	ReasonPassive: {"The request allows no page, and the person was not signed in.",
		"Nothing: the service provider asks again with a page."},
	ReasonUnknownSession: {"The logout request names no session that is known here.", "Nothing: that session is over."},
	ReasonEncryptedName:  {"The logout request names the person in a form that is not supported.", fixProvider},
	ReasonWaiting:        {"The person went back while their user was being created.", fixUser},
	ReasonKeySwitch: {"The service provider was changing our certificate at that moment.",
		"The list of keys shows how far the roll-over is."},

	"no_assignment":    {"No mapping applies to the person.", fixMappings},
	"not_this_account": {"Mappings apply to the person, but none to this client account.", fixMappings},
	"person_data":      {"Names or templates do not fit Constant Contact's limits.", fixMappings},
	"may_not_create": {"The service provider does not allow a user to be created.",
		"Create the user first, by a plan."},
	"held_conflict":      {"The name belongs to another user at Constant Contact.", fixUser},
	"refused_by_partner": {"Constant Contact refused to create the user.", fixUser},
	"owner_unknown": {"The person is an owner whose external ID is not known.",
		"Adopt the user that the person has at Constant Contact."},
	"not_in_group": {"The person is in none of the groups that may use this service provider.",
		"The service provider's settings list the groups."},
	"account_closed": {"The client account is cancelled or disabled at Constant Contact.",
		"The list of client accounts shows its state."},
	"user_suspended": {"An admin has suspended the user.", "Resume the user, if they are to sign in again."},

	"locked":           {"The directory has locked the account.", fixAccount},
	"disabled":         {"The account is disabled in the directory.", fixAccount},
	"expired":          {"The account has expired in the directory.", fixAccount},
	"password_expired": {"The password has expired.", "Have the person change it."},
	"must_change":      {"The password must be changed before the next sign-in.", "Have the person change it."},
	"not_now":          {"The account may not sign in at this time.", fixAccount},
	"not_here":         {"The account may not sign in from here.", fixAccount},
	"ambiguous":        {"Several accounts match the login name.", "Make directory.login_filter exact."},
	"bad_data":         {"What the directory holds of the person can't be used.", fixAccount},
	"password_changed": {"The password was changed after the login.", "The person signs in again."},
	"bad_credentials": {"The password was wrong, or nobody has the login name.",
		"Have the person try again, or set a new password in the directory."},
	reasonRevoked: {"The person's sessions were ended while the password was checked.", "The person signs in again."},

	FactorWrong: {"The second factor was wrong.",
		"Have the person try again, and look which second factors they have."},
	FactorInvite:  {"The invitation to enroll a second factor was wrong, or is over.", "Make a new invitation."},
	FactorExpired: {"The page that asked for the second factor was open for too long, or was used before.", fixStart},
	FactorMany: {"The person has as many second factors as anybody can have.",
		"Have the person remove one at /factors."},
	FactorLast: {"The last second factor of somebody who needs one can't be removed.",
		"Have the person add another one first."},
	FactorUnconfirmed: {"The person's second factors do not count for the console yet.",
		"Make an invitation: it confirms one."},

	ReasonAnswered:  {"Nothing was refused: a page was shown.", "Nothing."},
	"client_closed": {"The browser went away before the answer.", "Nothing."},
}
