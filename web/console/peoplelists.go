package console

import (
	"net/url"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// personShown is how many lines of each list a person's page shows: somebody may have thousands of client accounts and
// groups.
const personShown = 25

// personList is a list on a person's page, of which one page is shown.
type personList struct {
	web.ListPart
	Label string // the list's heading, for links that say which list they turn
}

// personLists are the lists of a person's page, and what is searched for in all of them.
type personLists struct {
	Find string
	Many bool // one of the lists has more than a page

	AccessPart, FormerPart, HitsPart, GroupsPart personList
}

// listed chooses the page of a list. key names its number in the query, and its place on the page.
func (l *personLists) listed(r *request, own, key, label string, total int) personList {
	return personList{web.PartOf(total, personShown, r.QueryParam(key), l.Find, func(page string) string {
		q := url.Values{"find": {l.Find}, key: {page}}
		if tab := r.tabOf(); tab != accountsTab {
			q.Set("tab", tab)
		}
		return own + "?" + q.Encode() + "#" + key
	}), r.text(label)}
}

// listPerson fills the lists of a person's page: what fits the search, and of that one page. Only of what is shown more
// is read.
func (k *Console) listPerson(r *request, v *personView) error {
	v.Find = web.SearchText(r.QueryParam("find"))
	users := make([]store.SSOUser, 0, len(v.Users))
	for _, u := range v.Users {
		users = append(users, u.SSOUser)
	}
	if err := k.offerUserUndo(r, v, users); err != nil {
		return err
	}
	access := admin.Access{Former: users} // of somebody whom the directory does not show
	if !v.Gone() && v.Fault == nil {
		var err error
		if access, err = k.People.Access(r.ctx(), r.scope(), v.Entry, users); err != nil {
			return err
		}
	}
	v.Many = max(len(access.Given), len(users), len(access.Hits), len(v.Entry.Groups)) > personShown

	// The verdict is about the person, whatever part of their client accounts the page shows.
	first := access.Given[:min(len(access.Given), personShown)]
	refused, err := k.People.Refusals(r.ctx(), r.scope(), v.Entry, first)
	if err != nil {
		return err
	}
	k.judge(r, v, access, first, refused)
	switch v.Tab {
	case accountsTab, moreTab: // of which the second offers the client accounts for a preview
		return k.listAccounts(r, v, access, refused)
	case groupsTab:
		k.listGroups(r, v, access)
	}
	return nil
}

// listAccounts fills the lists of the tab of client accounts. refused are those of the first page that refuse.
func (k *Console) listAccounts(r *request, v *personView, access admin.Access,
	refused map[store.AccountID]provisioning.Decision) error {
	fits := web.Finder(v.Find)
	accounts := matching(access.Given, v.Find, func(a *admin.Given) bool { return fits(a.Name, string(a.Account)) })
	former := matching(access.Former, v.Find, func(u *store.SSOUser) bool { return fits(string(u.Account), u.LoginName) })
	v.AccessPart = v.listed(r, v.Own, "access", "people.access", len(accounts))
	shown := web.CutPart(accounts, v.AccessPart.ListPart)
	if v.Find != "" || v.AccessPart.Prev != "" { // others than those of the verdict
		var err error
		if refused, err = k.People.Refusals(r.ctx(), r.scope(), v.Entry, shown); err != nil {
			return err
		}
	}
	for _, a := range shown {
		policy, _, err := k.ClientAccounts.Factor(r.ctx(), r.scope(), a.Account)
		if err != nil {
			return err
		}
		one := personAccess{Given: a, Factor: policy}
		if d, ok := refused[a.Account]; ok {
			one.Refused = r.said(idp.TextOf(string(d.Reason)).Cause)
		}
		v.Access = append(v.Access, one)
	}
	v.FormerPart = v.listed(r, v.Own, "former", "people.former", len(former))
	v.Former = web.CutPart(former, v.FormerPart.ListPart)
	return nil
}

// listGroups fills the lists of the tab of groups and mappings.
func (k *Console) listGroups(r *request, v *personView, access admin.Access) {
	fits := web.Finder(v.Find)
	mapped := matching(access.Hits, v.Find, func(h *mapping.Hit) bool {
		return fits(string(h.Account), h.Group.Name, h.Group.DN, mapping.Describe(h.Mapping))
	})
	v.HitsPart = v.listed(r, v.Own, "hits", "people.mappings", len(mapped))
	for _, h := range web.CutPart(mapped, v.HitsPart.ListPart) {
		who := mapping.Describe(h.Mapping)
		if h.Mapping.ID == 0 {
			who = r.text("people.source.itself", "source", v.Entry.Source)
		}
		v.Hits = append(v.Hits, personHit{h, who})
	}
	groups := matching(v.Entry.Groups, v.Find, func(g *directory.Group) bool { return fits(g.Name, g.DN) })
	v.GroupsPart = v.listed(r, v.Own, "groups", "people.groups", len(groups))
	v.Groups = web.CutPart(groups, v.GroupsPart.ListPart)
}

// matching are the entries of a list that fit what is searched for; without a search the list itself, of which nothing
// is copied.
func matching[T any](all []T, find string, fits func(*T) bool) []T {
	if find == "" {
		return all
	}
	var places []int
	for i := range all {
		if fits(&all[i]) {
			places = append(places, i)
		}
	}
	some := make([]T, 0, len(places))
	for _, i := range places {
		some = append(some, all[i])
	}
	return some
}
