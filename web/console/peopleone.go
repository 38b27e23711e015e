package console

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

func personPath(id store.PersonID) string { return peoplePath + "/of/" + url.PathEscape(string(id)) }

// personView is all that is known of somebody.
type personView struct {
	personLists
	admin.Person

	Form         form
	Own          string
	Name         string
	Tab          string // of personTabs
	Tabs         []tab
	Verdict      callout
	Lifts        bool   // the verdict is a lockout that the reader can lift
	Unread       string // why the directory did not say; "": it did
	Hits         []personHit
	Access       []personAccess
	Former       []store.SSOUser // users without an assignment
	Groups       []directory.Group
	Sessions     []store.Session
	History      []admin.Event // what the audit log has about them, the newest first
	Providers    []admin.Provider
	Admin, Helps bool
}

type personHit struct {
	mapping.Hit
	Who string
}

// personAccess is one client account that the mappings give, with its user.
type personAccess struct {
	admin.Given
	Factor  mfa.Policy // what the account asks for beside the password
	Refused string     // why a sign-in there is refused all the same; "": it is not
}

// The tabs of a person's page; the first has no name in the address.
const (
	accountsTab = ""
	groupsTab   = "groups"
	securityTab = "security"
	historyTab  = "history"
	moreTab     = "more"
)

var personTabs = []string{accountsTab, groupsTab, securityTab, historyTab, moreTab}

// historyShown is how many events about a person their page shows; the audit log has all of them.
const historyShown = 20

// formTabs says in which tab the form of each path stands, so that a refused one is shown there again.
var formTabs = map[string]string{"end": securityTab, "factors": securityTab, "capture": moreTab, "adopt": moreTab,
	"forget": moreTab}

// personTab is the page of a person with one of its tabs.
func personTab(id store.PersonID, tab string) string {
	if tab == accountsTab {
		return personPath(id)
	}
	return personPath(id) + "?tab=" + tab
}

// tabOf is the tab that a request is about.
func (r *request) tabOf() string {
	if tab, ok := formTabs[path.Base(r.Request().URL.Path)]; ok {
		return tab
	}
	if tab := r.QueryParam("tab"); slices.Contains(personTabs, tab) {
		return tab
	}
	return accountsTab
}

func (k *Console) person(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showPerson(r, http.StatusOK, f)
}

func (k *Console) showPerson(r *request, status int, f form) error {
	id := r.personOf()
	p, err := k.People.Get(r.ctx(), r.scope(), id)
	if _, ok := admin.AsError(err); ok {
		r.Log(err)
		return r.Missing("person")
	}
	if err != nil {
		return err
	}
	v := personView{Form: f, Own: personPath(id), Person: p, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	if p.Fault != nil {
		v.Unread = r.said(p.Fault.Line())
		r.Log(p.Fault)
	}
	v.Name = cmp.Or(strings.TrimSpace(v.Entry.FirstName+" "+v.Entry.LastName), v.Entry.Login)
	if v.Name == "" && len(v.Users) > 0 {
		v.Name = v.Users[0].Name
	}
	v.Name = cmp.Or(v.Name, string(id))
	v.Tab = r.tabOf()
	for _, name := range personTabs {
		if name == groupsTab && v.Entry.Login == "" {
			continue
		}
		v.Tabs = append(v.Tabs, tab{r.text("people.tab." + cmp.Or(name, "accounts")), personTab(id, name), name == v.Tab})
	}
	if v.Providers, err = k.Providers.List(r.ctx(), r.scope()); err != nil {
		return err
	}
	if err := k.listPerson(r, &v); err != nil {
		return err
	}
	if v.Tab == historyTab {
		about := store.Filter{Subject: string(id), Limit: historyShown}
		if v.History, err = k.Audit.List(r.ctx(), r.scope(), about); err != nil {
			return err
		}
	}
	if v.Tab == securityTab {
		if v.Sessions, err = k.Sessions.List(r.ctx(), r.scope(), id); err != nil {
			return err
		}
	}
	return r.show(status, "people-one", v.Name, v)
}
