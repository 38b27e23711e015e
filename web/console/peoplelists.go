package console

import (
	"net/url"

	"ssobridge/idp/directory"
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
		return own + "?" + url.Values{"find": {l.Find}, key: {page}}.Encode() + "#" + key
	}), r.text(label)}
}

// listPerson fills the lists of a person's page: what fits the search, and of that one page. Only of what is shown more
// is read.
func (k *Console) listPerson(r *request, v *personView) error {
	v.Find = web.SearchText(r.QueryParam("find"))
	fits := web.Finder(v.Find)
	users := make([]store.SSOUser, 0, len(v.Users))
	for _, u := range v.Users {
		users = append(users, u.SSOUser)
	}
	access := admin.Access{Former: users} // of somebody whom the directory does not show
	if !v.Gone() && v.Fault == nil {
		var err error
		if access, err = k.People.Access(r.ctx(), r.scope(), v.Entry, users); err != nil {
			return err
		}
	}
	v.Many = max(len(access.Given), len(users), len(access.Hits), len(v.Entry.Groups)) > personShown

	accounts := make([]admin.Given, 0, len(access.Given))
	for _, a := range access.Given {
		if fits(a.Name, string(a.Account)) {
			accounts = append(accounts, a)
		}
	}
	var former []store.SSOUser
	for _, u := range access.Former {
		if fits(string(u.Account), u.LoginName) {
			former = append(former, u)
		}
	}
	v.AccessPart = v.listed(r, v.Own, "access", "people.access", len(accounts))
	for _, a := range web.CutPart(accounts, v.AccessPart.ListPart) {
		policy, _, err := k.ClientAccounts.Factor(r.ctx(), r.scope(), a.Account)
		if err != nil {
			return err
		}
		v.Access = append(v.Access, personAccess{Given: a, Factor: policy})
	}
	v.FormerPart = v.listed(r, v.Own, "former", "people.former", len(former))
	v.Former = web.CutPart(former, v.FormerPart.ListPart)

	var mapped []mapping.Hit
	for _, h := range access.Hits {
		if v.Find == "" || fits(string(h.Account), h.Group.Name, h.Group.DN, mapping.Describe(h.Mapping)) {
			mapped = append(mapped, h)
		}
	}
	v.HitsPart = v.listed(r, v.Own, "hits", "people.mappings", len(mapped))
	for _, h := range web.CutPart(mapped, v.HitsPart.ListPart) {
		v.Hits = append(v.Hits, personHit{h, mapping.Describe(h.Mapping)})
	}

	var groups []directory.Group
	for _, g := range v.Entry.Groups {
		if fits(g.Name, g.DN) {
			groups = append(groups, g)
		}
	}
	v.GroupsPart = v.listed(r, v.Own, "groups", "people.groups", len(groups))
	v.Groups = web.CutPart(groups, v.GroupsPart.ListPart)
	return nil
}
