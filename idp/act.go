package idp

// Act is what an administrator can do about a refusal, as a word. web/admin has the list of all acts, and each face
// says how one is done there; here stand those that a refusal can ask for.
type Act string

// NoAct is none.
const NoAct Act = ""

// The acts of refusals.
const (
	actRunCheck     Act = "run-check"
	actSeeSettings  Act = "see-settings"
	actShowRefusals Act = "show-refusals"
	actShowQueue    Act = "show-queue"
	actListKeys     Act = "list-keys"
	actListLockouts Act = "list-lockouts"
	actListAccounts Act = "list-accounts"
	actPlanUsers    Act = "plan-users"
	actAdoptUsers   Act = "adopt-users"

	actListProviders      Act = "list-providers"
	actAddConstantContact Act = "add-constant-contact"
	actAddProvider        Act = "add-provider"
	actMeantProvider      Act = "meant-provider"
	actGiveMetadata       Act = "give-metadata"
	actReleaseNameID      Act = "release-name-id"

	actShowProvider     Act = "show-provider"
	actSetProvider      Act = "set-provider"
	actRefreshProvider  Act = "refresh-provider"
	actImportAgain      Act = "import-again"
	actStopEncryption   Act = "stop-encryption"
	actPreviewAssertion Act = "preview-assertion"

	actExplainPerson  Act = "explain-person"
	actShowUser       Act = "show-user"
	actListFactors    Act = "list-factors"
	actInviteToFactor Act = "invite-to-factor"
)

// Acts are those that a refusal can ask for, for the tests of the faces.
func Acts() []Act {
	return []Act{
		actRunCheck, actSeeSettings, actShowRefusals, actShowQueue, actListKeys, actListLockouts, actListAccounts,
		actPlanUsers, actAdoptUsers,
		actListProviders, actAddConstantContact, actAddProvider, actMeantProvider, actGiveMetadata, actReleaseNameID,
		actShowProvider, actSetProvider, actRefreshProvider, actImportAgain, actStopEncryption, actPreviewAssertion,
		actExplainPerson, actShowUser, actListFactors, actInviteToFactor,
	}
}

// ofProvider tells whether the act is about one service provider.
func (a Act) ofProvider() bool {
	switch a {
	case actShowProvider, actSetProvider, actRefreshProvider, actImportAgain, actStopEncryption, actPreviewAssertion:
		return true
	}
	return false
}

// ofPerson tells whether the act is about one person.
func (a Act) ofPerson() bool {
	switch a {
	case actExplainPerson, actShowUser, actListFactors, actInviteToFactor, actListLockouts:
		return true
	}
	return false
}
