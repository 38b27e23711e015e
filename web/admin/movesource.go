package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Moves takes people of the directory to a source of people without second users at Constant Contact.
type Moves struct {
	Store     *store.DB
	Directory PersonReader
	IdP       *idp.IdP
}

// MoveItem is what would become of a line of a file of moves, or became of it.
type MoveItem struct {
	Known provisioning.KnownMove
	From  store.PersonID
	Name  string          // how the person is called, where that is known
	To    store.PersonID  // their id at the source
	Users []store.SSOUser // that go along
	Roles map[store.AccountID]store.Role
	Moved bool   // before, by the same line
	Fault string // why it can't be done; "": it can
}

// Who is how the file names the person.
func (m MoveItem) Who() string { return cmp.Or(m.Known.Person, m.Known.Login) }

// MovePlan is what would become of a file of moves.
type MovePlan struct {
	Source string
	Claim  string // of the source's tokens, which subjects are: sub, or what the setting oidc.identity names
	Items  []MoveItem
	Faults int      // items that can't be moved
	Left   []*Error // lines that can't be read
}

// Open counts the items that can be moved and were not.
func (p MovePlan) Open() (n int) {
	for _, m := range p.Items {
		if m.Fault == "" && !m.Moved {
			n++
		}
	}
	return n
}

// Read reads a file of moves (CSV with a header line: person_id or login, and subject) to a source, and looks up what
// would become of each. Nothing is stored.
func (a Moves) Read(ctx context.Context, s Scope, source string, file io.Reader) (MovePlan, error) {
	p := MovePlan{Source: store.TrimTyped(source)}
	if err := s.whole(); err != nil {
		return p, err
	}
	to, err := Sources{IdP: a.IdP}.find(p.Source)
	if err != nil {
		return p, err
	}
	if to.Subject != claims.Own {
		return p, &Error{Field: "source", Fault: "people of source " + to.Name + " are the directory's already, by its " +
			"subject " +
			string(to.Subject), Hint: "nothing has to be moved"}
	}
	p.Claim = to.SubjectClaim()
	if err := a.keepsNames(ctx); err != nil {
		return p, err
	}
	known, wrong, err := provisioning.ReadMoves(file)
	if err != nil {
		return p, refusal(fmt.Errorf("read the file of moves: %w", err))
	}
	for _, one := range wrong {
		p.Left = append(p.Left, fieldErrors(one)...)
	}
	forms, _, err := a.IdP.Recorded(ctx)
	if err != nil {
		return p, err
	}
	people := map[store.PersonID]int{}
	for _, k := range known {
		m, err := a.look(ctx, to, forms, k)
		if err != nil {
			return p, err
		}
		if line, twice := people[m.From]; twice && m.Fault == "" {
			m.Fault = fmt.Sprintf("line %d names the same person", line) // by login and by id
		}
		if m.From != "" {
			people[m.From] = k.Line
		}
		if m.Fault != "" {
			p.Faults++
		}
		p.Items = append(p.Items, m)
	}
	return p, nil
}

// keepsNames refuses a move where Constant Contact would know the moved people no more: by a NameID that is made of
// what changes with their id.
func (a Moves) keepsNames(ctx context.Context) error {
	all, err := a.Store.ServiceProviders().List(ctx)
	if err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	for _, sp := range all {
		if sp.Kind != store.ConstantContact {
			continue
		}
		for _, changes := range []string{"{person_id}", "{key}", "{login}", "{attr:"} {
			if strings.Contains(sp.NameID, changes) {
				return &Error{Field: "source", Fault: fmt.Sprintf("the NameID of %s is %s, which changes with the person's id",
					sp.EntityID, sp.NameID), Hint: "Constant Contact would not know moved people: make it of {external_id}"}
			}
		}
	}
	return nil
}

