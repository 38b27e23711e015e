package provisioning

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

// KnownUser is a user that exists at Constant Contact, as an admin tells it: one line of a CSV file.
type KnownUser struct {
	Line       int    // of the file
	Person     string // person_id; or
	Login      string // the login name in the directory
	Account    string
	ExternalID string // empty: as the template gives it
	LoginName  string // at Constant Contact; may be empty
	Role       string // empty: what the mappings give; owner for the account's owner
	State      string // active (default) or assumed; in an export any other of the ledger, which PreviewAdoption refuses
}

var (
	knownUserLimits  = tableLimits{bytes: 64 << 20, lines: 200_000}
	knownUserColumns = []string{"person_id", "login", "account", "external_id", "login_name", "role", "state"}
	knownUserStates  = []store.State{store.Active, store.Assumed, store.Wanted, store.Sending, store.Unknown,
		store.Conflict,
		store.Refused, store.Suspended}
)

// ReadKnownUsers reads CSV with a header line (person_id or login, account, and optionally external_id, login_name,
// role, state; in any order), at most 200,000 lines and 64 MiB. Faults are joined *InputErrors with the line in Field,
// at most 100.
//
// Spaces around a cell do not count, save in external_id, which is compared byte for byte. With person_id and login,
// person_id counts. The further columns of an export are read over; any other column is refused, since a misspelt one
// would be left out in silence.
func ReadKnownUsers(r io.Reader) ([]KnownUser, error) {
	all, faults, err := readKnownUsers(r)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, fmt.Errorf("read known users: %w", err)
	}
	return all, nil
}

// ReadKnownUserLines reads the same, and returns what is wrong with single lines apart from the others. Of two lines
// that tell the same neither is among them: nobody knows which is right. The error is about the file as a whole; so
// many faults that not all were looked for are one.
func ReadKnownUserLines(r io.Reader) (all []KnownUser, wrong []error, err error) {
	all, faults, err := readKnownUsers(r)
	if err == nil && faults.full() {
		err = &InputError{Field: "file", Fault: fmt.Sprintf("has %d faults or more", maxLineFaults),
			Fix: "correct these first"}
	}
	return all, faults, err
}

func readKnownUsers(r io.Reader) (all []KnownUser, faults lineFaults, err error) {
	once, doubted := onceInFile{}, map[int]bool{}
	columns := slices.Concat(knownUserColumns, exportColumns)
	err = readTable(r, knownUserLimits, columns, &faults, func(line int, row map[string]string) bool {
		t := KnownUser{
			Line: line, Person: directory.CanonicalID(store.TrimTyped(row["person_id"])), Login: store.TrimTyped(row["login"]),
			Account:    store.TrimTyped(row["account"]),
			ExternalID: row["external_id"], LoginName: strings.TrimSpace(row["login_name"]),
			Role: strings.ToLower(strings.TrimSpace(row["role"])), State: strings.ToLower(strings.TrimSpace(row["state"])),
		}
		if t.State == "" {
			t.State = string(store.Active)
		}
		if t.check(&faults) {
			once.look(t, &faults, doubted)
			all = append(all, t)
		}
		return true
	})
	all = slices.DeleteFunc(all, func(t KnownUser) bool { return doubted[t.Line] })
	return all, faults, err
}

// check says what is wrong with a line by itself.
func (t KnownUser) check(faults *lineFaults) bool {
	good := true
	fault := func(field, fault, fix string) {
		faults.add(t.Line, field, fault, fix)
		good = false
	}
	if t.Person == "" && t.Login == "" {
		fault("login", "neither person_id nor login is given",
			"say whose user it is: the login name in the directory, or the immutable id")
	}
	for _, cell := range [][2]string{{"person_id", t.Person}, {"login", t.Login}, {"login_name", t.LoginName}} {
		if strings.ContainsFunc(cell[1], unicode.IsControl) {
			fault(cell[0], "has a control character", "write it in one line")
		}
	}
	if _, err := store.ParseAccountID(t.Account); err != nil {
		fault("account", err.Error(), "give the encoded_account_id, such as a07e1lxqqqo0")
	}
	if t.ExternalID != "" {
		if why := badExternalID(t.ExternalID); why != "" {
			fault("external_id", why, "give the external_id under which Constant Contact knows the user, or none for that of "+
				"the template")
		}
	}
	if len(t.LoginName) > partnerapi.MaxExternalID {
		fault("login_name", fmt.Sprintf("is longer than %d bytes", partnerapi.MaxExternalID),
			"give the login name at Constant Contact, or none")
	}
	if t.Role != "" {
		if _, err := store.ParseRole(t.Role); err != nil {
			fault("role", err.Error(), "give one of them, or none for what the mappings give")
		}
	}
	if !slices.Contains(knownUserStates, store.State(t.State)) {
		fault("state", fmt.Sprintf("%.40q is not known", t.State),
			"give active for a user who is surely there, assumed for one who may be")
	}
	return good
}

// onceInFile keeps the line at which something was told first.
type onceInFile map[string]int

// look finds what another line has told already. Then both are doubted.
func (o onceInFile) look(t KnownUser, faults *lineFaults, doubted map[int]bool) {
	who := "person_id " + t.Person
	if t.Person == "" {
		who = "login " + strings.ToLower(t.Login) // directories compare logins without regard to case
	}
	for _, one := range []struct{ field, value, what string }{
		{"account", strings.ToLower(t.Account) + " " + who, "person in the same client account"},
		{"external_id", t.ExternalID, "external_id"},
		{"login_name", t.LoginName, "login_name"},
	} {
		if one.value == "" {
			continue
		}
		key := one.field + " " + one.value
		if line, again := o[key]; again {
			doubted[line], doubted[t.Line] = true, true
			faults.add(t.Line, one.field, fmt.Sprintf("line %d tells the same %s", line, one.what),
				"leave one of the two out, or correct it: each user has an external_id and a login name of its own")
			continue
		}
		o[key] = t.Line
	}
}
