package web

import (
	"fmt"
	"net/http"
	"time"

	"ssobridge/store"
)

// english is the one language so far. Another is another value of this type.
var english = Catalogue{
	lang: "en", thousands: ",",
	words: map[string]string{
		"help":           "Get help",
		"reference":      "Reference",
		"reference.why":  "Give this reference when you ask for help.",
		"again":          "Try again",
		"back":           "Back to {provider}",
		"login.title":    "Sign in",
		"login.lead":     "to continue to {provider}",
		"login.login":    "Login name",
		"login.password": "Password",
		"login.submit":   "Sign in",
		"login.forgot":   "Forgot your password?",
		"login.newpass":  "Set a new password",

		"wrongcodes.title": "Somebody tried to sign in as you",
		"wrongcodes.text":  "{count} wrong codes were tried in another browser, the last one {age} ago.",
		"wrongcodes.one":   "A wrong code was tried in another browser {age} ago.",
		"wrongcodes.do": "If that was not you, somebody knows your password. Change it now, and tell your " +
			"administrator.",
		"wrongcodes.on":    "Continue to {provider}",
		"factor.title":     "One more step",
		"factor.lead":      "Show that it is you, to continue to {provider}",
		"factor.use":       "Use your passkey",
		"factor.failed":    "The passkey was not used. Try again, or use a code.",
		"factor.script":    "Your passkey can't be used, since your browser runs no scripts. Use a code.",
		"factor.code":      "Code from your authenticator app",
		"factor.lost":      "If you don't have your device, type one of your recovery codes here.",
		"factor.spare":     "Recovery code",
		"factor.sparehint": "If you don't have your passkey, type one of the codes that you kept.",
		"factor.elsewhere": "A passkey works only at the address where it was set up. You have one at another address " +
			"of this service.",
		"factor.submit": "Continue",
		"factor.person": "Signed in as {login}.",
		"factor.invitehint": "Your administrator gives you an invitation code. It can be used once, within one day, and " +
			"confirms this device for the console.",
		"factor.totp":          "Authenticator app",
		"factor.passkey":       "Passkey",
		"factor.recovery_code": "Recovery codes",

		"enrol.title": "Protect your sign-in",
		"enrol.lead":  "For {provider} you need something beside your password. Set it up once: it takes a minute.",
		"enrol.offered": "A second factor protects your account even if your password is stolen. Setting it up takes a " +
			"minute.",
		"enrol.another":    "Add another way to show that it is you.",
		"enrol.invite":     "Invitation code",
		"enrol.invitehint": "An administrator gives it to you. It holds for one day.",
		"enrol.passkey":    "With a passkey",
		"enrol.passkeyhow": "Your device asks for your finger, your face or its PIN. A security key does it too.",
		"enrol.passkeygo":  "Set up a passkey",
		"enrol.app":        "With an authenticator app",
		"enrol.scan":       "Open the app on your phone and scan this picture.",
		"enrol.picture":    "QR code for your authenticator app",
		"enrol.type":       "If you can't scan it, type this key into the app:",
		"enrol.code":       "Code that the app shows now",
		"enrol.submit":     "Turn on",
		"enrol.later":      "Not now",
		"enrol.back":       "Back",

		"recovery.title": "Keep these codes",
		"recovery.lead":  "Each lets you in once if you lose your device. They are shown this one time.",
		"recovery.list":  "Recovery codes",
		"recovery.keep":  "Print them, or keep them with your passwords.",
		"recovery.go":    "I have kept them",

		"factors.title":   "How you show that it is you",
		"factors.lead":    "What is asked of {login} beside the password.",
		"factors.added":   "Added {time} ago.",
		"factors.used":    "Last used {time} ago.",
		"factors.damaged": "It can't be used any more: remove it.",
		"factors.remove":  "Remove",
		"factors.left":    "{count} not used.",
		"factors.renew":   "Make new ones",
		"factors.none":    "No second factor so far: your password alone lets you in.",
		"factors.add":     "Add another way",

		"notice.title":  "Was this you?",
		"notice.added":  "{kind}: added {time} ago to show that it is you.",
		"notice.you":    "If you added it, go on. It will be trusted more widely at one of your next sign-ins.",
		"notice.remove": "Not you? Remove it.",
		"notice.ask":    "If you can't, tell your help desk at once: somebody may know your password.",
		"notice.go":     "It was me, continue",

		"choose.title":  "Choose an account",
		"choose.lead":   "Which account of {provider} do you want to open?",
		"choose.person": "Signed in as {person}.",
		"choose.not":    "Not you? Sign out",
		"choose.list":   "Accounts",
		"choose.find":   "Find an account by name or id",
		"choose.search": "Search",
		"choose.shown":  "{from:} to {to:} of {count:account|accounts}.",
		"choose.none":   "No account has this name or id.",
		"choose.all":    "Show all accounts",
		"choose.pages":  "Pages of accounts",
		"choose.prev":   "Previous page",
		"choose.next":   "Next page",

		"wait.title":    "Setting up your access",
		"wait.lead":     "{provider} needs a user for you before it can let you in. This page goes on by itself.",
		"wait.account":  "Account",
		"wait.step1":    "You are signed in",
		"wait.step2":    "User is being set up at {provider}",
		"wait.step3":    "On to {provider}",
		"wait.done":     "done",
		"wait.now":      "under way",
		"wait.next":     "to come",
		"wait.check":    "Check again",
		"wait.close":    "You can close this page. Your place is kept: just follow your link again later.",
		"wait.ready":    "Ready. Taking you there.",
		"wait.first":    "You are next in line.",
		"wait.one":      "One person is ahead of you.",
		"wait.many":     "{count:} people are ahead of you.",
		"wait.expected": "This should take {time}.",
		"wait.retry":    "The next try is in {time}.",
		"wait.soon":     "The next try is under way.",

		"switch.title": "One moment, please",
		"switch.lead": "{provider} is exchanging a security certificate with us. Signing in there goes on as soon as that " +
			"is done, and this page goes on by itself.",
		"switch.left":  "Time left",
		"switch.until": "It goes on in {time}.",

		"confirm.title": "Do you want to sign in?",
		"confirm.text":  "Another site has sent you here to sign in. If you did not mean to, just close this page.",
		"confirm.go":    "Sign in",

		"goon.title":    "Going on to the sign-in",
		"deliver.title": "Signing you in",
		"deliver.lead":  "Taking you to {provider}.",
		"deliver.how":   "If nothing happens, use the button.",
		"deliver.go":    "Continue",

		"finished.title": "This sign-in is finished",
		"finished.text": "It has been used and can't be used again. If you came here by the back button, you are probably " +
			"signed in already.",
		"finished.again": "Sign in again",

		"signedout.title": "You are signed out",
		"signedout.text": "Your sign-in here has ended. {product} and other services may still have you signed in: sign " +
			"out there too. On a shared computer, close the browser as well.",
		"signedout.again": "Sign in again",

		"logout.title":  "Sign out?",
		"logout.text":   "You are signed in as {login}.",
		"logout.submit": "Sign out",
		"logout.stay":   "Stay signed in",
		"logout.used":   "With this sign-in you also used:",
		"logout.all":    "Sign out everywhere",
		"logout.here":   "Sign out here only",

		"signingout.title": "Signing you out everywhere",
		"signingout.asked": "You signed out at {provider}. You are signed out here as well.",
		"signingout.lead": "You are signed out here. Now you are signed out of the services that you used, one after " +
			"the other.",
		"signingout.next":    "Next is {provider}. This page goes on by itself.",
		"signingout.waiting": "{provider} has not answered. This page soon goes on without it.",
		"signingout.go":      "Continue",
		"signingout.skip":    "Skip {provider}",

		"signedout.all": "You are signed out here and at every service that you used.",
		"signedout.open": "You are signed out here. Where it says so below, you may still be signed in: sign out there " +
			"too. On a shared computer, close the browser as well.",
		"signedout.back": "Back to {provider}",
		"signedout.list": "Services",

		"carry.title": "Signing you out",
		"carry.lead":  "Taking you to {provider}.",

		"sessions.title":  "Where you are signed in",
		"sessions.lead":   "All browsers that are signed in as {login}.",
		"sessions.here":   "This browser",
		"sessions.other":  "Another browser",
		"sessions.since":  "Signed in {time} ago,",
		"sessions.seen":   "last used {time} ago.",
		"sessions.end":    "Sign out there",
		"sessions.leave":  "Sign out here",
		"sessions.others": "Sign out everywhere else",
		"sessions.note":   "Services that were opened from a browser may stay signed in there.",
		"sessions.back":   "Back",

		"home.title":    "Welcome",
		"home.in":       "You are signed in as {login}.",
		"home.out":      "You are not signed in.",
		"home.open":     "Open {product}",
		"home.signin":   "Sign in to {product}",
		"home.logout":   "Sign out",
		"home.sessions": "Where you are signed in",
		"asker":         "the service that sent you here",
	},

	problems: map[string]problem{
		// One text for wrong password, unknown login and locked: the page must not tell
		// which logins exist (row LDAP-08).
		"bad_credentials": {Text: "The login name or the password is not right. Check both and try again. After several " +
			"wrong tries, signing in is blocked for a while."},
		"locked": {Text: "The login name or the password is not right. Check both and try again. After several " +
			"wrong tries, signing in is blocked for a while."},
		// The directory tells these only to somebody who knew the password.
		"disabled":         {Text: "Your user is switched off. Ask your help desk to switch it on again.", Link: linkHelp},
		"expired":          {Text: "Your user has reached its end date. Ask your help desk to extend it.", Link: linkHelp},
		"password_expired": {Text: "Your password has expired. Set a new one, then sign in with it.", Link: linkForgot},
		"must_change":      {Text: "You have to set a password of your own before you can sign in here.", Link: linkForgot},
		"not_now":          {Text: "You are not allowed to sign in at this time of day.", Link: linkHelp},
		"not_here":         {Text: "You are not allowed to sign in from here.", Link: linkHelp},
		"ambiguous": {Text: "This login name stands for more than one person. Use your full one, or ask your help " +
			"desk.", Link: linkHelp},
		"bad_data": {Text: "Your entry in the directory is not complete, so you can't be signed in. Ask your help " +
			"desk.", Link: linkHelp},
		"unavailable": {Text: "Your password can't be checked at the moment. It is not your fault. Try again in a " +
			"minute.", Link: linkHelp, Status: http.StatusServiceUnavailable},
		// As a problem above the form where idp leaves the form open.
		"second_factor_wrong": {Text: "That was not right. Each code holds for a short time and works once: try the " +
			"next one."},
		"second_factor_invite": {Text: "This invitation code is not right, was used before, or is older than a day. " +
			"Check it, or ask for another."},
		"second_factor_expired":     {Text: "This page was open for too long, or was used before. Try once more."},
		"second_factor_unconfirmed": {Text: "This one is right, and not confirmed for the console. Use one that is."},
		"second_factor_many":        {Text: "You have as many as anybody can have. Remove one first."},
		"second_factor_last":        {Text: "This is your only one, and one is required of you. Add another first."},
		"too_many_attempts": {Text: "There were too many tries with this login name. Wait a quarter of an hour, " +
			"then try again.", Link: linkForgot, Status: http.StatusTooManyRequests},
	},

	reasons: map[string]explanation{
		// The request of a service provider, or a link, is at fault.
		"method_not_allowed": {Title: "That did not work", Text: "This address can't be used in that way.",
			Do: "Start again from your link.", Start: true},
		"too_large": {Title: "The sign-in request is too large",
			Text: "The service that sent you here sent more than can be taken.",
			Do:   "Start again from there. If it happens again, ask for help.", Link: linkHelp},
		"bad_request": {Title: "The sign-in request can't be read",
			Text: "The service that sent you here sent something that is not a valid sign-in request.",
			Do:   "Start again from there. If it happens again, ask for help.", Link: linkHelp},
		"unsigned_request": {Title: "The sign-in request is not signed",
			Text: "{provider} has to sign its requests, and this one was not.",
			Do:   "Start again from {provider}. If it happens again, ask for help.", Link: linkHelp},
		"unknown_provider": {Title: "Unknown service", Text: "The service that you want to sign in to is not set up here.",
			Do: "Check the link that brought you here, or ask for help.", Link: linkHelp},
		"provider_disabled": {Title: "Signing in is switched off", Text: "Signing in to {provider} is switched off for now.",
			Do: "Ask for help if you need it.", Link: linkHelp},
		"metadata_expired": {Title: "What is known of the service is out of date",
			Text: "What {provider} published about itself was valid for a time that is over.",
			Do:   "Ask for help and give the reference.", Link: linkHelp},
		"wrong_destination": {Title: "The sign-in request is meant for another address",
			Text: "The service that sent you here has another address in its request than this one.",
			Do:   "Start again from there. If it happens again, ask for help.", Link: linkHelp},
		"request_time": {Title: "The sign-in request is out of date",
			Text: "A request holds for a few minutes only. This one is older, or the clocks of the two services differ.",
			Do:   "Start again from {provider}. If it happens again, ask for help.", Link: linkHelp},
		"replayed_request": {Title: "This sign-in request was used before",
			Text: "Each request can be used once. This happens when a page is loaded again.",
			Do:   "Start again from {provider}."},
		"unknown_acs": {Title: "The answer can't be sent there",
			Text: "The request wants its answer at an address that is not set up for this service.",
			Do:   "Nothing was sent. Ask for help.", Link: linkHelp},
		"too_many_sign_ins": {Title: "Too many sign-ins were begun",
			Text: "Too many were begun from your network and not finished.", Do: "Wait a few minutes, then start again.",
			Link: linkHelp},
		// A signature says who sent the request. What is wrong with it is for the log.
		"signature_parameters": {Title: "The request's signature is incomplete",
			Text: "The service that sent you here signed its request, and the signature did not arrive whole.",
			Do:   "Start again from there. If it happens again, ask for help and give the reference.", Link: linkHelp},
		"signature_in_xml": {Title: "The request's signature is in the wrong place",
			Text: "The service that sent you here put its signature where it does not belong.",
			Do:   "Ask for help and give the reference.", Link: linkHelp},
		"signature_form": {Title: "The request's signature can't be read",
			Text: "The service that sent you here signed its request in a way that can't be relied on.",
			Do:   "Start again from there. If it happens again, ask for help and give the reference.", Link: linkHelp},
		"signature_algorithm": {Title: "The request's signature is too weak",
			Text: "The service that sent you here signed its request in a way that is not accepted here.",
			Do:   "Ask for help and give the reference.", Link: linkHelp},
		"no_signing_certificate": {Title: "The request's signature is not known",
			Text: "{provider} signs its requests, and it is not set up here how to check that.",
			Do:   "Ask for help and give the reference.", Link: linkHelp},
		"bad_signature": {Title: "The request's signature is not right",
			Text: "The request was changed on its way here, or was not sent by the service that it names.",
			Do:   "Start again from there. If it happens again, ask for help and give the reference.", Link: linkHelp},

		// A message of single logout is at fault.
		"signout": {Title: "The sign-out message can't be used",
			Text: "The service that sent you here sent a message about signing out that can't be read or trusted.",
			Do:   "You may still be signed in here and there. Sign out at both.", Link: linkHelp},
		"signout unsigned_request": {Title: "The sign-out message is not signed",
			Text: "Messages about signing out have to be signed, and this one of {provider} was not.",
			Do:   "You may still be signed in here and there. Sign out at both.", Link: linkHelp},
		"signout unknown_provider": {Title: "Unknown service",
			Text: "The service that wants to sign you out is not set up here.",
			Do:   "You may still be signed in here. Sign out here, too.", Link: linkHelp},
		"signout provider_disabled": {Title: "Signing out was not followed",
			Text: "{provider} is switched off here for now, so its message about signing out was not followed.",
			Do:   "You may still be signed in here. Sign out here, too.", Link: linkHelp},
		"signout metadata_expired": {Title: "What is known of the service is out of date",
			Text: "What {provider} published about itself was valid for a time that is over, so its message about signing " +
				"out was not followed.",
			Do: "You may still be signed in here. Sign out here, too.", Link: linkHelp},
		"signout wrong_destination": {Title: "The sign-out message is meant for another address",
			Text: "{provider} has another address in its message than this one.",
			Do:   "You may still be signed in here and there. Sign out at both.", Link: linkHelp},
		"signout request_time": {Title: "The sign-out message is out of date",
			Text: "A message holds for a few minutes only. This one of {provider} is older, or the clocks of the two services " +
				"differ.",
			Do: "You may still be signed in here and there. Sign out at both.", Link: linkHelp},
		"signout replayed_request": {Title: "This sign-out request was used before",
			Text: "Each request can be used once. This happens when a page is loaded again.",
			Do:   "If you want to be sure, sign out here once more."},

		"no_single_logout": {Title: "Signing out everywhere is switched off",
			Text: "A service asked to sign you out here, and that is switched off.",
			Do:   "Use the sign-out page here, and close the browser on a shared computer."},
		"unknown_logout": {Title: "This sign-out is over", Text: "It was finished, or took too long.",
			Do: "Sign out at the services that you used, and close the browser on a shared computer.", Link: linkHelp},
		busy: {Title: "Too much is going on",
			Text: "More people are signing in at this moment than can be served.", Do: "Wait a minute, then try again."},

		"too_many_from_address": {Title: "Too much is going on",
			Text: "Too many people are signing in from your network at this moment.", Do: "Wait a minute, then try again."},

		"no_console_role": {Title: "No access to the admin console",
			Text: "You are signed in, and your account is not among those that may use the admin console.",
			Do:   "Ask for help if you need it.", Link: linkHelp},
		"console_session": {Title: "Your sign-in is over",
			Text: "Nothing was changed: you were signed out, or have to prove once more that it is you.",
			Do:   "Sign in again, then repeat what you did."},
		"console_twice": {Title: "This form was sent before",
			Text: "It was taken the first time, and nothing is done twice.", Do: "Look whether it did what you wanted."},
		"console_role": {Title: "This is for others to do",
			Text: "Your role in the admin console does not allow this.", Do: "Ask somebody with a higher role."},
		"second_factor_new": {Title: "A little too early",
			Text: "{provider} asks for a second factor, and yours was added a short time ago. It can be used there in {wait}.",
			Do:   "Come back then and sign in again. If it was not you who added it, tell your help desk at once.",
			Link: linkHelp},
		"second_factor_login": {Title: "Sign in once more",
			Text: "{provider} asks for a second factor. Yours can be used there once you were shown that it was added.",
			Do: "Sign out here and come back from {provider}, in the browser that you have used for the longest time. If " +
				"you see this page again there, do it once more. If it was not you who added it, tell your help desk at once.",
			Link: linkHelp},
		"no_second_factors": {Title: "There is nothing to set up here",
			Text: "Your password alone lets you in, and nothing else is asked for.", Do: "Go on to what you came for."},
		"no_provider": {Title: "Signing in is not set up", Text: "Signing in to {product} is not set up here yet.",
			Do: "Ask for help.", Link: linkHelp},
		"choose_provider": {Title: "This link is not complete",
			Text: "There is more than one service to sign in to, and the link does not say which.",
			Do:   "Use the link that you were given for the service, or ask for help.", Link: linkHelp},
		"unknown_relay_state": {Title: "This link can't be used", Text: "The place that the link leads to is not allowed.",
			Do: "Use the link that you were given, or ask for help.", Link: linkHelp},

		// The sign-in itself.
		"unknown_sign_in": {Title: "This sign-in is over", Text: "It was left for too long, or the link is not complete.",
			Do: "Start again.", Start: true},
		"other_browser": {Title: "This sign-in belongs to another browser",
			Text: "It was begun in another browser or on another device, or your browser's cookies were deleted since.",
			Do:   "Start again in this browser.", Start: true},
		"name_id_taken": {Title: "{provider} knows somebody else by your name",
			Text: "The name under which you would be signed in at {provider} belonged to another person before. Nothing was " +
				"sent, so that you don't get into that person's account.", Do: "Ask your help desk, and give the reference.",
			Link: linkHelp},
		"other_subject": {Title: "You are signed in as somebody else",
			Text: "{provider} asked for another person than the one who is signed in here.",
			Do:   "Sign out here and sign in as that person, or go back to {provider} and start again.", Link: linkHelp},
		"too_many_attempts": {Title: "Too many tries", Text: "There were too many tries with this login name.",
			Do: "Wait a quarter of an hour, then try again. If you don't know your password, set a new one.", Link: linkForgot},
		"directory_down": {Title: "Your password can't be checked right now",
			Text: "The directory that knows the passwords does not answer. It is not your fault, and your tries are not counted.", Do: "Try again in a minute.", Link: linkHelp},
		"unavailable": {Title: "Signing in does not work right now",
			Text: "A part of the sign-in does not answer. It is not your fault.", Do: "Try again in a minute.", Link: linkHelp},

		// The gate says no.
		"no_assignment": {Title: "You have no access yet",
			Text: "Your password is right, but nobody has given you access to an account of {provider}.",
			Do:   "Ask the people who look after your access to give you one.", Link: linkHelp},
		"not_this_account": {Title: "You have no access to this account",
			Text: "You have access to other accounts of {provider}, not to the one that the link leads to.",
			Do:   "Check the link, or ask the people who look after your access.", Link: linkHelp},
		"person_data": {Title: "Your details don't fit",
			Text: "A user can't be set up for you at {provider}: your name or e-mail address in the directory is missing, or " +
				"not as it has to be.", Do: "Ask your help desk to look at your entry, and give the reference.", Link: linkHelp},
		"may_not_create": {Title: "You have no user there yet",
			Text: "{provider} asked for people who have a user there already, and you have none.",
			Do:   "Start from your link on this side: then one is set up for you.", Link: linkHelp},
		"held_conflict": {Title: "Your access needs a look",
			Text: "{provider} already has a user with your name or e-mail address. To make sure that it is yours, somebody " +
				"has to look at it.", Do: "Ask for help and give the reference. There is nothing you can do yourself.",
			Link: linkHelp},
		"refused_by_partner": {Title: "{provider} did not accept you", Text: "{provider} refused to set up a user for you.",
			Do: "Ask for help and give the reference.", Link: linkHelp},
		"owner_unknown": {Title: "Your access is not complete",
			Text: "You are entered as the owner of this account, but it is not known yet which owner you are at {provider}.",
			Do:   "Ask for help and give the reference.", Link: linkHelp},
		"account_closed": {Title: "This account is closed",
			Text: "Your account at {provider} has been cancelled or switched off, so nobody can sign in to it.",
			Do:   "Ask the people who look after the account, and give the reference.", Link: linkHelp},
		"user_suspended": {Title: "Your user is stopped for now",
			Text: "The people who look after your access have stopped your user at {provider}.",
			Do:   "Ask them to resume it, and give the reference.", Link: linkHelp},
		"no_encryption_key": {Title: "Your sign-in can't be protected",
			Text: "{provider} is to get your details encrypted, and the key for that is missing here. Nothing was sent.",
			Do:   "Ask for help and give the reference. There is nothing you can do yourself.", Link: linkHelp},
		"not_in_group": {Title: "You have no access", Text: "You are not among the people who may use {provider}.",
			Do: "Ask the people who look after your access.", Link: linkHelp},

		// The directory says no to somebody who was signed in.
		"bad_credentials": {Title: "Sign in again", Text: "The login name or the password is not right.",
			Do: "Start again and check both.", Link: linkForgot},
		"locked": {Title: "You can't be signed in", Text: "Signing in is blocked for you for now.",
			Do: "Wait a while, then try again, or ask your help desk.", Link: linkHelp},
		"disabled": {Title: "Your user is switched off", Text: "You can't be signed in any more with this user.",
			Do: "Ask your help desk if that is not right.", Link: linkHelp},
		"expired": {Title: "Your user has ended", Text: "Your user has reached its end date.",
			Do: "Ask your help desk to extend it.", Link: linkHelp},
		"password_expired": {Title: "Your password has expired", Text: "You need a new password before you can sign in.",
			Do: "Set a new one, then start again.", Link: linkForgot},
		"must_change": {Title: "Set your own password first",
			Text: "You have to set a password of your own before you can sign in here.", Do: "Set one, then start again.",
			Link: linkForgot},
		"not_now": {Title: "Not at this time", Text: "You are not allowed to sign in at this time of day.",
			Do: "Come back at another time, or ask your help desk.", Link: linkHelp},
		"not_here": {Title: "Not from here", Text: "You are not allowed to sign in from here.",
			Do: "Ask your help desk.", Link: linkHelp},
		"ambiguous": {Title: "More than one person has this login name",
			Text: "Several accounts match this login name.", Do: "Use your full login name, or ask your help desk.",
			Link: linkHelp},
		"bad_data": {Title: "Your entry is not complete",
			Text: "Your entry in the directory is not complete, so you can't be signed in.",
			Do:   "Ask your help desk and give the reference.", Link: linkHelp},

		// This page, this form.
		badLink: {Title: "This link can't be used", Text: "It is not complete, or was changed on its way.",
			Do: "Use the link that you were given, or ask for help.", Link: linkHelp},
		badForm: {Title: "That could not be read", Text: "What your browser sent is not what this page asks for.",
			Do: "Go back and try again."},
		staleForm: {Title: "This page was out of date",
			Text: "The form belongs to another time or another browser. Nothing was done.", Do: "Try again."},
		noCookies: {Title: "Cookies are needed", Text: "Your browser sent no cookie. Without it, nobody can be signed in " +
			"safely.", Do: "Allow cookies for this site, then try again.", Link: linkHelp},
		crossOrigin: {Title: "That came from another site", Text: "Another site tried to send this form. Nothing was done.",
			Do: "Start from your link."},
		wrongHost: {Title: "Wrong address", Text: "The request asks for {host}, and this service is {address}.",
			Do: "Use the link that you were given. If it is this one, the proxy in front of this service changes the Host " +
				"header: tell your help desk.", Link: linkHelp},
		framed: {Title: "Open the link by itself", Text: "A sign-in can't start inside another page.",
			Do: "Open the link in a window or tab of its own."},
		prefetched: {Title: "Not yet", Text: "Your browser asked for this page ahead of time.",
			Do: "Follow the link again."},
		notFound: {Title: "There is no such page", Text: "The address may be mistyped, or the link may be old.",
			Do: "Check the address, or use the link that you were given."},
		tooSlow: {Title: "That took too long", Text: "An answer that is needed did not come in time. It is not your " +
			"fault.", Do: "Try again in a minute.", Link: linkHelp},
		storeDown: {Title: "Not available right now", Text: "A part that is needed does not answer. It is not your fault.",
			Do: "Try again in a minute.", Link: linkHelp},
		internal: {Title: "Something went wrong", Text: "It is a fault on our side, not yours.",
			Do: "Try again. If it happens again, ask for help and give the reference.", Link: linkHelp},
	},

	causes: map[string]string{
		"":            "Your user is being set up.",
		"key_switch":  "You are signed in. You need do nothing.",
		"queued":      "Your user is waiting to be set up.",
		"sending":     "{product} is setting up your user now.",
		"throttled":   "{product} is busy. Your user is set up as soon as it takes requests again.",
		"quota":       "{product} takes no more new users today. Yours is set up when its new day begins.",
		"unreachable": "{product} does not answer at the moment. It is asked again and again until it does.",
		"credentials": "{product} does not let us in at the moment. The people who run this service can see it, and it " +
			"is tried again.",
		"unknown_outcome": "{product} has not confirmed your user yet. It is asked again.",
	},

	services: map[string]string{
		"waiting":     "waiting",
		"asked":       "no answer so far",
		"done":        "signed out",
		"failed":      "could not sign you out: sign out there",
		"no_answer":   "did not answer: sign out there",
		"skipped":     "left out: you may still be signed in there",
		"unreachable": "can't be reached from here: sign out there",
	},
	roles: map[store.Role]string{
		store.AccountManager:  "Account manager",
		store.CampaignCreator: "Campaign creator",
		store.Owner:           "Account owner",
	},

	// Rough on purpose: a text that changes each second would be read out each second.
	duration: func(d time.Duration) string {
		switch {
		case d < 10*time.Second:
			return "a few seconds"
		case d < time.Minute:
			return "less than a minute"
		case d < 90*time.Second:
			return "about a minute"
		case d < time.Hour:
			return fmt.Sprintf("about %d minutes", int(d.Round(time.Minute)/time.Minute))
		case d < 90*time.Minute:
			return "about an hour"
		case d < 48*time.Hour:
			return fmt.Sprintf("about %d hours", int(d.Round(time.Hour)/time.Hour))
		}
		return fmt.Sprintf("about %d days", int(d.Round(24*time.Hour)/(24*time.Hour)))
	},
}
