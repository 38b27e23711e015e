package api

import (
	"net/http"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type person struct {
	ID     string `json:"id" doc:"Their immutable id in the directory, or the one that names their source."`
	Login  string `json:"login" doc:"Their login name; of people of a source with its name before it."`
	Name   string `json:"name" doc:"How they are called."`
	Mail   string `json:"mail,omitempty" doc:"Their mail address, as the directory or their source has it."`
	Source string `json:"source,omitempty" doc:"The source that they come from; left out for people of the directory."`
}

type peopleFound struct {
	Items []person `json:"items" doc:"Who was found in the directory and among those who came from other sources, at most 100."`
	More  bool     `json:"more" doc:"There are others: write more of the name."`
}

type personAccess struct {
	Person  person         `json:"person" doc:"The person."`
	Problem string         `json:"problem,omitempty" doc:"Why the directory, or the state of their source, does not let them sign in."`
	Source  *personSource  `json:"source,omitempty" doc:"The source that they come from; left out for people of the directory."`
	Access  []accessGiven  `json:"access" doc:"The client accounts that the mappings give them."`
	Former  []ssoUser      `json:"former" doc:"Users in client accounts that no mapping gives them any more."`
	Reasons []accessReason `json:"reasons" doc:"Every mapping, with whether and why it applies."`
}

type personSource struct {
	Name   string     `json:"name" doc:"Its name in the configuration."`
	Type   string     `json:"type,omitempty" doc:"signed_launch or oidc; left out where the configuration does not have it."`
	State  string     `json:"state" doc:"enabled, disabled or not_configured."`
	SeenAt *time.Time `json:"seen_at,omitempty" doc:"When the last token of the person came, to an hour; left out where none did."`
}

type accessGiven struct {
	Account store.AccountID `json:"account" doc:"The client account."`
	Role    store.Role      `json:"role" doc:"The role in it."`
	Mapping int64           `json:"mapping" doc:"The mapping that decides; 0: the source itself gives it."`
	State   store.State     `json:"user_state,omitempty" doc:"Of their user there; left out where there is none."`
}

type accessReason struct {
	Mapping int64  `json:"mapping" doc:"The mapping; 0: what the source itself gives."`
	Applies bool   `json:"applies" doc:"Whether it applies to the person."`
	Why     string `json:"why" doc:"Why it does, or does not."`
}

const maxFound = 100

func peopleOperations() []operation {
	const area = "People"
	return []operation{
		serves(operation{
			id: "findPeople", method: http.MethodGet, path: "/people", area: area, scope: admin.PeopleRead,
			summary: "Find people",
			doc: "Of whom each word begins the login name, a name or the mail address. The directory is asked, and those are " +
				"looked through who came from other sources: up to 100 hits, and no pages.",
		}, func(c *call, in struct {
			Search string `query:"search" required:"true" maxlen:"100" doc:"Words of names, login names or mail addresses."`
		}) (peopleFound, error) {
			found, more, err := c.api.o.People.Search(c.ctx, c.scope(), in.Search, maxFound)
			out := peopleFound{Items: []person{}, More: more}
			for _, p := range found {
				out.Items = append(out.Items, person{p.ID, p.Login, p.Name, p.Mail, p.Source})
			}
			return out, err
		}),
		serves(operation{
			id: "getPersonAccess", method: http.MethodGet, path: "/people/{who}/access", area: area, scope: admin.PeopleRead,
			summary: "Read what a person has access to, and why",
			doc: "The directory is asked, and the mappings are evaluated. Of people of other sources it is what their last " +
				"token gives. Nothing is changed.",
		}, func(c *call, in struct {
			Who string `path:"who" maxlen:"200" doc:"Login name, SOURCE:LOGIN for people of a source, or person id."`
		}) (personAccess, error) {
			entry, err := c.api.o.People.FindIn(c.ctx, c.scope(), in.Who)
			if err != nil {
				return personAccess{}, err
			}
			return accessOf(c, entry)
		}),
	}
}

func accessOf(c *call, entry directory.Entry) (personAccess, error) {
	rows, err := c.api.o.Users.OfPerson(c.ctx, c.scope(), store.PersonID(entry.ID))
	if err != nil {
		return personAccess{}, err
	}
	users := make([]store.SSOUser, 0, len(rows))
	for _, u := range rows {
		users = append(users, u.SSOUser)
	}
	x, err := c.api.o.People.Access(c.ctx, c.scope(), entry, users)
	if err != nil {
		return personAccess{}, err
	}
	out := personAccess{
		Person: person{entry.ID, entry.Login, strings.TrimSpace(entry.FirstName + " " + entry.LastName), entry.Mail,
			entry.Source},
		Problem: string(entry.Problem), Access: []accessGiven{}, Former: []ssoUser{}, Reasons: []accessReason{},
	}
	if s := c.api.o.People.SourceOf(entry); s != nil {
		out.Source = &personSource{s.Name, s.Type, s.State, optional(s.SeenAt)}
	}
	for _, g := range x.Given {
		out.Access = append(out.Access, accessGiven{g.Account, g.Role, g.Mapping.ID, g.User.State})
	}
	for _, u := range x.Former {
		out.Former = append(out.Former, userOf(admin.User{SSOUser: u, Name: admin.UserName(u)}))
	}
	for _, h := range x.Hits {
		out.Reasons = append(out.Reasons, accessReason{h.Mapping.ID, h.Hit, h.Why})
	}
	return out, nil
}
