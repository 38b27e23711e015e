package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// population is the client accounts and all users, with what has to be unique among them in maps, so that 100,000 of
// them are quick. Users are only ever added.
type population struct {
	accounts   []Account
	accountIDs map[string]int // to its place
	users      []User
	logins     map[string]bool    // folded; across all of Constant Contact
	externals  map[[2]string]int  // external_provider and external_id, to the user's place
	mails      map[string]bool    // folded
	mailsIn    map[[2]string]bool // account, and the address folded
	later      []laterAccount     // accepted, not there yet
}

func newPopulation() population {
	return population{
		accountIDs: map[string]int{}, logins: map[string]bool{}, externals: map[[2]string]int{},
		mails: map[string]bool{}, mailsIn: map[[2]string]bool{},
	}
}

// fold makes texts equal that strings.EqualFold calls equal.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z': // the capital is the least also of k and s, which have a third form
			return r - ('a' - 'A')
		case r < 0x80:
			return r
		}
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}

// account finds a client account; nil when there is none. It is good until the next is added.
func (p *population) account(id string) *Account {
	if i, ok := p.accountIDs[id]; ok {
		return &p.accounts[i]
	}
	return nil
}

// addAccount adds an account that account doesn't find.
func (p *population) addAccount(a Account) {
	p.accountIDs[a.ID] = len(p.accounts)
	p.accounts = append(p.accounts, a)
}

// byExternalID finds the user whom the pair ties to a person, byte for byte.
func (p *population) byExternalID(provider, id string) (User, bool) {
	i, ok := p.externals[[2]string{provider, id}]
	if !ok || id == "" {
		return User{}, false
	}
	return p.users[i], true
}

// taken says what of u is in use already, "" for nothing.
func (p *population) taken(u User, rule EmailRule) string {
	if _, found := p.externals[[2]string{u.ExternalProvider, u.ExternalID}]; found && u.ExternalID != "" {
		return "external_id is in use already"
	}
	if u.LoginName != "" && p.logins[fold(u.LoginName)] {
		return "login_name is in use already"
	}
	for _, l := range p.later {
		switch {
		case strings.EqualFold(l.owner.LoginName, u.LoginName):
			return "login_name is in use already"
		case u.ExternalID != "" && u.ExternalID == l.owner.ExternalID && u.ExternalProvider == l.owner.ExternalProvider:
			return "external_id is in use already"
		}
	}
	mail := fold(u.ContactEmail)
	switch {
	case mail == "":
	case rule == EmailEverywhere && p.mails[mail], rule == EmailPerAccount && p.mailsIn[[2]string{u.Account, mail}]:
		return "contact_email is in use already"
	}
	return ""
}

// addUser adds a user of whom nothing is taken.
func (p *population) addUser(u User) {
	if u.ExternalID != "" {
		p.externals[[2]string{u.ExternalProvider, u.ExternalID}] = len(p.users)
	}
	if u.LoginName != "" {
		p.logins[fold(u.LoginName)] = true
	}
	if mail := fold(u.ContactEmail); mail != "" {
		p.mails[mail] = true
		p.mailsIn[[2]string{u.Account, mail}] = true
	}
	p.users = append(p.users, u)
}

// seed puts accounts and users in place. The first that is refused ends it; those before it stay. s.mu is held, or
// nobody else is there yet.
func (s *Sandbox) seed(accounts []Account, users []User) error {
	for _, a := range accounts {
		if a.ID == "" {
			return fmt.Errorf("account %q has no encoded_account_id", a.OrganizationName)
		}
		if s.people.account(a.ID) != nil {
			return fmt.Errorf("account %s is there twice", a.ID)
		}
		if err := a.complete(s.o.Now()); err != nil {
			return err
		}
		s.people.addAccount(a)
	}
	s.people.users = slices.Grow(s.people.users, len(users))
	for _, u := range users {
		if u.Account != "" && s.people.account(u.Account) == nil {
			return fmt.Errorf("user %q: there is no account %s", u.LoginName, u.Account)
		}
		if taken := s.people.taken(u, s.o.EmailRule); taken != "" {
			return fmt.Errorf("user %q: %s", u.LoginName, taken)
		}
		s.people.addUser(u)
	}
	return nil
}

// Users is a copy of all users: those of the seed, then the created ones in order.
func (s *Sandbox) Users() []User { return s.usersFrom(0, -1) }

// usersFrom is a copy of at most n users from a place on; all of them with a negative n.
func (s *Sandbox) usersFrom(start, n int) []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.people.users[min(start, len(s.people.users)):]
	if n >= 0 {
		list = list[:min(n, len(list))]
	}
	return append([]User{}, list...)
}

// Created is the users that were created by the API, in order.
func (s *Sandbox) Created() []User {
	return slices.DeleteFunc(s.Users(), func(u User) bool { return u.CreatedAt.IsZero() })
}

// AddUser adds a user as if by Constant Contact's own pages.
func (s *Sandbox) AddUser(u User) error { return s.Seed([]User{u}) }

// Seed adds many users likewise. The first that is refused ends it; those before it stay.
func (s *Sandbox) Seed(users []User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seed(nil, users)
}

// Accounts is a copy of all client accounts, other partners' among them.
func (s *Sandbox) Accounts() []Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ripen()
	return append([]Account{}, s.people.accounts...)
}
