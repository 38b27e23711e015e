package admin

import "ssobridge/idp"

// ReasonAct is what an administrator can do about a refused sign-in, by its reason; NoAct where the text of the reason
// says it.
func ReasonAct(reason string) Act { return reasonActs[reason] }

var reasonActs = map[string]Act{
	idp.ReasonUnknownProvider: ListProviders, idp.ReasonProviderDisabled: ListProviders,
	idp.ReasonNoProvider:    AddConstantContact,
	idp.ReasonNoCertificate: ListProviders, idp.ReasonBadSignature: ListProviders,
	idp.ReasonMetadataExpired: ListProviders,
	idp.ReasonUnknownACS:      ListProviders, idp.ReasonEncryption: ListProviders,
	idp.ReasonUnknownRelayState: ListProviders,
	idp.ReasonNameIDPolicy:      ListProviders, idp.ReasonNameIDTaken: ReleaseNameID, "not_in_group": ListProviders,
	idp.ReasonDirectoryDown: RunCheck, idp.ReasonUnavailable: RunCheck, "internal": RunCheck, "too_slow": RunCheck,
	"store_down":        RunCheck,
	idp.ReasonKeySwitch: ListKeys, idp.ReasonTooManyAttempts: ListLockouts,
	idp.ReasonWaiting: ShowUser, "held_conflict": ShowUser, "refused_by_partner": ShowUser, "user_suspended": ShowUser,
	"no_assignment": ExplainPerson, "not_this_account": ExplainPerson, "person_data": ExplainPerson,
	"may_not_create": PlanUsers, "owner_unknown": AdoptUsers, "account_closed": ListAccounts,
	idp.FactorWrong: ListFactors, idp.FactorInvite: InviteToFactor, idp.FactorUnconfirmed: InviteToFactor,
}
