package admin

// Act is what an administrator can do about a fault or a finding. The list is closed: each face has a table of how each
// is done there, and a test that the table is complete.
type Act string

// The acts. What Error.About and Finding.About hold stands behind each.
const (
	NoAct Act = ""

	TryLater  Act = "try-later"  // wait, and do the same again
	LookAgain Act = "look-again" // see what has changed, and do the same again
	RunCheck  Act = "run-check"  // look at every part of the bridge

	SeeSettings  Act = "see-settings"  // the configuration that is in effect
	ShowRefusals Act = "show-refusals" // how many requests were refused, and why
	ShowQueue    Act = "show-queue"    // what waits for Constant Contact, the budget, and whether calls are stopped
	MakeBackup   Act = "make-backup"

	ListKeys        Act = "list-keys"
	MakeFirstKey    Act = "make-first-key"
	RollOverKey     Act = "roll-over-key"   // the key that ends
	PromoteOther    Act = "promote-other"   // the key that is in use
	ConfirmLoaded   Act = "confirm-loaded"  // the entity ID of who has to confirm
	AgreeOnTime     Act = "agree-on-time"   // the entity ID of who holds one certificate
	ChooseLabel     Act = "choose-label"    // in the token
	ConfigureToken  Act = "configure-token" // the configuration's pkcs11
	MakeMetadataKey Act = "make-metadata-key"
	SayForWhom      Act = "say-for-whom" // one service provider, or all
	NameKey         Act = "name-key"     // one of several

	ListProviders      Act = "list-providers"
	AddConstantContact Act = "add-constant-contact"
	AddProvider        Act = "add-provider"
	GiveMetadata       Act = "give-metadata" // have a service provider load ours
	SetProvider        Act = "set-provider"  // entity ID: change one of its settings
	RemoveProvider     Act = "remove-provider"
	ReplaceProvider    Act = "replace-provider"  // entity ID: import its metadata again, over what is registered
	MeantProvider      Act = "meant-provider"    // entity ID of the one that may have been meant
	PreviewAssertion   Act = "preview-assertion" // entity ID: what a person would get there
	ImportAgain        Act = "import-again"      // entity ID: give metadata or its address anew
	ShowProvider       Act = "show-provider"     // entity ID
	ReviewProvider     Act = "review-provider"   // entity ID: changes that wait for approval
	RefreshProvider    Act = "refresh-provider"  // entity ID
	ListSettings       Act = "list-settings"     // entity ID: what can be set, and to what
	NameEntity         Act = "name-entity"       // one of several in the metadata
	SafeNameID         Act = "safe-name-id"      // entity ID: a NameID that people can't edit
	StopEncryption     Act = "stop-encryption"   // entity ID
	IgnoreEnd          Act = "ignore-end"        // entity ID: the end that its metadata names counts for nothing
	StartEncryption    Act = "start-encryption"  // entity ID
	AllowCBC           Act = "allow-cbc"         // entity ID: encrypt by CBC, which is all that it takes
	AddCertificate     Act = "add-certificate"   // entity ID: with which it signs
	ReleaseRequested   Act = "release-requested" // entity ID: the attributes that its metadata asks for

	ListLockouts Act = "list-lockouts" // the person or address that may be locked out

	ListSecrets       Act = "list-secrets"        // the secret keys, with what needs each
	RotateSecrets     Act = "rotate-secrets"      // make anew what an old secret key has made
	VoidSecret        Act = "void-secret"         // id of the secret key: remove it, and end what can't be made anew
	ListTokens        Act = "list-tokens"         // of the REST API
	RotateToken       Act = "rotate-token"        // its id: put another one in its place
	AuditOfReference  Act = "audit-of-reference"  // a reference: the events that have it
	CaptureAssertions Act = "capture-assertions"  // a person's, for a while
	InviteAnew        Act = "invite-anew"         // remove the second factors that the person has, and invite anew
	ListConsoleGroups Act = "list-console-groups" // that give access to the console and to service providers

	ListUsers          Act = "list-users"          // with the client accounts that they are in
	ListUsersIn        Act = "list-users-in"       // the state that they are in
	ListTasks          Act = "list-tasks"          // what is to be done by hand; its kind, or "" for all
	ShowProvisioning   Act = "show-provisioning"   // how the creation of users stands
	NamePersonByID     Act = "name-person-by-id"   // of somebody whom the directory has no more
	ConfirmDeleted     Act = "confirm-deleted"     // that the user was deleted at Constant Contact by hand
	ResumeProvisioning Act = "resume-provisioning" // end the pause of creations by plans
	ListPlans          Act = "list-plans"
	ShowPlan           Act = "show-plan"     // its number
	WaitForPlan        Act = "wait-for-plan" // number of the one that is being made: wait for it, or cancel it
	PausePlan          Act = "pause-plan"    // the one that is being applied
	ReadAudit          Act = "read-audit"    // who did what
	RetryRequest       Act = "retry-request" // number of the creation of a client account

	ListMappings       Act = "list-mappings"
	AddMapping         Act = "add-mapping"
	ShowMappingHistory Act = "show-mapping-history"
	RemoveMapping      Act = "remove-mapping"  // its number
	GiveGroupBase      Act = "give-group-base" // to a pattern over the names of groups

	ExplainLogin Act = "explain-login" // login name
	NameAccount  Act = "name-account"  // one of the person's
)

