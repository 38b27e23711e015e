package idp

// Outcomes of a step of a sign-in, as they are counted. Each answer of a sign-in passes here, whichever step gave it:
// what is not counted here is not seen by those who watch the numbers.
const (
	OutcomeDelivered  = "delivered"      // a Response left for the service provider
	OutcomeEntered    = "entered"        // somebody came into the admin console
	OutcomeCancelled  = "cancelled"      // the person went back to the service provider
	OutcomeWrongLogin = "wrong_password" // with a directory's problem as the reason
	// a proof or an enrolment was not accepted, with a Factor problem as the reason
	OutcomeWrongFactor = "wrong_second_factor"
	OutcomeRefused     = "refused" // with one of Reasons
	OutcomeFailed      = "failed"  // a fault of ours
)

// outcomeOf is what an answer came to; "" for a step on the way, such as a form that is shown.
func outcomeOf(page Page, err error, cancelled bool) (outcome, reason string) {
	if err != nil {
		return OutcomeFailed, ""
	}
	switch page := page.(type) {
	case Deliver:
		if cancelled {
			return OutcomeCancelled, ""
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
	case AccountPage, ChooseAccount, FactorNotice, Finished, GoOn, LogoutGoOn, OwnFactors, PostMessage, RecoveryCodes,
		RedirectMessage, SignedOut, SigningOut, Waiting, WrongCodes:
		// A step on the way, or of something that is no sign-in.
	}
	return "", ""
}
