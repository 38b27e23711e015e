package idp

import (
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
)

// ReasonText is what a reason means to an administrator: what happened, what to do about it, and by which act. Places
// that know more say more, by a Why.
type ReasonText struct {
	Cause, Fix string
	Act        Act // "": nothing is done here, or the fix is all there is to say
}

// TextOf is the text of a reason. One without a text gets a general one.
func TextOf(reason string) ReasonText {
	if t, ok := reasonTexts[reason]; ok {
		return t
	}
	return ReasonText{
		"The request was refused.", "Ask for the time and what the person did, and look for it in the log.",
		actRunCheck,
	}
}

const (
	fixLink         = "Compare the link with the one that the console or the documentation gives."
	fixProvider     = "Ask the administrators of the service provider to look at how they build requests."
	fixMetadata     = "Import the service provider's current metadata, and compare what it names."
	fixToken        = "Test a token of the application: each check says what it found."
	fixStart        = "Have the person start again, from the launch link or at the service provider."
	fixAccount      = "Look at the account in the directory."
	fixFlood        = "Look in the metrics and in the log for a flood. If these are people, wait until it is over."
	fixServer       = "Look at the error lines of the log at that time, and run a check."
	fixCookies      = "Have the person allow cookies for this site, and start again in the same browser."
	fixMappings     = "The explanation of the person's access shows which mappings apply, and why the others do not."
	fixUser         = "The person's user shows what Constant Contact answered, and what to do about it."
	fixNothing      = "Nothing has to be done."
	fixPasswordRule = "Have the person choose another password; the rules are the directory's own password policy."
	fixNewPass      = "Have the person set a new password in the directory."
)

