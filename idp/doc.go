// Package idp is the SAML 2.0 identity provider: it reads AuthnRequests and
// launches, leads a sign-in from the login page to the Response, keeps sessions,
// and describes itself in metadata.
//
// It decides which requests are valid, what is remembered of them, and which
// status answers what. Messages are read, verified, built, signed and encrypted by
// idp/saml.
//
// The way of one sign-in: SSO or Launch takes the request and stores a pending
// sign-in; Resume shows where it stands, each time from the beginning (session,
// directory reading, gate), so that a reload, the back button, a restart or
// another replica all find the same page; Login, Choose and Cancel are what a
// person can do on these pages; the Response uses the pending sign-in up in the
// transaction that records it. Each method returns an Answer: the one page to
// show. What a stranger or a person causes is a page, never an error; an error
// is a fault of ours (store, keys, randomness).
//
// A single logout goes a way of its own: SLO or LogoutEverywhere ends our sessions
// and stores who took part in them; LogoutPage, NextLogout, SkipLogout and
// EndLogout lead the browser from one of them to the next, and back.
//
// The package leaves to others: pages, cookies and headers (web), LDAP
// (idp/directory), who may go where (its Gate: provisioning for Constant
// Contact, a group check here for others), the making of keys (certs).
//
// It must never write to an http.ResponseWriter, send a Response to an address
// that is not registered for its service provider, or let a check that could
// not run pass as one that succeeded.
//
// Where to look, by topic:
//
//   - the way of a sign-in: sso and launch begin it, proceed is its list of steps, target* say what differs between a
//     service provider, the console and a person's own pages, buildresponse delivers
//   - login: login, throttle and turns (limits of guesses), answertime (known and unknown logins answer alike),
//     passwordchange
//   - second factors: factor*, invite; how one is checked is in idp/mfa
//   - people from elsewhere: signedlaunch, signedlogout, openid, upstream, sources
//   - sessions and logout: session, ownsessions, logout*
//   - service providers: settings, settinglists, checkprovider, metadata
//   - what a refusal says: reasons (the words), reasontexts (cause, fix and act of each), references, trace, footprints
//   - bounds of the machine: slots, waits, quiet
package idp
