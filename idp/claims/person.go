package claims

import (
	"fmt"
	"net/mail"
)

// Person is what a token says of somebody. With a source whose subject is the directory's nothing of it is used but
// the sub.
type Person struct {
	ID                  string // see Source.PersonID; "" where the directory has the id
	Login               string // for lists; it names the source, so that it is nobody's of the directory
	FirstName, LastName string
	Mail                string
	Groups              []string
	Grants              []Grant // as the token spells them: Source.Allows says which of them count
}

// Grant is a client account and a role that a token gives.
type Grant struct{ Account, Role string }

// person reads what the source's tokens say, by the source's own list of claims. What is not named there is not looked
// at, whatever it says.
func (s *Source) person(t *token, sub string) (p Person, bad *Fault) {
	if s.Subject != Own {
		return Person{}, nil
	}
	p.ID = s.PersonID(sub)
	login := sub
	for _, f := range []struct {
		claim string
		to    *string
	}{{s.Claims.FirstName, &p.FirstName}, {s.Claims.LastName, &p.LastName}, {s.Claims.Mail, &p.Mail},
		{s.Claims.Login, &login}} {
		if f.claim == "" {
			continue
		}
		if v, there, ok := t.text(f.claim, maxText); ok {
			*f.to = v
		} else if there {
			return p, fault(ReasonPerson, "the token's %s is not a text of 1 to %d bytes", f.claim, maxText)
		}
	}
	if p.Mail != "" {
		if a, err := mail.ParseAddress(p.Mail); err != nil || a.Address != p.Mail || a.Name != "" {
			return p, fault(ReasonPerson, "the token's %s is no mail address", s.Claims.Mail)
		}
	}
	p.Login = s.Name + ":" + login
	if p.Groups, bad = s.groups(t); bad != nil {
		return p, bad
	}
	p.Grants, bad = s.grants(t)
	return p, bad
}

func (s *Source) groups(t *token) (all []string, bad *Fault) {
	v, there := t.claims[s.Claims.Groups]
	if s.Claims.Groups == "" || !there {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxGroupsOf {
		return nil, fault(ReasonPerson, "the token's %s is not a list of at most %d texts", s.Claims.Groups, maxGroupsOf)
	}
	for _, one := range list {
		g, ok := one.(string)
		if !ok || !plain(g, maxText) {
			return nil, fault(ReasonPerson, "the token's %s has something else in it than texts of 1 to %d bytes",
				s.Claims.Groups, maxText)
		}
		all = append(all, g)
	}
	return all, nil
}

// grants reads accounts: objects of exactly account and role. Anything else in one is a misunderstanding that gives
// nobody anything.
func (s *Source) grants(t *token) (all []Grant, bad *Fault) {
	v, there := t.claims[s.Claims.Accounts]
	if s.Claims.Accounts == "" || !there {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxGrantsOf {
		return nil, fault(ReasonPerson, "the token's %s is not a list of at most %d objects", s.Claims.Accounts, maxGrantsOf)
	}
	for _, one := range list {
		o, _ := one.(map[string]any)
		account, isText := o["account"].(string)
		role, alsoText := o["role"].(string)
		if len(o) != 2 || !isText || !alsoText || !plain(account, maxText) || !plain(role, maxText) {
			return nil, fault(ReasonPerson, "the token's %s has something else in it than objects of account and role",
				s.Claims.Accounts)
		}
		all = append(all, Grant{account, role})
	}
	return all, nil
}

func (p *Person) summary() string {
	if p.ID == "" {
		return "the directory decides"
	}
	return fmt.Sprintf("%s, %d groups, %d accounts", p.ID, len(p.Groups), len(p.Grants))
}
