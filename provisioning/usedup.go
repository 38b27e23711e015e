package provisioning

import "ssobridge/store"

// DayUsedUp says whose count says that the day's calls to Constant Contact are used up, Constant Contact's own or ours,
// and what helps: the two differ.
func DayUsedUp(itself bool) (fault, fix string) {
	if !itself {
		return "the day's calls to Constant Contact are used up by our own count", "it works again after 00:00 UTC"
	}
	return "Constant Contact itself says that the day's calls are used up",
		"it works again after 00:00 UTC; where our own count is lower, look for another program with the same API key " +
			"(constant_contact.limits.share leaves it a part), or ask Constant Contact for the partner's quota " +
			"(constant_contact.limits.per_day)"
}

// UsedUp is DayUsedUp of a budget; "" where today still allows calls.
func UsedUp(b store.BudgetStatus) (fault, fix string) {
	if b.Exhausted || b.Used >= b.Limit {
		return DayUsedUp(b.Exhausted)
	}
	return "", ""
}
