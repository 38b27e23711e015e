package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type usersCmd struct {
	List        usersListCmd        `cmd:"" help:"List the SSO users of the ledger."`
	Show        usersShowCmd        `cmd:"" help:"Show all that is known of a person's SSO users."`
	Adopt       usersAdoptCmd       `cmd:"" help:"Import users that exist at Constant Contact already: from a CSV file, or all of a plan."`
	Confirm     usersConfirmCmd     `cmd:"" help:"Confirm assumed users."`
	Import      usersImportCmd      `cmd:"" help:"Put an export back into the ledger."`
	Export      usersExportCmd      `cmd:"" help:"Write the ledger as CSV or JSON lines."`
	Create      usersCreateCmd      `cmd:"" help:"Create the SSO user of one person now."`
	CreateAgain usersCreateAgainCmd `cmd:"" help:"Create an SSO user again who is missing at Constant Contact."`
	Suspend     usersSuspendCmd     `cmd:"" help:"Stop an SSO user: no sign-ins, no creation."`
	Resume      usersResumeCmd      `cmd:"" help:"Let a suspended SSO user go on."`
	MoveSource  usersMoveSourceCmd  `cmd:"" help:"Move people from the directory to a source of people, without second users."`
	Work        usersWorkCmd        `cmd:"" help:"List the manual tasks at Constant Contact."`
	Done        usersDoneCmd        `cmd:"" help:"Note that a manual task was done."`
	Forget      usersForgetCmd      `cmd:"" help:"Remove all that tells who a person is."`
}

// userFilter are the flags that choose rows of the ledger.
type userFilter struct {
	State   []string `enum:"wanted,sending,unknown,active,assumed,conflict,refused,suspended" help:"Only in this state (${enum}). Can be given several times."`
	Account string   `placeholder:"ID" help:"Only in this client account."`
	unlistedFlag
}

func (f userFilter) filter(s *invocation, p *server.App) (store.UserFilter, error) {
	account, err := resolveAccount(s, p, f.Account, f.Unlisted)
	out := store.UserFilter{Account: account}
	for _, state := range f.State {
		out.States = append(out.States, store.State(state))
	}
	return out, err
}

type usersListCmd struct {
	userFilter
	Limit int    `default:"100" help:"At most so many, up to 1000."`
	After string `placeholder:"PERSON/ACCOUNT" help:"Those behind this one: the last line of the page before."`
	asJSON
}

// Help is shown by users list --help.
func (usersListCmd) Help() string {
	return "Examples:\n\n    ssobridge users list --state conflict --state refused\n\n    ssobridge users list " +
		"--account a07e1lxqqqo0 --json"
}

// jsonUser is a row of the ledger as JSON.
type jsonUser struct {
	Person           store.PersonID  `json:"person_id"`
	Account          store.AccountID `json:"account"`
	State            store.State     `json:"state"`
	Before           store.State     `json:"before_suspension,omitempty"`
	ExternalID       string          `json:"external_id"`
	ExternalProvider string          `json:"external_provider"`
	LoginName        string          `json:"login_name"`
	ContactEmail     string          `json:"contact_email"`
	FirstName        string          `json:"first_name"`
	LastName         string          `json:"last_name"`
	Role             store.Role      `json:"role"`
	Mapping          int64           `json:"mapping"`
	Plan             int64           `json:"plan,omitempty"`
	Class            string          `json:"class"`
	Attempts         int             `json:"attempts"`
	MaybeSent        bool            `json:"maybe_sent"`
	NextAttempt      *time.Time      `json:"next_attempt,omitempty"`
	ErrorKey         string          `json:"error_key,omitempty"`
	Error            string          `json:"error,omitempty"`
	CreatedAt        time.Time       `json:"created_at"`
	UpdatedAt        time.Time       `json:"updated_at"`
}

