package cli

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/web/admin"
)

// actHints says how each act of an administrator is done by command. {about} is what the act is about.
var actHints = map[admin.Act]string{
	admin.TryLater:  "try it again later",
	admin.LookAgain: "run it again to see what has changed",
	admin.RunCheck:  "ssobridge check shows what is wrong",

	admin.SeeSettings:  "ssobridge config show lists the settings that are in effect",
	admin.ShowRefusals: "ssobridge trace refusals shows how many there were",
	admin.ShowQueue:    "ssobridge provision status shows the queue, the budget, and whether calls are stopped",
	admin.MakeBackup: "ssobridge backup --to FOLDER --keep N, by a timer of its own; with PostgreSQL pg_dump, and " +
		"ssobridge backup --record NAME after it",

	admin.ListTokens:  "ssobridge tokens list shows all",
	admin.RotateToken: "ssobridge tokens rotate {about}, and give the new token to its program",

	admin.ListKeys:     "ssobridge keys list shows all keys with their states. Nothing was changed",
	admin.MakeFirstKey: "ssobridge init --key-only --config FILE",
	admin.RollOverKey:  "roll over to a new key: ssobridge keys generate --help",
	admin.PromoteOther: "promote another key for them first: ssobridge keys promote",
	admin.ConfirmLoaded: "ask them whether the new certificate is loaded, then give --confirmed-by NAME. In an " +
		"emergency --force does without",
	admin.AgreeOnTime:     "give --at TIME, such as --at 2026-12-01T22:00:00Z. In an emergency --force switches at once",
	admin.ChooseLabel:     "choose another label",
	admin.ConfigureToken:  "set pkcs11.module, pkcs11.token_label and pkcs11.pin_file",
	admin.MakeMetadataKey: "ssobridge keys generate --use metadata makes one, or leave --signed out",

	admin.SayForWhom: "give --sp ENTITY_ID or --all",
	admin.NameKey:    "name the one that is meant; ssobridge keys list shows all",

	admin.ListProviders:      "ssobridge sp list shows all",
	admin.AddConstantContact: "ssobridge sp add-constant-contact --help",
	admin.AddProvider:        "ssobridge sp add --help",
	admin.GiveMetadata:       "ssobridge metadata prints ours",
	admin.SetProvider:        "ssobridge sp set {about} NAME=VALUE",
	admin.RemoveProvider:     "ssobridge sp remove {about}",
	admin.ReplaceProvider:    "give --replace to replace it",
	admin.MeantProvider:      "did you mean {about}?",
	admin.PreviewAssertion:   "ssobridge preview shows a person's",
	admin.ImportAgain:        "ssobridge sp add FILE --replace takes a new file, ssobridge sp add URL --replace an address",
	admin.ShowProvider:       "ssobridge sp show {about}",
	admin.ReviewProvider:     "ssobridge sp approve {about}",
	admin.RefreshProvider:    "read its metadata again: ssobridge sp refresh {about}",
	admin.ListSettings:       "nothing was changed; ssobridge sp set --help names the settings",
	admin.NameEntity:         "--entity-id URI chooses one of several",
	admin.SafeNameID:         "ssobridge sp set {about} name_id=TEMPLATE with {person_id}",
	admin.StopEncryption: "import its metadata with the key (sp add FILE --replace), or ssobridge sp set {about} " +
		"encryption=off",

	admin.IgnoreEnd: "give --ignore-valid-until, or the address of its metadata, which is read again; later: " +
		"ssobridge sp set {about} ignore_valid_until=true",
	admin.StartEncryption: "ssobridge sp set {about} encryption=if-published",
	admin.AllowCBC:        "ssobridge sp set {about} allow_cbc=true encryption=if-published",
	admin.AddCertificate:  "ssobridge sp set {about} certificates=FILE",
	admin.ReleaseRequested: "--release-requested releases them; ssobridge sp set {about} attributes+=NAME=TEMPLATE " +
		"releases one",

	admin.ExplainPerson:  "ssobridge explain --user {about} shows which mappings apply",
	admin.ShowUser:       "ssobridge users show {about} says how the user stands; users resume lifts a suspension",
	admin.ListFactors:    "ssobridge admin factors {about} lists what the person has",
	admin.InviteToFactor: "ssobridge admin invite {about} makes an invitation",
	admin.ReleaseNameID:  "ssobridge sp release-name-id shows who had it, and releases it",
	admin.PlanUsers:      "make one: ssobridge provision plan; then provision apply creates the users",
	admin.AdoptUsers:     "ssobridge users adopt --help",
	admin.ListAccounts:   "ssobridge accounts list shows the states",
	admin.ListSelfOrders: "ssobridge accounts orders lists them",
	admin.ListLockouts:   "ssobridge lockouts list shows who is locked out; ssobridge lockouts lift {about} lifts it",
	admin.RefreshAccounts: "ssobridge accounts list --refresh reads the list anew; --unlisted takes the account as you " +
		"typed it",
	admin.NameOrdered: "say which client account it became: ssobridge accounts retry {about} --account ID",
	admin.ConfirmByID: "type the account's id, or give it by --confirm {about}",

	admin.AuditOfReference:  "ssobridge audit list --ref {about} looks in the audit log",
	admin.CaptureAssertions: "ssobridge trace capture LOGIN, then let the person sign in",
	admin.ListSecrets:       "ssobridge secrets status lists the ids, and what needs each",
	admin.RotateSecrets:     "ssobridge secrets rotate makes them anew; what was changed in the database can't be",
	admin.VoidSecret:        "ssobridge secrets remove {about} --void ends recovery codes and invitations",
	admin.InviteAnew:        "if it is lost, --again removes it and invites anew",
	admin.ListConsoleGroups: "ssobridge console groups list shows the groups",

	admin.ListPlans:          "ssobridge provision status lists the last ones",
	admin.ShowPlan:           "look at it: ssobridge provision show {about}",
	admin.WaitForPlan:        "wait for it (ssobridge provision status), or end it: ssobridge provision cancel {about}",
	admin.PausePlan:          "wait for it, or ssobridge provision pause",
	admin.ReadAudit:          "ssobridge audit list says who did it",
	admin.ResumeProvisioning: "ssobridge provision release",
	admin.ListUsers:          "ssobridge users list shows those there are",
	admin.ListUsersIn:        "ssobridge users list --state {about} shows them",
	admin.ShowProvisioning:   "ssobridge provision status shows how it stands",
	admin.ListTasks:          "ssobridge users work lists it; a new plan brings it up to date",
	admin.NamePersonByID: "give the person id that ssobridge audit list or users work shows: login names are known of " +
		"people in the directory alone",
	admin.ConfirmDeleted: "delete it there by hand, then say so: ssobridge users forget --deleted",
	admin.RetryRequest:   "let the request come to its end: ssobridge accounts retry {about}",

	admin.ListMappings:       "ssobridge mapping list shows all",
	admin.AddMapping:         "ssobridge mapping add --help",
	admin.ShowMappingHistory: "ssobridge mapping history shows all",
	admin.RemoveMapping:      "ssobridge mapping remove {about}",
	admin.GiveGroupBase: "give --group-base DN (group_base in a file): whoever may create groups below it chooses " +
		"client accounts and roles, " +
		"so name an organizational unit of its own",

	admin.ExplainLogin: "ssobridge explain --user {about} shows groups and mappings",
	admin.NameAccount:  "name one by --account",

	admin.ListNotices: "ssobridge notices list shows all",
	admin.ListDeliveries: "ssobridge notices deliveries {about} shows the answers; ssobridge notices test {about} " +
		"sends a test",
}

