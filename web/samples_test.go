package web_test

import (
	"net/http"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// sample is a page as idp may ask for it. Each template stands here in each of its
// shapes; golden files and pictures are made of them.
type sample struct {
	name   string
	path   string // "" is /login?s=one
	answer idp.Answer
	status int
}

func samples() []sample {
	const sp = "Constant Contact"
	waiting := func(p provisioning.Progress) idp.Answer {
		return idp.Answer{Page: idp.Waiting{SignIn: "one", Provider: sp, Account: choices(1)[0], Progress: p,
			CanCancel: true}}
	}
	refused := func(reason string, status int, retry, cancel bool) idp.Answer {
		return idp.Answer{Page: idp.Refusal{SignIn: "one", Provider: sp, Reason: reason, Status: status, Retry: retry,
			CanCancel: cancel}}
	}
	return []sample{
		{name: "login", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: sp}}, status: http.StatusOK},
		{name: "login-wrong", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: sp, Login: "anna",
			Problem: "bad_credentials", CanCancel: true}}, status: http.StatusUnprocessableEntity},
		{name: "login-expired", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Login: "anna", Problem: "expired"}},
			status: http.StatusUnprocessableEntity},
		{name: "login-sources", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: sp,
			Sources: []idp.WayIn{{Source: "portal", Label: "The <Portal>"}, {Source: "other", Label: "other"}}}},
			status: http.StatusOK},
		{name: "login-sources-only", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: sp, NoPassword: true,
			CanCancel: true, Sources: []idp.WayIn{{Source: "portal", Label: "Portal"}}}}, status: http.StatusOK},
		{name: "launching", answer: idp.Answer{Page: idp.ConfirmLaunch{SignIn: "one", Provider: sp, Person: "Ana <Díaz>",
			Contact: "ana@example.com",
			Account: "a07e1lxqqqo0", Instead: "bob"}}, status: http.StatusOK},
		{name: "launching-plain", answer: idp.Answer{Page: idp.ConfirmLaunch{SignIn: "one", Provider: sp,
			Person: "Ana Díaz"}}, status: http.StatusOK},
		{name: "password", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: sp, Login: "anna",
			Problem: "password_expired", Change: true}}, status: http.StatusUnprocessableEntity},
		{name: "password-refused", answer: idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: sp, Login: "anna",
			Problem: "password_simple", Change: true, Said: "Password <b>fails</b> quality checking policy"}},
			status: http.StatusUnprocessableEntity},
		{name: "choose", answer: idp.Answer{Page: idp.ChooseAccount{SignIn: "one", Provider: sp, Person: "anna.example",
			Choices: named()}}, status: http.StatusOK},
		{name: "choose-many", answer: idp.Answer{Page: idp.ChooseAccount{SignIn: "one", Provider: sp, Person: "anna.example",
			Choices: manyChoices(60)}}, status: http.StatusOK},
		{name: "waiting", answer: waiting(provisioning.Progress{State: store.Wanted, Since: now, Place: 3,
			Expected: 4 * time.Second, Cause: "queued"}), status: http.StatusOK},
		{name: "waiting-quota", answer: waiting(provisioning.Progress{State: store.Wanted, Since: now.Add(-time.Hour),
			Place: 12, NextTry: now.Add(14 * time.Hour), Attempts: 1, Cause: "quota"}), status: http.StatusOK},
		{name: "waiting-switch", answer: waiting(provisioning.Progress{Since: now.Add(-90 * time.Second),
			NextTry: now.Add(3*time.Minute + 25*time.Second), Cause: idp.CauseKeySwitch}), status: http.StatusOK},
		{name: "deliver", answer: idp.Answer{Page: delivery()}, status: http.StatusOK},
		{name: "deliver-bare", answer: idp.Answer{Page: idp.Deliver{Action: "https://sp.example/acs",
			SAMLResponse: "PHNhbWw+"}}, status: http.StatusOK},
		{name: "goon", answer: idp.Answer{Page: idp.GoOn{SignIn: sealedAs("one", 2100)}}, status: http.StatusOK},
		{name: "refusal-started", answer: idp.Answer{Page: idp.Refusal{SignIn: sealedAs("one", 40), Provider: sp,
			Reason: idp.ReasonDirectoryDown, Status: http.StatusServiceUnavailable, Retry: true, CanCancel: true}},
			status: http.StatusServiceUnavailable},
		{name: "refusal", answer: refused("no_assignment", http.StatusForbidden, false, true), status: http.StatusForbidden},
		{name: "refusal-retry", answer: refused(idp.ReasonDirectoryDown, http.StatusServiceUnavailable, true, true),
			status: http.StatusServiceUnavailable},
		{name: "refusal-password", answer: refused("password_expired", http.StatusForbidden, true, false),
			status: http.StatusForbidden},
		{name: "finished", answer: idp.Answer{Page: idp.Finished{Again: "/launch/a07e1lxqqqo0"}}, status: http.StatusOK},
		{name: "signedout", answer: idp.Answer{Page: idp.SignedOut{}}, status: http.StatusOK},
		{name: "signedout-elsewhere", answer: idp.Answer{Page: idp.SignedOut{
			Elsewhere: "https://id.example.com/logout?client_id=ssobridge", ElsewhereName: "Workforce"}}, status: http.StatusOK},
		{name: "signedout-everywhere", answer: idp.Answer{Page: idp.SignedOut{Services: usedServices(idp.LoggedOut,
			idp.LoggedOut)}}, status: http.StatusOK},
		{name: "signedout-open", answer: idp.Answer{Page: idp.SignedOut{Services: usedServices(idp.LoggedOut, idp.Unreachable,
			idp.NoAnswer, idp.LogoutFailed, idp.Skipped), Logout: "one", Provider: "Wiki"}}, status: http.StatusOK},
		{name: "signingout", answer: idp.Answer{Page: idp.SigningOut{Logout: "one", Services: usedServices(idp.LoggedOut,
			idp.ToBeAsked), Next: "Wiki", Step: 1, Pause: time.Second}}, status: http.StatusOK},
		{name: "signingout-waiting", answer: idp.Answer{Page: idp.SigningOut{Logout: "one", Provider: sp,
			Services: usedServices(idp.Unreachable, idp.Asked), Next: "Wiki", Step: 1, Pause: 9500 * time.Millisecond}},
			status: http.StatusOK},
		{name: "deliver-logout", answer: idp.Answer{Page: carried()}, status: http.StatusOK},
		{name: "logout-services", path: "/logout", status: http.StatusOK},
		{name: "not-found", path: "/nowhere", status: http.StatusNotFound},
		{name: "home", path: "/", status: http.StatusOK},
		{name: "home-signed-in", path: "/", status: http.StatusOK},
		{name: "logout", path: "/logout", status: http.StatusOK},
		{name: "sessions", path: "/sessions", status: http.StatusOK},
		{name: "factor", answer: idp.Answer{Page: idp.AskFactor{SignIn: "one", Provider: sp, Login: "anna", Code: true,
			Passkey: options, State: "sealed", CanCancel: true}}, status: http.StatusOK},
		{name: "factor-wrong", answer: idp.Answer{Page: idp.AskFactor{SignIn: "one", Provider: sp, Login: "anna", Code: true,
			State: "sealed", Problem: idp.FactorWrong}}, status: http.StatusUnprocessableEntity},
		{name: "factor-confirm", answer: idp.Answer{Page: idp.AskFactor{SignIn: "one", Provider: sp, Login: "anna",
			Code: true, Passkey: options, State: "sealed", Invited: true, Invite: "WRONG<", Problem: idp.FactorInvite,
			Added: []mfa.Factor{{ID: "f1", Kind: mfa.TOTP, Added: now.Add(-3 * time.Hour)}}}},
			status: http.StatusUnprocessableEntity},
		{name: "notice", answer: idp.Answer{Page: idp.FactorNotice{SignIn: "one", Provider: sp, Login: "anna",
			Factors: []mfa.Factor{{ID: "f1", Kind: mfa.Passkey, Added: now.Add(-3 * time.Hour)}}}}, status: http.StatusOK},
		{name: "wrongcodes", answer: idp.Answer{Page: idp.WrongCodes{SignIn: "one", Provider: sp, Count: 5,
			Last: now.Add(-2 * time.Hour)}}, status: http.StatusOK},
		{name: "wrongcodes-one", answer: idp.Answer{Page: idp.WrongCodes{SignIn: "one", Provider: sp, Count: 1,
			Last: now.Add(-time.Minute)}}, status: http.StatusOK},
		{name: "factor-passkey", answer: idp.Answer{Page: idp.AskFactor{SignIn: "one", Provider: sp, Login: "anna",
			Passkey: options, State: "sealed"}}, status: http.StatusOK},
		{name: "enrol", answer: idp.Answer{Page: enrolment(idp.EnrolFactor{Invited: true})}, status: http.StatusOK},
		{name: "enrol-invite", answer: idp.Answer{Page: enrolment(idp.EnrolFactor{Invited: true, Invite: "WRONG<",
			Problem: idp.FactorInvite})}, status: http.StatusUnprocessableEntity},
		{name: "enrol-offered", answer: idp.Answer{Page: enrolment(idp.EnrolFactor{Optional: true, CanCancel: true})},
			status: http.StatusOK},
		{name: "enrol-another", answer: idp.Answer{Page: enrolment(idp.EnrolFactor{Adding: true, Problem: idp.FactorWrong})},
			status: http.StatusUnprocessableEntity},
		{name: "recovery", answer: idp.Answer{Page: idp.RecoveryCodes{SignIn: "one", Codes: []string{"7ZK4M-0PQRS",
			"11111-22222", "ABCDE-FGHJK", "VWXYZ-00000"}}}, status: http.StatusOK},
		{name: "factors", path: "/factors", answer: idp.Answer{Page: idp.OwnFactors{Login: "anna", Factors: []mfa.Factor{
			{ID: "f1", Kind: mfa.TOTP, Added: now.Add(-48 * time.Hour), Used: now.Add(-time.Hour)},
			{ID: "f2", Kind: mfa.Passkey, Added: now.Add(-24 * time.Hour), Damaged: true},
			{ID: "f3", Kind: mfa.RecoveryCode, Added: now.Add(-48 * time.Hour), Left: 9},
		}, Problem: idp.FactorLast}}, status: http.StatusUnprocessableEntity},
		{name: "refusal-order", answer: idp.Answer{Page: idp.Refusal{SignIn: "one", Provider: sp, Reason: "no_assignment",
			Status: http.StatusForbidden, Order: true}}, status: http.StatusForbidden},
		{name: "order", path: "/order", answer: idp.Answer{Page: idp.OrderForm{Login: "anna", Country: "us",
			Input: provisioning.SelfOrderInput{Organization: "Harbour <Books>", Mail: "anna@example.com", FirstName: "Anna",
				LastName: "Anders"}}}, status: http.StatusOK},
		{name: "order-wrong", path: "/order", answer: idp.Answer{Page: idp.OrderForm{Login: "anna", Country: "us",
			Approval: true, Faults: map[string]bool{"organization_name": true, "contact_email": true, "first_name": true,
				"last_name": true, "state_code": true}}}, status: http.StatusUnprocessableEntity},
		{name: "order-limit", path: "/order", answer: idp.Answer{Page: idp.OrderForm{Login: "anna", Country: "us",
			Problem: idp.OrderProblemDay}}, status: http.StatusConflict},
		{name: "waiting-approval", path: "/order?n=7", answer: idp.Answer{Page: idp.OrderStands{Login: "anna",
			State: ordered(store.SelfOrderWaiting, "")}}, status: http.StatusOK},
		{name: "waiting-order", path: "/order?n=7", answer: idp.Answer{Page: idp.OrderStands{Login: "anna",
			State: ordered(store.SelfOrderOrdered, store.RequestWanted)}}, status: http.StatusOK},
		{name: "ordered-refused", path: "/order?n=7", answer: idp.Answer{Page: idp.OrderStands{Login: "anna",
			State: ordered(store.SelfOrderRefused, "")}}, status: http.StatusOK},
		{name: "factors-none", path: "/factors", answer: idp.Answer{Page: idp.OwnFactors{Login: "anna"}},
			status: http.StatusOK},
	}
}

