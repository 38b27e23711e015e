package idp

import "ssobridge/idp/directory"

// Outcomes of a step of a sign-in, as they are counted. Each answer of a sign-in passes here, whichever step gave it:
// what is not counted here is not seen by those who watch the numbers.
const (
	OutcomeDelivered  = "delivered"      // an assertion left for the service provider
	OutcomeEntered    = "entered"        // somebody came into the admin console
	OutcomeCancelled  = "cancelled"      // the person went back to the service provider
	OutcomeWrongLogin = "wrong_password" // with a directory's problem as the reason
	// a proof or an enrolment was not accepted, with a Factor problem as the reason
	OutcomeWrongFactor = "wrong_second_factor"
	OutcomeRefused     = "refused" // on a page of ours with one of Reasons, or by a status
	OutcomeFailed      = "failed"  // a fault of ours
)

// statusReasons are the reasons that no page has: the service provider gets a status.
var statusReasons = []string{
	ReasonVersionHigh, ReasonVersionLow, ReasonBinding, ReasonNameIDPolicy, ReasonAuthnContext, ReasonSubject,
	ReasonPassive, ReasonWaiting, ReasonKeySwitch,
}

// Outcomes are all that is counted: each outcome with its reasons, "" for one without.
func Outcomes() map[string][]string {
	none := []string{""}
	return map[string][]string{
		OutcomeDelivered: none, OutcomeEntered: none, OutcomeCancelled: none, OutcomeFailed: none,
		OutcomeWrongLogin:  {string(directory.BadCredentials)},
		OutcomeWrongFactor: {FactorWrong, FactorInvite, FactorExpired, FactorMany, FactorLast, FactorUnconfirmed},
		OutcomeRefused:     append(Reasons(), statusReasons...),
	}
}

// outcomeOf is what an answer came to; "" for a step on the way, such as a form that is shown. refused is why a status
// takes the place of an assertion.
func outcomeOf(page Page, err error, cancelled bool, refused string) (outcome, reason string) {
	if err != nil {
		return OutcomeFailed, ""
	}
	switch page := page.(type) {
	case Deliver:
		switch {
		case cancelled:
			return OutcomeCancelled, ""
		case page.Assertion == "": // a status, which is no sign-in
			return OutcomeRefused, refused
		}
		return OutcomeDelivered, ""
	case Entered:
		return OutcomeEntered, ""
	case Refusal:
		return OutcomeRefused, page.Reason
	case AskPassword:
		if page.Problem != "" {
			return OutcomeWrongLogin, string(page.Problem)
		}
	case AskFactor:
		if page.Problem != "" {
			return OutcomeWrongFactor, page.Problem
		}
	case EnrolFactor:
		if page.Problem != "" {
			return OutcomeWrongFactor, page.Problem
		}
	case AccountPage, ChooseAccount, ConfirmLaunch, FactorNotice, Finished, GoOn, LeaveFor, LogoutGoOn, OrderForm,
		OrderPage, OrderReady, OrderStands, OwnFactors, PostMessage, RecoveryCodes, RedirectMessage,
		SignedOut, SigningOut, Waiting, WrongCodes:
		// A step on the way, or of something that is no sign-in.
	}
	return "", ""
}