// reasonTexts is the one table of causes and fixes. It has a row for each reason that a reference can carry.
var reasonTexts = map[string]ReasonText{
	// The message of a service provider.
	ReasonMethod:     {"The page does not exist for this HTTP method.", fixLink, NoAct},
	ReasonTooLarge:   {"The request was larger than is accepted.", fixProvider, actShowProvider},
	ReasonBadRequest: {"The request could not be read as a SAML message.", fixProvider, actShowProvider},
	ReasonUnsignedRequest: {"The request carries no signature, and this service provider must sign.",
		"Have the service provider sign its requests, or change request_signatures in its settings.", actSetProvider},
	ReasonSignatureParameters: {"The parameters of the request's signature do not fit the binding.", fixProvider,
		actShowProvider},
	ReasonSignatureInXML: {"The request carries its signature inside the XML, which HTTP-Redirect does not allow.",
		fixProvider, actShowProvider},
	ReasonSignatureForm: {"The request's signature is not built as SAML demands.", fixProvider, actShowProvider},
	ReasonSignatureAlgorithm: {"The request is signed by an algorithm that is not accepted.",
		"Have the service provider sign with SHA-256. Our metadata lists what is accepted.", actGiveMetadata},
	ReasonNoCertificate: {"The request is signed, and no certificate of the service provider is on record.",
		fixMetadata, actImportAgain},
	ReasonBadSignature: {"No certificate on record verifies the request's signature.", fixMetadata, actImportAgain},
	ReasonUnknownProvider: {"No service provider with this entity ID is registered.",
		"Register it, or compare the entity ID letter by letter.", actAddProvider},
	ReasonProviderDisabled: {"The service provider is disabled.",
		"Set enabled to true in the service provider's settings.", actSetProvider},
	ReasonMetadataExpired: {"The service provider's metadata is no longer valid.",
		"Load the service provider's current metadata; its record shows why there is no newer copy.", actRefreshProvider},
	ReasonWrongDestination: {"The request was meant for another address.",
		"Have the service provider load our current metadata.", actGiveMetadata},
	ReasonRequestTime: {"The request is older than five minutes, or from the future.",
		"Have the person start again. If it happens often, compare the clocks.", actRunCheck},
	ReasonReplayed: {"The request was used before, as by a reload.", fixStart, NoAct},
	ReasonUnknownACS: {"The request wants its answer at an address that is not registered.", fixMetadata,
		actImportAgain},
	ReasonVersionHigh: {"The request's SAML version is above 2.0.", fixProvider, actShowProvider},
	ReasonVersionLow:  {"The request's SAML version is below 2.0.", fixProvider, actShowProvider},
	ReasonBinding: {"The request wants its answer by a binding that is not offered.",
		"Have the service provider ask for HTTP-POST, or leave ProtocolBinding out.", actShowProvider},
	ReasonNameIDPolicy: {"The request wants a NameID that is not issued to this service provider.",
		"Set name_id_format and name_id of the service provider to what it asks for, or have it ask for what is set.",
		actSetProvider},
	ReasonAuthnContext: {"The request wants a way of authentication that is not offered.",
		"Have the service provider ask for less, or compare second_factor.authn_context with what it asks for.",
		actShowProvider},
	ReasonSubject: {"The request names its subject other than by a NameID.", fixProvider, actShowProvider},
	ReasonOtherSubject: {"The request names another person than the one who signed in.",
		"Have the person sign out and start again as the other one, or compare the NameID that the service provider has " +
			"with the one that this person gets.", actPreviewAssertion},
	ReasonPassive: {"The request allows no page, and the person would have to be shown one.",
		"Nothing has to be done: the service provider asks again with a page.", NoAct},
	ReasonEncryption: {"The service provider must get encrypted assertions, and its record has no usable key.",
		"Import the service provider's metadata with an RSA key for encryption, or change encryption in its settings.",
		actStopEncryption},
	ReasonNameIDTaken: {"Another person got this NameID at the service provider before.",
		"Give each person a NameID of their own. If this one was passed on with intent, release it.", actReleaseNameID},

	// Signed launches.
	ReasonNoSources: {"A signed launch came, and no source of people is configured.",
		"Add the application to sources in the configuration.", NoAct},
	ReasonLaunchLate: {"The page of a signed launch was opened too late, or its session is over.",
		"Have the person start again in the application.", NoAct},
	ReasonLaunchFactor: {"The client account asks for a second factor, which a signed launch can't prove.",
		"Have the person sign in with their password, or set the account's second factor to off.", actListFactors},
	ReasonRequest: {"The token answers a request that was not made here, or one for another service provider.",
		"Have the application put the request of its login_url into the token as it came.", NoAct},
	ReasonRequestSource: {"The token answers a request that another source got.",
		"Have the application answer the requests that came to its own login_url alone.", NoAct},
	ReasonRequestBrowser: {"The token answers a request of another browser.",
		"Have the person start again; if it lasts, look whether the application mixes up the requests of its sessions.",
		NoAct},
	ReasonRequestUsed: {"The request that the token answers was answered before.", "Have the person start again.", NoAct},
	ReasonRequestLate: {"The token answers a request that is older than ten minutes.", "Have the person start again.",
		NoAct},

	ReasonSignedOut: {"The person signed out at the source after its token came, and before the session began.",
		"Have the person start again.", NoAct},

	// OpenID providers.
	claims.ReasonMixUp: {"The answer came from another OpenID provider than the one that was asked, or does not say from which.",
		"Have the person start again. If it lasts, compare the issuer of the source with the provider's.", actRunCheck},
	claims.ReasonProviderSays: {"The OpenID provider answered with an error, and has signed nobody in.",
		"Look at the log of the provider: the code of the error is in ours.", NoAct},
	claims.ReasonNoLogin: {"Nobody is signed in at the OpenID provider, and no page may be shown (IsPassive).",
		"Have the service provider ask without IsPassive.", NoAct},
	claims.ReasonProviderDown: {"The OpenID provider of a source can't be asked.",
		"Look at the issuer and allow_private of the source, and whether the provider answers.", actRunCheck},
	claims.ReasonCode: {"The OpenID provider does not take the code that it gave.",
		"Look at client_id and at client_secret_file or client_key_file of the source, and at the redirect URI that is registered.", actRunCheck},
	claims.ReasonNonce: {"The ID token was made for another request: its nonce is not ours.",
		"Have the person start again. If it lasts, the provider leaves out the nonce, and can't be used.", NoAct},
	claims.ReasonTokenHash: {"The ID token was made with another access token: its at_hash is not right.",
		"Have the person start again. If it lasts, ask the provider.", NoAct},
	claims.ReasonTenant: {"The person is of another tenant or organization than the source is bound to.",
		"Have them sign in with their account of that organization.", NoAct},
	claims.ReasonUserinfo: {"The userinfo endpoint can't be used, or answered about somebody else.",
		"Look whether the provider puts the claims into the ID token, or why its userinfo endpoint fails.", actRunCheck},
	claims.ReasonOverage: {"The person is in too many groups for the provider to put them into the ID token (_claim_names).",
		"Have the provider send fewer. With Entra ID: app roles, or the groups assigned to the application alone.", NoAct},
	claims.ReasonForm: {"The token can't be read: it is no signed token in compact form, or not strict JSON.",
		fixToken, NoAct},
	claims.ReasonHeader: {"The token's header names a key, an extension, or no alg or typ.", fixToken, NoAct},
	claims.ReasonType:   {"The token is for another purpose: an access token, ID token or logout token.", fixToken, NoAct},
	claims.ReasonIssuer: {"No source has the token's iss as its issuer.",
		"Compare the issuer of the source with the token's iss, letter by letter.", actRunCheck},
	claims.ReasonSourceOff: {"The source is disabled, or its tokens of that time were revoked.",
		"Enable the source once its application can be trusted again.", NoAct},
	claims.ReasonKey: {"The token's kid names no key of the source.",
		"Have the source publish its key before it signs with it, and compare the keys of the source.", actRunCheck},
	claims.ReasonKeysDown: {"The source's key set can't be fetched, and there is no last good one that is young enough.",
		"Look at the source's jwks_url.", actRunCheck},
	claims.ReasonAlgorithm: {"The token's alg is not the one that its key is for.", fixToken, NoAct},
	claims.ReasonSignature: {"The source's key does not verify the token's signature.",
		"Have the application sign with the key whose public part the source has.", actRunCheck},
	claims.ReasonAudience: {"The token's aud is not the bridge alone: its public URL, or its client_id at an OpenID provider.", fixToken, NoAct},
	claims.ReasonClaims:   {"A claim that each token needs is missing or can't be used.", fixToken, NoAct},
	claims.ReasonLifetime: {"The token was made to be valid for more than a minute.", fixToken, NoAct},
	claims.ReasonExpired: {"The token was over when it came.",
		"Have the application make the token when it sends the person, and compare its clock.", actRunCheck},
	claims.ReasonFuture: {"The token is not valid yet by our clock.", "Compare the application's clock with ours.",
		actRunCheck},
	claims.ReasonUsed: {"The token was used before.",
		"Have the application make a new token each time that it sends somebody; a page that is sent again uses one twice.",
		NoAct},
	claims.ReasonPerson: {"What the token says of the person can't be used, or the directory has nobody of that sub.",
		"Compare the token with what the source's claims and subject say.", NoAct},

	// Links and pages.
	ReasonNoProvider: {"The launch names no service provider, and no Constant Contact one is registered and " +
		"enabled.", "Register Constant Contact.", actAddConstantContact},
	ReasonChooseProvider: {"The launch names no service provider, and there are several.",
		"Use a launch link that names one: /launch/sp?entity_id=…", actListProviders},
	ReasonUnknownRelayState: {"The launch asks for a RelayState that the service provider's record does not list.",
		"Add it to relay_states in the service provider's settings, or correct the link.", actSetProvider},
	ReasonUnknownSignIn: {"The sign-in is finished, or was left open for too long.", fixStart, NoAct},
	ReasonOtherBrowser:  {"The sign-in was started in another browser.", fixStart, NoAct},
	ReasonCancelled:     {"The person went back to the service provider.", fixNothing, NoAct},
	"bad_link":          {"The link is incomplete or was changed.", fixLink, NoAct},
	"bad_form":          {"The form could not be read.", fixStart, NoAct},
	"stale_form":        {"The form was of an earlier page: its token is no longer valid.", fixStart, NoAct},
	"no_cookies":        {"The browser sent no cookie of this site.", fixCookies, NoAct},
	"cross_origin": {"Another site sent a form to this one.", "Find out which page did that; people never need it.",
		NoAct},
	"wrong_host": {"The page was asked for under another name than public_url.",
		"Correct the link, or the proxy's Host header.", actSeeSettings},
	"framed": {"A launch was opened in a frame, or by something that is not a navigation.",
		"Have the page that embeds it link to it instead.", NoAct},
	"prefetched": {"The browser loaded a launch before the person wanted it.", fixStart, NoAct},
	"not_found":  {"There is no such page.", fixLink, NoAct},

	// What is down, or too much.
	ReasonTooManySignIns: {"Too many sign-ins were started and not finished.", fixFlood, actShowRefusals},
	ReasonBusy:           {"Too many requests were being served.", fixFlood, actShowRefusals},
	ReasonManyFromAddress: {"There were too many failed logins from this network address, so its logins wait for their turn.",
		"Find out who guesses passwords there. If these are people behind one address, lift the lockout of the address.",
		actListLockouts},
	ReasonTooManyAttempts: {"There were too many failed tries of this person.",
		"Wait until sign_in.login_window is over, or lift the lockout.", actListLockouts},
	ReasonDirectoryDown: {"The directory did not answer.", "Look after the directory; a check shows what fails.",
		actRunCheck},
	ReasonUnavailable: {"A part that the decision needs did not answer.", fixServer, actRunCheck},
	ReasonTooSlow:     {"The answer took longer than is allowed.", fixServer, actRunCheck},
	ReasonStoreDown: {"The database was not available.",
		"See that the database runs, can be reached and has space on its disk.", actRunCheck},
	ReasonInternal:   {"An error of this program or of what it needs.", fixServer, actRunCheck},
	ReasonClientGone: {"The browser went away before the answer.", fixNothing, NoAct},
	ReasonAnswered:   {"Nothing was refused: a page was shown.", fixNothing, NoAct},

	// The login.
	string(directory.BadCredentials): {"The password was wrong, or nobody has the login name.",
		"Have the person try again, or set a new password in the directory.", actExplainPerson},
	string(directory.Locked): {"The directory has locked the account.",
		"Unlock the account in the directory, or wait until its lockout is over.", actListLockouts},
	string(directory.Disabled): {"The account is disabled in the directory.",
		"Enable the account in the directory, if the person is to sign in.", actExplainPerson},
	string(directory.Expired): {"The account has expired in the directory.",
		"Extend the account in the directory, if the person is to sign in.", actExplainPerson},
	string(directory.PasswordExpired): {"The password has expired.", fixNewPass, actExplainPerson},
	string(directory.MustChange): {"The password must be changed before the next sign-in.", fixNewPass,
		actExplainPerson},
	string(directory.NotNow):  {"The account may not sign in at this time.", fixAccount, actExplainPerson},
	string(directory.NotHere): {"The account may not sign in from here.", fixAccount, actExplainPerson},
	string(directory.Ambiguous): {"Several entries of the directory match the login name.",
		"Make directory.login_filter exact, or give each person a login name of their own.", actExplainPerson},
	string(directory.BadData): {"What the directory holds of the person can't be used.", fixAccount, actExplainPerson},
	string(passwordChanged):   {"The password was changed after the login.", "The person signs in again.", NoAct},
	reasonRevoked: {"The person's sessions were ended while the password was checked.", "The person signs in again.",
		NoAct},

	// Second factors.
	ReasonFactorNew: {"The service provider demands a second factor, and the person's are too new to count there.",
		"Wait for second_factor.confirm_after; the person then signs in again.", actListFactors},
	ReasonFactorLogin: {"The service provider demands a second factor, and the person's counts from the next login on.",
		"The person signs out and in again, once in the browser that they have used for longest.", actListFactors},
	ReasonNoFactors: {"Nothing asks this person for a second factor.",
		"Nothing has to be done, unless a policy should ask for one.", NoAct},
	string(directory.PasswordShort): {"The directory refused the new password: it is too short.", fixPasswordRule,
		actExplainPerson},
	string(directory.PasswordUsed): {"The directory refused the new password: it was used before.", fixPasswordRule,
		actExplainPerson},
	string(directory.PasswordYoung): {"The directory refused the new password: the last change is too recent.",
		"Have the person wait, or set a password for them in the directory.", actExplainPerson},
	string(directory.PasswordSimple): {"The directory refused the new password by its policy.", fixPasswordRule,
		actExplainPerson},
	string(directory.PasswordNotHere): {"The directory lets this person change no password over LDAP.",
		"Look at the error in the log: people need the right to change their own password, over TLS, and OpenLDAP needs " +
			"grace logins for passwords that have expired.", actExplainPerson},
	PasswordDiffers: {"The new password was typed in two ways.", "Have the person type it again.", actExplainPerson},
	FactorWrong: {"The second factor was wrong.",
		"Have the person try again with the next code, and look at the clock of their device and at which second factors " +
			"they have.", actListFactors},
	FactorInvite: {"The invitation to enroll a second factor was wrong, used before, or is over.",
		"Make a new invitation.", actInviteToFactor},
	FactorExpired: {"The page that asked for the second factor was open for too long, or was used before.", fixStart,
		NoAct},
	FactorMany: {"The person has as many second factors as anybody can have.",
		"Have the person remove one at /factors.", actListFactors},
	FactorLast: {"The last second factor of somebody who needs one can't be removed.",
		"Have the person add another one first.", actListFactors},
	FactorUnconfirmed: {"The person's second factors do not count for the console yet.",
		"Make an invitation: it confirms one.", actInviteToFactor},

	// Access, and the user at Constant Contact.
	string(provisioning.NoAssignment): {"No mapping applies to the person.", fixMappings, actExplainPerson},
	string(provisioning.NotThisAccount): {"Mappings apply to the person, but none to this client account.",
		"Compare the client account in the link. " + fixMappings, actExplainPerson},
	string(provisioning.PersonData): {"Names or templates do not fit Constant Contact's limits.",
		"Correct the person's entry in the directory, or the template.", actExplainPerson},
	string(provisioning.MayNotCreate): {"The service provider does not allow a user to be created.",
		"Create the user first, by a plan or by a launch link.", actPlanUsers},
	string(provisioning.HeldConflict): {"The name belongs to another user at Constant Contact.", fixUser, actShowUser},
	string(provisioning.RefusedByPartner): {"Constant Contact refused to create the user.", fixUser,
		actShowUser},
	string(provisioning.OwnerUnknown): {"The person is an account owner whose external ID is not known.",
		"Adopt the user that the person has at Constant Contact.", actAdoptUsers},
	string(provisioning.NotInGroup): {"The person is in none of the groups that may use this service provider.",
		"Make the person a member of one of the groups in the service provider's settings, or change these.",
		actShowProvider},
	string(provisioning.AccountClosed): {"The client account is cancelled or disabled at Constant Contact.",
		"Map the person to another client account, or ask Constant Contact to open this one again.", actListAccounts},
	string(provisioning.UserSuspended): {"An administrator has suspended the user.",
		"Resume the user, if the person is to sign in again.", actShowUser},
	string(provisioning.MovedAway): {"The person was moved to a source of people, and came by their former id.",
		"Have the person sign in by that source. Forgetting the former id ends the refusal.", actExplainPerson},
	string(provisioning.MoveLost): {"A restored backup does not know that the person was moved to a source of people.",
		"Move the person again by the same file; or adopt the user that they have at Constant Contact.", actAdoptUsers},
	string(provisioning.MovedConflict): {"Constant Contact has a user like that of the person, who was moved to a source: " +
		"most likely their own, made under their former id.",
		"Look whether the user is in the client account. If it is, adopt it by its external ID.", actAdoptUsers},
	ReasonWaiting: {"The person went back while their user was being created.", fixUser, actShowUser},
	ReasonKeySwitch: {"The service provider is changing our certificate at this moment.",
		"Wait until the switch is over; the list of keys shows how far the roll-over is.", actListKeys},
	provisioning.CauseQueued: {"The person's user at Constant Contact waits for its turn.",
		"Nothing has to be done: the page goes on by itself.", actShowQueue},
	provisioning.CauseSending: {"The person's user is being created at Constant Contact.",
		"Nothing has to be done: the page goes on by itself.", actShowQueue},
	provisioning.CauseThrottled: {"Constant Contact asked for a slower pace (status 429).",
		"It goes on by itself. If it lasts, find out what else uses the same API key.", actShowQueue},
	provisioning.CauseQuota: {"The day's calls to Constant Contact are used up.",
		"It goes on after 00:00 UTC. Where our own count is lower, find out what else uses the same API key.",
		actShowQueue},
	provisioning.CauseUnreachable: {"Constant Contact can't be reached, or fails for everybody.",
		"It goes on by itself. A check names what fails: name resolution, proxy, TLS, or Constant Contact itself.",
		actRunCheck},
	provisioning.CauseCredentials: {"Constant Contact does not accept the partner's credentials.",
		"Correct partner_client_id, partner_secret and api_key.", actRunCheck},
	provisioning.CauseUnknown: {"Constant Contact gave no clear answer: the user may exist.",
		"Nothing has to be done: the same data are sent again until there is an answer.", actShowUser},

	// The admin console.
	ReasonNoConsole: {"The person has no role in the admin console.",
		"Put the person into one of the groups in console.viewer_group, operator_group or admin_group.", actSeeSettings},
	ReasonMayNotOrder: {"The person may not order a client account for themselves.",
		"Put the person into one of the groups in self_service.groups, or order the client account for them.",
		actSeeSettings},
	"console_session": {"The console's session was over, or the login not young enough.", "Sign in again.", NoAct},
	"console_role": {"The person's role in the console does not allow this.",
		"Put the person into the group of a higher role, if they are to do it.", actSeeSettings},
	"console_twice": {"The form of the console was sent before.",
		"Open the page again and look whether the change was made.", NoAct},

	// Signing out.
	ReasonNoSingleLogout: {"Single logout is off.",
		"Set logout.enabled if it is to be on, or remove the address from the service provider's settings.",
		actSeeSettings},
	ReasonUnknownLogout: {"The single logout was finished, or was left open for too long.",
		"Nothing has to be done: the person may sign out again.", NoAct},
	ReasonUnknownSession: {"The logout request names no session that is known here.",
		"Nothing has to be done: that session is over.", NoAct},
	ReasonEncryptedName: {"The logout request names the person in a form that is not supported.", fixProvider,
		actShowProvider},
	ReasonLogoutPartial: {"The person was signed out here, and not at every service that they had used.",
		"Have the person sign out there too, and compare the logout addresses of those service providers.",
		actListProviders},
}