// options of a passkey, as far as a page shows them.
const options = `{"challenge":"AAAA","user":{"id":"AAAA"}}`

// enrolment fills in what every page has that enrols a second factor.
func enrolment(p idp.EnrolFactor) idp.EnrolFactor {
	p.SignIn, p.Provider, p.Login, p.State, p.Passkey = "one", "Constant Contact", "anna", "sealed", options
	p.Secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	p.Address = "otpauth://totp/Example:anna?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Example"
	p.Picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
	return p
}

// usedServices are services in these states.
func usedServices(states ...idp.ServiceState) []idp.Service {
	names := []string{"Intranet", "Wiki", "Constant Contact", "Time sheets & leave", "Calendar"}
	var all []idp.Service
	for i, state := range states {
		all = append(all, idp.Service{Name: names[i], State: state})
	}
	return all
}

// carried is a message of single logout in a form.
func carried() idp.PostMessage {
	relay := "state of the sp"
	return idp.PostMessage{Action: "https://wiki.example/slo", Parameter: "SAMLRequest", Message: "PHNhbWw+",
		RelayState: &relay, Provider: "Wiki"}
}

// ordered is an order in this state, with its request.
func ordered(state, request string) provisioning.SelfOrderState {
	return provisioning.SelfOrderState{
		Order:   store.SelfOrder{ID: 7, Person: "p1", State: state, OrganizationName: "Harbour <Books>"},
		Request: store.AccountRequest{State: request, CreatedAt: now},
	}
}