// actHint is the line of an act; "" for none.
func actHint(act admin.Act, about string) string {
	return strings.ReplaceAll(actHints[act], "{about}", loggedWord(about, cmp.Or(aboutWords[act], "NAME")))
}

// aboutWords stand in the place of what an act is about, where the reader knows it, or where it is no word to copy.
var aboutWords = map[admin.Act]string{
	admin.ListUsersIn: "STATE", admin.NameOrdered: "N", admin.ConfirmByID: "ID", admin.VoidSecret: "ID",
	admin.AuditOfReference: "REF",
	admin.ExplainPerson:    "LOGIN", admin.ShowUser: "LOGIN", admin.ListFactors: "LOGIN", admin.InviteToFactor: "LOGIN",
	admin.ListLockouts: "LOGIN", admin.ExplainLogin: "LOGIN",
	admin.RemoveProvider: "ENTITY_ID", admin.MeantProvider: "ENTITY_ID", admin.ShowProvider: "ENTITY_ID",
	admin.ReviewProvider: "ENTITY_ID", admin.RefreshProvider: "ENTITY_ID", admin.SetProvider: "ENTITY_ID",
	admin.SafeNameID: "ENTITY_ID", admin.StopEncryption: "ENTITY_ID", admin.IgnoreEnd: "ENTITY_ID",
	admin.StartEncryption: "ENTITY_ID", admin.AllowCBC: "ENTITY_ID", admin.AddCertificate: "ENTITY_ID",
	admin.ReleaseRequested: "ENTITY_ID",
	admin.ShowPlan:         "NUMBER", admin.WaitForPlan: "NUMBER", admin.RetryRequest: "NUMBER",
	admin.RemoveMapping: "NUMBER",
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_/:.,=@%+-]+$`)

// shellWord is a value as a shell takes it for one word. It is for a terminal; a log may have it by loggedWord alone.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// loggedWord is shellWord for a line of the log, or unsafe where the value is "" or no word is safe there: a stranger
// may have chosen it, such as the Issuer of a request. The log escapes quotes and backslashes once more, and who copies
// the command from there would have the shell run what stands behind them. What begins with - is an option.
func loggedWord(text, unsafe string) string {
	if text == "" || text[0] == '-' || strings.ContainsAny(text, "'\"\\") || plaintext.Line(text, len(text)) != text {
		return unsafe
	}
	return shellWord(text)
}

// errorText is what an error says. The parts of a refusal stand on lines of their own; what fixes them follows in the
// hints.
func errorText(err error) string {
	e, ok := errors.AsType[*admin.Error](err)
	if !ok || len(e.Parts) == 0 {
		return err.Error()
	}
	text := e.Fault
	for _, p := range e.Parts {
		text += "\n  " + strings.ReplaceAll(p.Text(), "\n", "\n  ")
	}
	return text
}

// refusalHints are what stands below an error of an administrator's act, each once.
func refusalHints(e *admin.Error) string {
	var all []string
	add := func(hint string) {
		if hint != "" && !slices.Contains(all, hint) {
			all = append(all, hint)
		}
	}
	for _, one := range append([]*admin.Error{e}, e.Parts...) {
		if input, ok := one.Err.(*mapping.InputError); ok && one.Hint != "" { //nolint:errorlint // of the one error, not of its cause
			add(input.Field + ": " + one.Hint)
		} else {
			add(one.Hint)
		}
		add(actHint(one.Act, one.About))
	}
	return strings.Join(all, "\nhint: ")
}

// refusalCode is the exit code of such an error: bad input, or something that failed.
func refusalCode(e *admin.Error) int {
	switch e.Kind {
	case admin.Changed, admin.Outside, admin.Forbidden, admin.Denied:
		return exitFailed
	default:
		return exitUsage
	}
}