// look says what would become of one line. An error means that it could not be found out.
func (a Moves) look(ctx context.Context, to idp.Source, forms *store.AccountForms,
	k provisioning.KnownMove) (m MoveItem, err error) {
	m = MoveItem{Known: k, To: store.PersonID(to.PersonID(k.Subject)), Roles: map[store.AccountID]store.Role{}}
	from, err := findPerson(ctx, a.Store, a.Directory, Everything(), m.Who())
	if e, ok := AsError(err); ok {
		m.Fault = e.Fault
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if directory.SourceOf(string(from)) != "" {
		m.Fault = "is somebody who comes from a source already"
		return m, nil
	}
	m.From = from
	moved, err := a.Store.Ledger().MovedTo(ctx, from)
	if err != nil {
		return m, fmt.Errorf("look for person %s: %w", from, err)
	}
	lost := moved[from] == store.LostMove(m.To)
	switch {
	case moved[from] == m.To:
		m.Moved = true
		return m, nil
	case lost:
	case moved[from].Lost():
		m.Fault = "was moved to another subject or source before, by a move that the restored backup does not have"
		return m, nil
	case moved[from] != "":
		m.Fault = "was moved to another subject or source before: " + string(moved[from])
		return m, nil
	}
	if m.Users, err = a.Store.Ledger().Person(ctx, from); err != nil {
		return m, fmt.Errorf("list the users of person %s: %w", from, err)
	}
	there, err := a.Store.Ledger().Person(ctx, m.To)
	if err != nil {
		return m, fmt.Errorf("list the users of person %s: %w", m.To, err)
	}
	switch {
	case len(m.Users)+len(there) == 0 && lost:
		m.Fault = "was moved before, but the restored backup does not have their users: adopt those as users of person " +
			string(m.To) + ", and give the file again"
		return m, nil
	case len(m.Users) == 0 && !lost:
		m.Fault = "has no user at Constant Contact, so there is nothing to move"
		return m, nil
	}
	orders, err := a.Store.Ledger().Ordered(ctx, from)
	if err != nil {
		return m, fmt.Errorf("look for orders of person %s: %w", from, err)
	}
	if len(orders) > 0 {
		m.Fault = isOrdering
	}
	for _, u := range slices.Concat(m.Users, there)[:1] {
		m.Name = strings.TrimSpace(u.FirstName + " " + u.LastName)
	}
	canonical := func(id string) string { return string(forms.Stored(store.AccountID(id))) }
	for _, u := range m.Users {
		m.Roles[u.Account] = u.Role
		if m.Fault == "" && !to.Allows(string(u.Account), string(u.Role), canonical) {
			m.Fault = fmt.Sprintf("source %s may not give %s in client account %s, which the person has there: they would get "+
				"another role, or lose it", to.Name, u.Role, u.Account)
		}
	}
	if m.Fault == "" {
		m.Fault, err = a.taken(ctx, to, m, there, lost)
	}
	return m, err
}

const isOrdering = "is to own a client account that is being ordered: let the order come to its end"

// taken says why the new id is somebody's already, or looks like somebody's. again: it is the person's own, of a move
// that a restored backup has lost, and may have come, and been given users of other client accounts, since.
func (a Moves) taken(ctx context.Context, to idp.Source, m MoveItem, there []store.SSOUser, again bool) (string,
	error) {
	one, err := a.Store.SourcePeople().Get(ctx, m.To)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("look for person %s: %w", m.To, err)
	}
	theirs := func(u store.SSOUser) bool { return again && m.Roles[u.Account] == "" }
	if !again && len(one.Claims) > 0 || slices.ContainsFunc(there, func(u store.SSOUser) bool { return !theirs(u) }) {
		return fmt.Sprintf("the subject is known already, as person %s of source %s", m.To, to.Name), nil
	}
	alike, err := a.Store.SourcePeople().ByLogin(ctx, to.Name, to.Name+":"+m.Known.Subject)
	if err != nil {
		return "", fmt.Errorf("look for people like %s: %w", plaintext.Quote(m.Known.Subject), err)
	}
	for _, other := range alike {
		if other.Person != m.To {
			return fmt.Sprintf("the subject looks like that of person %s of source %s, who is known", other.Person, to.Name), nil
		}
	}
	return "", nil
}

// Apply moves the people of a plan that have no fault and were not moved before, each in one transaction: killed in
// between, it goes on where it was. What stands against one now is put as their Fault. It returns how many were moved.
func (a Moves) Apply(ctx context.Context, s Scope, p MovePlan, e store.Event) (done MovePlan, n int, err error) {
	done = p
	if err := s.whole(); err != nil {
		return done, 0, err
	}
	if err := allUpgraded(ctx, a.Store, "would create second users for those who are moved"); err != nil {
		return done, 0, err
	}
	done.Items = slices.Clone(p.Items)
	for i := range done.Items {
		m := &done.Items[i]
		if m.Fault != "" || m.Moved {
			continue
		}
		did, err := a.move(ctx, done.Source, m, e)
		if err != nil {
			return done, n, err
		}
		if m.Fault != "" {
			done.Faults++
		}
		if did {
			n++
		}
	}
	return done, n, nil
}

func (a Moves) move(ctx context.Context, source string, m *MoveItem, e store.Event) (did bool, err error) {
	owner, err := a.IdP.NameOwner(ctx, m.To)
	if err != nil {
		return false, fmt.Errorf("move person %s: %w", m.From, err)
	}
	e.Action, e.Outcome = "move-to-source", "ok"
	out, in := e, e
	users := len(m.Users)
	out.Subject, in.Subject = string(m.From), string(m.To)
	out.Detail = store.DetailOf(map[string]any{"source": source, "to": m.To, "users": users})
	in.Detail = store.DetailOf(map[string]any{"source": source, "from": m.From, "users": users})
	did, err = a.Store.Ledger().MoveToSource(ctx, store.SourceMove{From: m.From, Owner: owner, Users: m.Roles,
		To: store.SourcePerson{Person: m.To, Source: source, Login: source + ":" + m.Known.Subject}}, out, in)
	switch {
	case errors.Is(err, store.ErrBusy):
		m.Fault = "a user of theirs is being created at this moment: try again in a minute"
	case errors.Is(err, store.ErrOrdered):
		m.Fault = isOrdering
	case errors.Is(err, store.ErrStale), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		m.Fault = "something of them has changed since it was looked up: look again"
	case err != nil:
		return false, fmt.Errorf("move person %s to source %s: %w", m.From, source, err)
	default:
		m.Moved = true
	}
	return did, nil
}
