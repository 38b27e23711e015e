package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notStaged are reasons that no test of causes brings about on the running program, and why. Each has its cause and fix
// in the table of reasons, and a test of its own room.
var notStaged = map[string]string{
	"answered":          "nothing was refused",
	"queued":            "nothing is wrong: the page goes on by itself, and the trace has it as a step",
	"sending":           "as queued",
	"waiting":           "how a sign-in ended that something before it had stopped",
	"client_closed":     "nobody sees a page",
	"password_differs":  "a typing mistake that the page itself says; nothing was looked at",
	"bad_form":          "a form that no browser sends",
	"internal":          "an error that nobody has foreseen",
	"busy":              "hundreds of requests at a time, see TestFloodsAreCounted",
	"too_many_sign_ins": "thousands of open sign-ins, see the tests of idp",
	"unavailable":       "a part that fails while the rest answers, see the tests of idp",
	"bad_data":          "an entry that a directory changes between two readings, see the tests of idp/directory",
	"revoked":           "sessions that end while a password is judged, see TestProofUnderWayAndTheEndOfAllSessions",
	"not_now":           "logon hours of Active Directory, which Samba does not judge at an LDAP bind",
	"not_here":          "as not_now, of workstations",
	"password_short":    "eDirectory and 389-ds tell the length apart; the slapd of the tests says password_simple",
	"password_young":    "of a server's minimum age, see the tests of idp/directory",
	"password_not_here": "a directory without TLS, or without the right, see the tests of idp/directory",
	"owner_unknown":     "every way to make a mapping wants the owner's external_id: of stores of the version before",
	"choose_provider":   "two records of Constant Contact, which a registration refuses: of a store of the version before",
	"name_id_taken":     "see TestNameIDBelongsToOnePerson",
	"no_encryption_key": "a record whose key was removed behind the bridge, see the tests of idp",
	"subject":           "a Subject that can't be read, see the tests of idp",
	"unknown_session":   "a status inside a LogoutResponse, see the tests of idp",
	"encrypted_name":    "as unknown_session",

	"move_lost":             "a backup that was restored over a move, see TestMoveLost of provisioning",
	"moved_conflict":        "a conflict about somebody who was moved, see TestMovedConflict of provisioning",
	"console_session":       "the console's own session, whose page is the login: see TestConsoleIdle",
	"second_factor_expired": "a page that was open for ten minutes, see the tests of idp",
	"second_factor_many":    "as many as anybody can have, see the tests of idp",
	"launch_request_source": "two sources with a login_url of their own, see the tests of idp",
	"launch_request_used":   "see TestBrowserPortalLogin",
	"launch_request_late":   "a request of ten minutes ago, see the tests of idp",
	"launch_signed_out":     "a sign-out between a token and its page, see the tests of idp",

	"oidc_mix_up":   "an OpenID provider that lies, which no real one does: the tests of idp have one",
	"oidc_error":    "as oidc_mix_up",
	"oidc_no_login": "see TestOpenIDPassive",
	"oidc_down":     "see TestBrowserOpenID",
	"oidc_code":     "as oidc_mix_up",
	"oidc_nonce":    "as oidc_mix_up",
	"oidc_at_hash":  "as oidc_mix_up",
	"oidc_tenant":   "as oidc_mix_up",
	"oidc_userinfo": "as oidc_mix_up",
	"oidc_groups":   "as oidc_mix_up",
}

// Each reason that a reference can carry is brought about on the running program by a test of causes, or stands above.
func TestAllReasonsAreStaged(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("causes*_test.go")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	staged := ""
	for _, file := range files {
		if file == "causes_all_test.go" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		staged += string(data)
	}
	source, err := os.ReadFile(filepath.Join("..", "..", "..", "idp", "references.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(source), "strings.Fields(`")
	list, _, _ = strings.Cut(list, "`")
	all := strings.Fields(list)
	if len(all) < 100 {
		t.Fatalf("only %d reasons were found", len(all))
	}
	for _, reason := range all {
		is := strings.Contains(staged, `"`+reason+`"`)
		switch why := notStaged[reason]; {
		case !is && why == "":
			t.Errorf("no test of causes stages %s: have one bring it about, or say why it can't", reason)
		case is && why != "":
			t.Errorf("%s is staged, and stands among those that are not", reason)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(notStaged)) {
		if !slices.Contains(all, reason) {
			t.Errorf("%s is no reason that a reference can carry", reason)
		}
	}
}