func toJSONUser(u store.SSOUser) jsonUser {
	j := jsonUser{
		u.Person, u.Account, u.State, u.Before, u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail,
		u.FirstName, u.LastName,
		u.Role, u.Mapping, u.Plan, u.Priority.String(), u.Attempts, u.MaybeSent, nil, u.ErrorKey, u.ErrorText,
		u.CreatedAt, u.UpdatedAt,
	}
	if !u.NextAttempt.IsZero() {
		j.NextAttempt = &u.NextAttempt
	}
	return j
}

// Run lists one page.
func (c *usersListCmd) Run(s *invocation, p *server.App) error {
	after, err := afterKey(c.After)
	if err != nil {
		return err
	}
	f, err := c.filter(s, p)
	if err != nil {
		return err
	}
	f.Limit, f.After = c.Limit, after
	rows, err := p.Users().List(s.ctx, s.scope(), f)
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "PERSON/ACCOUNT", "NAME", "ROLE", "STATE", "LOGIN NAME", "ERROR")
	for _, u := range rows {
		t.row(toJSONUser(u.SSOUser), string(u.Person)+"/"+string(u.Account), u.Name, u.Role, u.State, u.LoginName,
			u.ErrorText)
	}
	if err := t.end(); err != nil || c.JSON {
		return err
	}
	if len(rows) == c.Limit {
		last := rows[len(rows)-1]
		s.printf("there may be more: --after %s/%s\n", last.Person, last.Account)
	}
	return nil
}

type usersShowCmd struct {
	Person string `arg:"" help:"Login name or person id."`
	asJSON
}

// Help is shown by users show --help.
func (usersShowCmd) Help() string { return "Example:\n\n    ssobridge users show alice" }

// Run shows the rows of one person.
func (c *usersShowCmd) Run(s *invocation, p *server.App) error {
	person, err := personID(s.ctx, p, c.Person)
	if err != nil {
		return err
	}
	rows, err := p.Users().OfPerson(s.ctx, s.scope(), person)
	if err != nil {
		return err
	}
	if c.JSON {
		for _, u := range rows {
			if err := s.line(toJSONUser(u.SSOUser)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 {
		s.printf("person %s has no SSO user yet; ssobridge explain --user shows what would come\n", person)
	}
	for _, u := range rows {
		showUser(s, u)
	}
	return nil
}

func showUser(s *invocation, u admin.User) {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	state := string(u.State)
	if u.State == store.Suspended {
		state += " (before: " + string(u.Before) + ")"
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.DateTime + " MST")
	}
	for _, line := range [][2]string{
		{"person", string(u.Person)}, {"account", string(u.Account)}, {"state", state},
		{"name", u.Name}, {"current role", string(u.Role)}, {"mapping", fmt.Sprint(u.Mapping)},
		{"external_id", u.ExternalID}, {"external_provider", u.ExternalProvider}, {"login_name", u.LoginName},
		{"contact_email", u.ContactEmail},
		{"attempts", fmt.Sprint(u.Attempts)}, {"next attempt", at(u.NextAttempt)}, {"error key", u.ErrorKey},
		{"error", u.ErrorText},
		{"created", at(u.CreatedAt)}, {"changed", at(u.UpdatedAt)},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "%s:\t%s\n", line[0], line[1])
		}
	}
	fmt.Fprintln(w)
	_ = w.Flush() // standard output that is gone is seen by the next write
}

type usersConfirmCmd struct {
	asJSON

	User []string `arg:"" optional:"" placeholder:"PERSON/ACCOUNT" help:"Which, as users list shows them."`
	All  bool     `help:"All that are assumed."`
	Yes  bool     `help:"Do not ask."`
}

// Help is shown by users confirm --help.
func (usersConfirmCmd) Help() string {
	return "Look at them first: ssobridge users list --state assumed\n\nExamples:\n\n    ssobridge users confirm " +
		"--all\n\n    ssobridge users confirm 5f2c…/a07e1lxqqqo0"
}

