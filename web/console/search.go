package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const searchPath = "/admin/search"

func (k *Console) searchRoutes() []route {
	return []route{get(searchPath, idp.Viewer, k.search)}
}

// found is one thing that a search finds.
type found struct{ Icon, Text, About, Path string }

// foundGroup are those of one kind.
type foundGroup struct {
	Name string // text key
	Hits []found
	More link // to all of them
}

// searchEach is how many of one kind are shown.
const searchEach = 6

// searchFrom is the shortest text that people, groups and client accounts are looked for by.
const searchFrom = 3

// search finds people, client accounts, groups, references and pages. It is a page of its own, and what the search box
// shows as somebody types where script runs.
func (k *Console) search(r *request) error {
	view := struct {
		Find   string
		Short  bool
		Groups []foundGroup
		Fault  string
	}{Find: strings.TrimSpace(plaintext.Cut(r.QueryParam("q"), 200))}
	r.find = view.Find
	if view.Find != "" {
		var err error
		if view.Groups, view.Fault, err = k.searchAll(r, view.Find); err != nil {
			return err
		}
		view.Short = utf8.RuneCountInString(view.Find) < searchFrom
	}
	return r.show(http.StatusOK, "search", r.text("area.search"), view)
}

func (k *Console) searchAll(r *request, find string) (all []foundGroup, fault string, err error) {
	add := func(g foundGroup) {
		if len(g.Hits) > 0 {
			all = append(all, g)
		}
	}
	references, err := k.searchReferences(r, find)
	if err != nil {
		return nil, "", err
	}
	add(references)
	if utf8.RuneCountInString(find) >= searchFrom {
		people, wrong, err := k.searchPeople(r, find)
		if err != nil {
			return nil, "", err
		}
		fault = wrong
		add(people)
		accounts, _, err := k.ClientAccounts.List(r.ctx(), r.scope(), admin.ClientAccountFilter{Find: find,
			Limit: searchEach + 1})
		if err != nil {
			return nil, "", err
		}
		g := foundGroup{Name: "area.accounts"}
		if len(accounts) > searchEach {
			accounts = accounts[:searchEach]
			g.More = link{r.text("search.all"), accountsPath + "?" + url.Values{"find": {find}}.Encode()}
		}
		for _, a := range accounts {
			name := a.Name
			if name == "" {
				name = string(a.ID)
			}
			g.Hits = append(g.Hits, found{"building-2", name, string(a.ID),
				accountsPath + "/of/" + url.PathEscape(string(a.ID))})
		}
		add(g)
		groups, wrong, err := k.searchGroups(r, find)
		if err != nil {
			return nil, "", err
		}
		if fault == "" {
			fault = wrong
		}
		add(groups)
	}
	add(k.searchPages(r, find))
	return all, fault, nil
}

// referencePattern is a reference as it may stand in what somebody pastes: in groups, or in any letter case.
var referencePattern = regexp.MustCompile(`(?i)\b[0-9A-Z]{4}[ -]?[0-9A-Z]{4}[ -]?[0-9A-Z]{2,6}\b`)

// referencesTried bounds how many of them are looked up.
const referencesTried = 3

// searchReferences finds sign-ins by a reference, whatever stands around it.
func (k *Console) searchReferences(r *request, find string) (g foundGroup, err error) {
	g.Name = "search.references"
	for _, word := range referencePattern.FindAllString(find, referencesTried) {
		ref := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(word))
		list, _, err := k.Traces.Find(r.ctx(), r.scope(), ref)
		if _, none := admin.AsError(err); none {
			continue
		}
		if err != nil {
			return g, err
		}
		hit := found{Icon: "log-in", Text: ref, Path: tracePath + "/of/" + url.PathEscape(ref)}
		if len(list) > 0 {
			last := list[len(list)-1]
			hit.About = strings.TrimSpace(last.Name + " " + relative(k.texts, last.At, k.now()))
		}
		g.Hits = append(g.Hits, hit)
	}
	return g, nil
}

func (k *Console) searchPeople(r *request, find string) (g foundGroup, fault string, err error) {
	g.Name = "area.people"
	people, more, err := k.People.Search(r.ctx(), r.scope(), find, searchEach)
	if e, ok := admin.AsError(err); ok {
		r.Log(err)
		return g, sentence(r.said(e.Line())), nil
	}
	if err != nil {
		return g, "", err
	}
	if more {
		g.More = link{r.text("search.all"), peoplePath + "?" + url.Values{"find": {find}}.Encode()}
	}
	for _, p := range people {
		name := p.Name
		if name == "" {
			name = p.Login
		}
		g.Hits = append(g.Hits, found{"user", name, p.Login, personPath(store.PersonID(p.ID))})
	}
	return g, "", nil
}

// searchGroups finds groups of the directory; each leads to the mappings of it.
func (k *Console) searchGroups(r *request, find string) (g foundGroup, fault string, err error) {
	g.Name = "search.groups"
	groups, _, err := k.Mappings.SearchGroups(r.ctx(), r.scope(), find, searchEach)
	if e, ok := admin.AsError(err); ok {
		r.Log(err)
		return g, sentence(r.said(e.Line())), nil
	}
	if err != nil {
		return g, "", err
	}
	for _, one := range groups {
		g.Hits = append(g.Hits, found{"users", one.Name, one.DN, mappingsPath + "/new?" +
			url.Values{"group": {one.DN}}.Encode()})
	}
	return g, "", nil
}

// consoleActs are what the search box offers to do, beside the areas: the text search.act.NAME, and where it is done.
var consoleActs = []struct {
	name, icon, path string
	role             idp.ConsoleRole
}{
	{"mapping", "plus", mappingsPath + "/new", idp.Admin},
	{"provider", "plus", providersPath + "/new", idp.Admin},
	{"account", "plus", accountsPath + "/new", idp.Admin},
	{"lockouts", "lock", lockoutsPath, idp.Viewer},
	{"refusals", "ban", tracePath + "/refusals", idp.Viewer},
	{"tasks", "list-checks", provisioningPath + "/work", idp.Viewer},
	{"users", "users", provisioningPath + "/users", idp.Viewer},
	{"rollover", "refresh-cw", keysPath, idp.Admin},
	{"handover", "download", providersPath + "/handover", idp.Viewer},
}

// searchPages finds areas and acts by their names.
func (k *Console) searchPages(r *request, find string) foundGroup {
	g := foundGroup{Name: "search.pages"}
	find = strings.ToLower(find)
	for _, a := range areas() {
		if name := r.text("area." + a.name); a.group != hiddenArea && strings.Contains(strings.ToLower(name), find) {
			g.Hits = append(g.Hits, found{a.icon, name, "", a.routes(k)[0].Path})
		}
	}
	for _, a := range consoleActs {
		if name := r.text("search.act." + a.name); r.may(a.role) && strings.Contains(strings.ToLower(name), find) {
			g.Hits = append(g.Hits, found{a.icon, name, "", a.path})
		}
	}
	return g
}
