package provisioning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// importLimits hold a ledger of a million users.
var importLimits = tableLimits{bytes: 1 << 30, lines: 2_000_000}

// NotCreated counts the lines of an import that say of a user that surely was never created: there is nothing to
// restore, and who signs in is created.
const NotCreated store.Adoption = "not_created"

// ImportUsers restores an export into a ledger that does not know its users; rows that are there are left alone unless
// Adopt would change them. It needs no directory.
//
// Active and assumed users come back as that. Those whose creation was under way and may have arrived (sending,
// unknown) come back as assumed; those that were never sent, or surely refused, are left out, as NotCreated. Suspended
// users come back suspended, whatever they were before: an import must not give access back that was taken.
//
// It streams, and stores 500 at a time. Faults are joined *InputErrors with the line in Field, at most 100; lines with
// faults are left out and the others stored. It can be run again: what is there already is unchanged.
func (s *Service) ImportUsers(ctx context.Context, r io.Reader,
	actor string) (counts map[store.Adoption]int, err error) {
	run := &importRun{s: s, actor: actor, counts: map[store.Adoption]int{}}
	x, err := s.current(ctx)
	if err != nil {
		return run.counts, fmt.Errorf("import users: %w", err)
	}
	run.forms = x.Forms()
	if run.mappings, err = s.mappings.List(ctx); err != nil {
		return run.counts, fmt.Errorf("import users: list mappings: %w", err)
	}
	var faults lineFaults
	var stored error
	read := readTable(r, importLimits, slices.Concat(exportColumns, knownUserColumns), &faults,
		func(line int, row map[string]string) bool {
			u, left := run.user(line, row, &faults)
			switch {
			case left:
				run.counts[NotCreated]++
			case u.Person != "":
				stored = run.add(ctx, u)
			}
			return stored == nil
		})
	if stored == nil {
		stored = run.flush(ctx)
	}
	if err := errors.Join(append(faults, read, stored)...); err != nil {
		return run.counts, fmt.Errorf("import users: %w", err)
	}
	return run.counts, nil
}

// importRun is one import.
type importRun struct {
	s        *Service
	actor    string
	mappings []store.Mapping
	forms    *store.AccountForms
	counts   map[store.Adoption]int
	waiting  []store.SSOUser // not stored yet
}

// user reads a line. left says that it tells of nobody who could be there; without a person it had faults.
func (r *importRun) user(line int, row map[string]string, faults *lineFaults) (u store.SSOUser, left bool) {
	cell := importedCells{line: line, row: row, faults: faults, good: true}
	u = store.SSOUser{
		Person: store.PersonID(directory.CanonicalID(cell.id("person_id"))), Account: cell.account(r.forms),
		ExternalID:       row["external_id"],
		ExternalProvider: cmp.Or(cell.text("external_provider"), r.s.provider), LoginName: cell.text("login_name"),
		ContactEmail: row["contact_email"], FirstName: row["first_name"], LastName: row["last_name"],
		Role: store.Role(cell.word("role")), Mapping: cell.number("mapping"), MaybeSent: cell.flag("maybe_sent"),
		Attempts: int(cell.number("attempts")),
		State:    store.State(cmp.Or(cell.word("state"), string(store.Active))),
		Before:   store.State(cell.word("before_suspension")), CreatedAt: cell.time("created_at"),
	}
	cell.check(u)
	if !cell.good {
		return store.SSOUser{}, false
	}
	if !r.mapped(u) {
		u.Mapping = 0 // of another database: with its number here, removing that mapping could take this user along
	}
	switch u.State {
	case store.Active, store.Assumed, store.Suspended:
	case store.Sending, store.Unknown:
		u.State = store.Assumed
	default: // wanted, conflict, refused
		if !u.MaybeSent {
			return store.SSOUser{}, true
		}
		u.State = store.Assumed
	}
	u.MaybeSent = false
	return u, false
}

// mapped tells whether the mapping of a user is the one of that number here, as far as can be told.
func (r *importRun) mapped(u store.SSOUser) bool {
	return slices.ContainsFunc(r.mappings, func(m store.Mapping) bool {
		return m.ID == u.Mapping && (m.Account == "" || m.Account == u.Account) && (m.Kind != store.PersonMapping ||
			m.Person == u.Person) &&
			(u.Role != store.Owner || m.Role == store.Owner)
	})
}