// Acts about a person: their id, or "" where only the reader knows whom.
const (
	ExplainPerson  Act = "explain-person"   // which mappings apply to the person
	ShowUser       Act = "show-user"        // how the person's user stands at Constant Contact; its id where it is known
	ListFactors    Act = "list-factors"     // which second factors the person has
	InviteToFactor Act = "invite-to-factor" // make an invitation to set one up
	ReleaseNameID  Act = "release-name-id"
	PlanUsers      Act = "plan-users" // create users by a plan
	AdoptUsers     Act = "adopt-users"
	ListAccounts   Act = "list-accounts"
	ListSelfOrders Act = "list-orders"
)

// Acts about client accounts.
const (
	RefreshAccounts Act = "refresh-accounts" // read the list anew, or take the client account as it is written
	NameOrdered     Act = "name-ordered"     // number of the order: say which client account it became
	ConfirmByID     Act = "confirm-by-id"    // the id that has to be written once more
)

// Acts about notices.
const (
	ListNotices    Act = "list-notices"    // the subscriptions
	ListDeliveries Act = "list-deliveries" // the subscription whose notices do not arrive
)

// Acts are all of them, for the tests of the faces.
func Acts() []Act {
	return []Act{
		TryLater, LookAgain, RunCheck, SeeSettings, ShowRefusals, ShowQueue, MakeBackup,
		ListKeys, MakeFirstKey, RollOverKey, PromoteOther, ConfirmLoaded, AgreeOnTime, ChooseLabel, ConfigureToken,
		MakeMetadataKey, SayForWhom, NameKey,
		ListProviders, AddConstantContact, AddProvider, GiveMetadata, SetProvider, RemoveProvider, ReplaceProvider,
		MeantProvider, PreviewAssertion, ImportAgain,
		ShowProvider, ReviewProvider, RefreshProvider,
		ListSettings, NameEntity, SafeNameID, StopEncryption,
		IgnoreEnd, StartEncryption, AllowCBC, AddCertificate, ReleaseRequested,
		ListLockouts, AuditOfReference, CaptureAssertions, InviteAnew, ListConsoleGroups,
		ListSecrets, RotateSecrets, VoidSecret, ListTokens, RotateToken,
		ListPlans, ShowPlan, WaitForPlan, PausePlan, ReadAudit, ResumeProvisioning,
		ListUsers, ListUsersIn, ShowProvisioning, ListTasks, NamePersonByID, ConfirmDeleted, RetryRequest,
		ExplainPerson, ShowUser, ListFactors, InviteToFactor, ReleaseNameID, PlanUsers, AdoptUsers, ListAccounts,
		ListSelfOrders,
		RefreshAccounts, NameOrdered, ConfirmByID,
		ListMappings, AddMapping, ShowMappingHistory, RemoveMapping, GiveGroupBase,
		ExplainLogin, NameAccount,
		ListNotices, ListDeliveries,
	}
}
