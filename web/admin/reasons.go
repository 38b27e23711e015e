package admin

import "ssobridge/idp"

// ReasonAct is what an administrator can do about a refused sign-in, by its reason; NoAct where what to do is nothing
// that the bridge has a page or a command for.
func ReasonAct(reason string) Act { return Act(idp.TextOf(reason).Act) }
