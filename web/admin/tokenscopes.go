package admin

import (
	"slices"
	"strings"
)

// TokenScope is one thing that a token of the REST API can be given. None of them gives another.
type TokenScope struct {
	Name  string
	Gives string // what can be done with it
	Risk  string // what somebody could do who has stolen the token
	// Privileged scopes need a second factor of an administrator, and end soon.
	Privileged bool
	// Confinable scopes can be given to a token of some client accounts.
	Confinable bool
}

// The scopes of tokens.
const (
	AccountsRead   = "accounts:read"
	AccountsWrite  = "accounts:write"
	ButtonRead     = "button:read"
	MappingsRead   = "mappings:read"
	MappingsWrite  = "mappings:write"
	PeopleRead     = "people:read"
	PeopleWrite    = "people:write"
	UsersRead      = "users:read"
	UsersWrite     = "users:write"
	PlansRead      = "plans:read"
	PlansWrite     = "plans:write"
	TasksRead      = "tasks:read"
	TasksWrite     = "tasks:write"
	SessionsRead   = "sessions:read"
	SessionsWrite  = "sessions:write"
	LockoutsRead   = "lockouts:read"
	LockoutsWrite  = "lockouts:write"
	ProvidersRead  = "providers:read"
	ProvidersWrite = "providers:write"
	KeysRead       = "keys:read"
	KeysWrite      = "keys:write"
	FactorsRead    = "factors:read"
	FactorsWrite   = "factors:write"
	NoticesRead    = "notices:read"
	NoticesWrite   = "notices:write"
	TracesRead     = "traces:read"
	AuditRead      = "audit:read"
	StatusRead     = "status:read"
)

// TokenScopes are all scopes, in the order in which people read them.
func TokenScopes() []TokenScope {
	return []TokenScope{
		{Name: AccountsRead, Confinable: true, Gives: "read client accounts with their plans",
			Risk: "learn who the partner's clients are and what they pay for"},
		{Name: AccountsWrite, Gives: "order client accounts, change their plans, and cancel them",
			Risk: "order client accounts that the partner pays for, owned by any person of the directory, and cancel those " +
				"that there are, which can't be taken back"},
		{Name: ButtonRead, Confinable: true, Gives: "read whether a client account is there, being made, open or suspended",
			Risk: "learn which client accounts there are, by guessing ids"},
		{Name: MappingsRead, Confinable: true, Gives: "read mappings and their history, and export the mapping file",
			Risk: "learn which groups to get into for which client account"},
		{Name: MappingsWrite, Gives: "add, change and remove mappings, and import mapping files",
			Risk: "give any person of the directory any role in any client account, and take it from everybody"},
		{Name: PeopleRead, Gives: "find people in the directory, and read what they have access to",
			Risk: "read names, login names, mail addresses and groups of everybody in the directory"},
		{Name: PeopleWrite, Gives: "forget people who have left",
			Risk: "have all removed that the bridge keeps of somebody who has left"},
		{Name: UsersRead, Confinable: true, Gives: "read SSO users",
			Risk: "read names and mail addresses of all who have a user at Constant Contact"},
		{Name: UsersWrite, Confinable: true, Gives: "create, import, retry, suspend and resume SSO users",
			Risk: "shut people out of their client accounts, let suspended ones in again, and have a person signed in as a user " +
				"of somebody else by a wrong import; confined to client accounts it neither creates nor imports"},
		{Name: PlansRead, Gives: "read plans of creations and their lines",
			Risk: "read names and login names of all who are to get a user"},
		{Name: PlansWrite, Gives: "make, apply, pause and cancel plans of creations",
			Risk: "use up the calls of a day that are left to background work, by creating users whom the mappings allow"},
		{Name: TasksRead, Gives: "read manual tasks",
			Risk: "read who has left, and whose role has changed"},
		{Name: TasksWrite, Confinable: true, Gives: "note manual tasks as done",
			Risk: "hide that somebody who has left still has a user at Constant Contact"},
		{Name: SessionsRead, Gives: "read the live sessions of a person",
			Risk: "see who is signed in, since when and how"},
		{Name: SessionsWrite, Gives: "end all sessions of a person",
			Risk: "sign people out again and again"},
		{Name: LockoutsRead, Gives: "read which people and addresses are locked out",
			Risk: "see whose password is being guessed, and how many tries are left"},
		{Name: LockoutsWrite, Gives: "give tries back to a person or an address",
			Risk: "guess passwords without ever being locked out by the bridge"},
		{Name: ProvidersRead, Gives: "read service providers",
			Risk: "learn where people sign in, and which attributes are released there"},
		{Name: ProvidersWrite, Privileged: true, Gives: "add and remove service providers, change their settings, and approve " +
			"changes of their metadata",
			Risk: "have assertions about anybody sent to another address: sign in there as anybody"},
		{Name: KeysRead, Gives: "read our certificates and which key signs for whom",
			Risk: "learn when keys change; no private key can be read"},
		{Name: KeysWrite, Privileged: true, Gives: "make, publish, promote, roll back and retire our keys; no private key can be read",
			Risk: "stop all sign-ins by having a key sign that no service provider knows"},
		{Name: FactorsRead, Gives: "read which second factors a person has",
			Risk: "see who has none"},
		{Name: FactorsWrite, Privileged: true, Gives: "remove all second factors of a person, who then enrols anew",
			Risk: "get in with a stolen password alone, by enrolling a second factor in place of the person's"},
		{Name: TracesRead, Gives: "read what sign-ins did, step by step",
			Risk: "see who signs in when and from where, and why somebody is refused"},
		{Name: AuditRead, Gives: "read audit events",
			Risk: "see what every administrator and every person did, and from where"},
		{Name: NoticesRead, Gives: "read who is sent which notices, and what became of them",
			Risk: "learn who is told of trouble, and the mail addresses"},
		{Name: NoticesWrite, Gives: "add, change, test and remove subscriptions to notices",
			Risk: "have notices of everything sent elsewhere, with names where that is set, and silence those of trouble"},
		{Name: StatusRead, Gives: "read the health of all parts, and the budget of calls",
			Risk: "see what is broken at the moment"},
	}
}

// FindTokenScope is the scope of a name.
func FindTokenScope(name string) (TokenScope, bool) {
	all := TokenScopes()
	i := slices.IndexFunc(all, func(s TokenScope) bool { return s.Name == name })
	if i < 0 {
		return TokenScope{}, false
	}
	return all[i], true
}

// scopeNames lists the scopes that fit, for the hint of a refusal.
func scopeNames(fits func(TokenScope) bool) string {
	var names []string
	for _, s := range TokenScopes() {
		if fits(s) {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}