func (r *importRun) add(ctx context.Context, u store.SSOUser) error {
	if u.State == store.Suspended {
		return r.addSuspended(ctx, u)
	}
	if r.waiting = append(r.waiting, u); len(r.waiting) < adoptAtOnce {
		return nil
	}
	return r.flush(ctx)
}

func (r *importRun) flush(ctx context.Context) error {
	err := r.s.adoptInto(ctx, r.waiting, r.s.adoptEvent(r.actor, "import"), r.counts)
	r.waiting = r.waiting[:0]
	return err
}

// addSuspended puts a user back and stops it at once. A row that is there already is left as an admin has it.
func (r *importRun) addSuspended(ctx context.Context, u store.SSOUser) error {
	u.State = u.Before
	if u.State != store.Active {
		u.State = store.Assumed
	}
	outcome := map[store.Adoption]int{}
	if err := r.s.adoptInto(ctx, []store.SSOUser{u}, r.s.adoptEvent(r.actor, "import"), outcome); err != nil {
		return err
	}
	for o := range outcome {
		r.counts[o]++
	}
	if outcome[store.Adopted]+outcome[store.Changed] == 0 {
		return nil
	}
	// Between the two the user is not suspended. That must not stay so because the import was interrupted here.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if err := r.s.SuspendUser(ctx, store.UserKey{Person: u.Person, Account: u.Account}, r.actor); err != nil {
		return fmt.Errorf("person %s in account %s was suspended in the file and is not now, suspend them by hand: %w",
			u.Person, u.Account, err)
	}
	return nil
}

// importedCells reads the cells of a line.
type importedCells struct {
	line   int
	row    map[string]string
	faults *lineFaults
	good   bool
}

func (c *importedCells) fault(field, fault, fix string) {
	c.faults.add(c.line, field, fault, fix)
	c.good = false
}

func (c *importedCells) text(field string) string {
	text := strings.TrimSpace(c.row[field])
	if strings.ContainsFunc(text, unicode.IsControl) {
		c.fault(field, "has a control character", "take the line as it was exported")
	}
	return text
}

// id is a cell that names something: only blanks around it do not count.
func (c *importedCells) id(field string) string {
	c.text(field) // finds control characters
	return store.TrimTyped(c.row[field])
}

// account is the recorded form of a client account, or what stands in the cell: check refuses what is no id, and the
// ledger of another database may name accounts that no list knows here.
func (c *importedCells) account(forms *store.AccountForms) store.AccountID {
	id, err := forms.Resolve(c.id("account"))
	switch {
	case errors.Is(err, store.ErrAmbiguousAccount):
		c.fault("account", err.Error(), "write the account's id letter by letter, in its own case")
	case errors.Is(err, store.ErrBadAccount):
		return store.AccountID(c.row["account"])
	}
	return id
}

func (c *importedCells) word(field string) string { return strings.ToLower(c.text(field)) }

func (c *importedCells) number(field string) int64 {
	text := c.text(field)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		c.fault(field, "is no whole number", "take the line as it was exported")
		return 0
	}
	return n
}

// flag reads a truth value; spreadsheets write them in capitals.
func (c *importedCells) flag(field string) bool {
	text := c.word(field)
	is, err := strconv.ParseBool(cmp.Or(text, "false"))
	if err != nil {
		c.fault(field, "is neither true nor false", "take the line as it was exported")
	}
	return is
}

func (c *importedCells) time(field string) time.Time {
	text := c.text(field)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		c.fault(field, "is no time", "take the line as it was exported")
	}
	return t
}

func (c *importedCells) check(u store.SSOUser) {
	if u.Person == "" {
		c.fault("person_id", "is empty",
			"take the line as it was exported; users without a person_id are adopted from a file of their own")
	}
	if _, err := store.ParseAccountID(string(u.Account)); err != nil {
		c.fault("account", err.Error(), "give the encoded_account_id, such as a07e1lxqqqo0")
	}
	if why := badExternalID(u.ExternalID); why != "" {
		c.fault("external_id", why, "take the line as it was exported")
	}
	if _, err := store.ParseRole(string(u.Role)); err != nil {
		c.fault("role", err.Error(), "give one of them")
	}
	if !slices.Contains(knownUserStates, u.State) {
		c.fault("state", fmt.Sprintf("%.40q is not known", u.State), "take the line as it was exported")
	}
}