// named are client accounts as a person with several sees them.
func named() []provisioning.Assignment {
	return []provisioning.Assignment{
		{Account: "a07e1lxqqqo0", Name: "Harbour Bakery", Role: store.AccountManager},
		{Account: "a07e2mzrrrp1", Name: "Northside Community Garden Club and Friends", Role: store.CampaignCreator},
		{Account: "a07e3nassst2", Name: "", Role: store.Owner},
		{Account: "a07e4obtttu3", Name: "Riverside Veterinary Practice", Role: store.AccountManager},
	}
}

// prepare makes the fake answer with this sample. The two pages that are no answer
// of idp's depend on a session.
func (s sample) prepare(r *rig) (path string) {
	r.idp.mu.Lock()
	defer r.idp.mu.Unlock()
	r.idp.answer = nil
	if s.answer.Page != nil {
		r.idp.answer = &s.answer
	}
	r.idp.sessions = map[string]string{}
	r.idp.services = nil
	if s.name == "logout-services" {
		r.idp.services = usedServices(idp.ToBeAsked, idp.Unreachable)
	}
	r.idp.own = []idp.OwnSession{
		{ID: "here", Here: true, Since: now.Add(-20 * time.Minute), Seen: now},
		{ID: "office", Since: now.Add(-5 * time.Hour), Seen: now.Add(-50 * time.Minute)},
	}
	if s.name == "home-signed-in" || s.name == "sessions" || strings.HasPrefix(s.name, "logout") {
		r.idp.sessions[sampleSession] = "anna"
	}
	if s.path != "" {
		return s.path
	}
	return "/login?s=one"
}

const sampleSession = "sample-session-token"