// Run confirms.
func (c *usersConfirmCmd) Run(s *invocation, p *server.App) error {
	if c.All == (len(c.User) > 0) {
		return badInput(errors.New("say which users, or --all"), "ssobridge users list --state assumed shows them")
	}
	var keys []store.UserKey
	for _, text := range c.User {
		key, err := afterKey(text)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if c.All {
		now, err := p.Plans().Status(s.ctx, s.scope())
		if err != nil {
			return err
		}
		ask := fmt.Sprintf("Confirm %s?", plaintext.Count(now.Count(store.Assumed), "assumed user", "assumed users"))
		if err := s.confirm(c.Yes, false, ask); err != nil {
			return err
		}
	}
	n, err := p.Users().Confirm(s.ctx, s.scope(), keys, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("confirmed %s\n", plaintext.Count(n, "user", "users"))
	return s.object(struct {
		Confirmed int `json:"confirmed"`
	}{n})
}

type usersExportCmd struct {
	userFilter
	Format string `enum:"csv,jsonl" default:"csv" help:"csv or jsonl."`
	Out    string `short:"o" placeholder:"FILE" help:"The file to write; it must not exist. Default: standard output."`
}

// Help is shown by users export --help.
func (usersExportCmd) Help() string {
	return "The file holds names and mail addresses of people: keep it safe.\n\nExample:\n\n    ssobridge users export " +
		"-o users.csv"
}

// Run writes the export.
func (c *usersExportCmd) Run(s *invocation, p *server.App) (err error) {
	f, err := c.filter(s, p)
	if err != nil {
		return err
	}
	w := s.stdout
	if c.Out != "" {
		file, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return badInput(fmt.Errorf("write %s: %s", c.Out, config.PlainCause(err)), "give a new name")
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	return p.Users().Export(s.ctx, s.scope(), w, f, c.Format, s.event("", ""))
}

type usersImportCmd struct {
	asJSON

	File string `arg:"" help:"The file that users export wrote as CSV; - for standard input."`
}

// Help is shown by users import --help.
func (usersImportCmd) Help() string {
	return "Users that the ledger does not know are added as they were; those on their way then count as assumed. Rows " +
		"that are there are kept.\n\nExample:\n\n    ssobridge users import users.csv"
}

// Run imports.
func (c *usersImportCmd) Run(s *invocation, p *server.App) (err error) {
	r, closeFile, err := s.input(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFile()) }()
	counts, err := p.Users().Import(s.ctx, s.scope(), r, actor(s.environ))
	if err != nil {
		return err
	}
	printAdoptions(s, counts)
	return s.object(jsonAdoptions{Counts: counts, Saved: true})
}

// input opens a file that a command was given.
func (s *invocation) input(name string) (io.Reader, func() error, error) {
	if name == "-" {
		return s.stdin, func() error { return nil }, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, badInput(fmt.Errorf("read %s: %s", name, config.PlainCause(err)), "name a file that is there")
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, nil, errors.Join(badInput(fmt.Errorf("read %s: it is a folder", name), "name a file"), file.Close())
	}
	return file, file.Close, nil
}

// jsonAdoptions is what became of known users as JSON.
type jsonAdoptions struct {
	Plan    int64                  `json:"plan,omitempty"`
	Users   []jsonAdoption         `json:"users,omitempty"`
	LeftOut []jsonError            `json:"left_out,omitempty"` // lines that can't be read
	Faults  int                    `json:"faults,omitempty"`
	Counts  map[store.Adoption]int `json:"counts,omitempty"` // by outcome
	Saved   bool                   `json:"saved"`
}

// jsonAdoption is one of them.
type jsonAdoption struct {
	Line       int             `json:"line"`
	Person     store.PersonID  `json:"person_id,omitempty"`
	Account    store.AccountID `json:"account,omitempty"`
	ExternalID string          `json:"external_id,omitempty"`
	Role       store.Role      `json:"role,omitempty"`
	State      store.State     `json:"state,omitempty"`
	Note       string          `json:"note,omitempty"`
	Fault      string          `json:"fault,omitempty"`
}

func toJSONAdoptions(a admin.Adoption) jsonAdoptions {
	j := jsonAdoptions{Faults: a.Faults}
	for _, one := range a.Items {
		j.Users = append(j.Users, jsonAdoption{one.Known.Line, one.User.Person, one.User.Account, one.User.ExternalID,
			one.User.Role, one.User.State, one.Note, one.Fault})
	}
	for _, e := range a.Left {
		j.LeftOut = append(j.LeftOut, toJSONError(e, ""))
	}
	return j
}

func printAdoptions(s *invocation, counts map[store.Adoption]int) {
	for _, c := range admin.AdoptionCounts(counts) {
		s.printf("%d %s\n", c.Count, c.Text)
	}
}

type usersWorkCmd struct {
	Kind string `enum:",leaver,drift,data" default:"" help:"leaver, drift or data."`
	Done bool   `help:"What was ticked off."`
	asJSON
}

// Help is shown by users work --help.
func (usersWorkCmd) Help() string {
	return `leaver: the person's access has ended here, at once; their user still stands at Constant Contact and may have a password there: delete it by hand. drift: the mappings give another role than Constant Contact was given: change it by hand. data: the directory has another name or mail address than Constant Contact was given: change it by hand; the task goes away by itself when the directory has the old one again.

Example:

    ssobridge users work`
}

// Run lists the work.
func (c *usersWorkCmd) Run(s *invocation, p *server.App) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "SINCE\tKIND\tPERSON\tLOGIN\tNAME\tACCOUNT\tGIVEN\tNOW\tWHY\tDONE")
	}
	for f := (store.ManualTaskFilter{Kind: c.Kind, Done: c.Done, Limit: 1000}); ; {
		list, err := p.Users().Tasks(s.ctx, s.scope(), f)
		if err != nil {
			return err
		}
		for _, one := range list {
			if c.JSON {
				if err := s.line(toJSONWork(one)); err != nil {
					return err
				}
				continue
			}
			done := ""
			if !one.DoneAt.IsZero() {
				done = one.DoneAt.Format(time.DateOnly) + " by " + one.DoneBy
			}
			given, now, why := string(one.Current), cmp.Or(string(one.Role), "none"), one.Why
			if changes := admin.DataChanges(one); len(changes) > 0 {
				given, now, why = dataColumns(changes)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Since.Format(time.DateOnly), one.Kind, one.Person,
				one.Login, one.Name, one.Account, given, now, why, done)
		}
		if len(list) < f.Limit {
			return w.Flush()
		}
		f.After = list[len(list)-1]
	}
}

// dataColumns are the columns of a task about changed data: what Constant Contact was given, what the directory has,
// and which fields these are.
func dataColumns(changes []admin.DataChange) (given, now, why string) {
	var from, to, fields []string
	for _, c := range changes {
		from, to = append(from, plaintext.Line(c.From, 100)), append(to, plaintext.Line(c.To, 100))
		fields = append(fields, c.Words())
	}
	return strings.Join(from, ", "), strings.Join(to, ", "),
		"the directory has another " + strings.Join(fields, " and ")
}

type jsonWork struct {
	Kind    string          `json:"kind"`
	Person  store.PersonID  `json:"person_id"`
	Login   string          `json:"login"`
	Name    string          `json:"name"`
	Account store.AccountID `json:"account"`
	Current store.Role      `json:"told_role,omitempty"`
	Role    store.Role      `json:"role,omitempty"`
	Why     string          `json:"why"`
	Changes []jsonChange    `json:"changes,omitempty"` // of kind data
	Since   time.Time       `json:"since"`
	DoneAt  *time.Time      `json:"done_at,omitempty"`
	DoneBy  string          `json:"done_by,omitempty"`
}

type jsonChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

func toJSONWork(w store.ManualTask) jsonWork {
	j := jsonWork{w.Kind, w.Person, w.Login, w.Name, w.Account, w.Current, w.Role, w.Why, nil, w.Since, nil, w.DoneBy}
	for _, c := range admin.DataChanges(w) {
		j.Changes = append(j.Changes, jsonChange(c))
	}
	if !w.DoneAt.IsZero() {
		j.DoneAt = &w.DoneAt
	}
	return j
}
