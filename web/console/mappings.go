package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const mappingsPath = "/admin/mappings"

func (k *Console) mappingsRoutes() []route {
	return []route{
		get(mappingsPath, idp.Viewer, k.mappings),
		get(mappingsPath+"/new", idp.Admin, k.newMapping),
		post(mappingsPath+"/new", idp.Admin, k.addMapping).fresh(),
		get(mappingsPath+"/groups", idp.Viewer, k.findGroups),
		get(mappingsPath+"/group", idp.Viewer, k.groupMembers),
		get(namedPath, idp.Viewer, k.namedGroups),
		post(namedPath, idp.Admin, k.acceptNamed).fresh(),
		post(namedPath+"/look", idp.Operator, k.lookNamed),
		get(mappingsPath+"/of/:id", idp.Viewer, k.mapping),
		post(mappingsPath+"/of/:id", idp.Admin, k.editMapping).fresh(),
		get(mappingsPath+"/history", idp.Viewer, k.mappingHistory),
		get(mappingsPath+"/export.yaml", idp.Viewer, k.exportMappings),
		get(mappingsPath+"/import", idp.Admin, k.importPage),
		post(mappingsPath+"/import", idp.Admin, k.importMappings).fresh(),
	}
}

type mappingRow struct {
	store.Mapping
	Who  string
	Risk string // who else can decide by it
	Stop string // of a pattern without a group base: when it stops
}

func rowOf(m store.Mapping) mappingRow {
	return mappingRow{Mapping: m, Who: mapping.Describe(m), Risk: mapping.Risk(m)}
}

// nameBaseless says of the patterns among the rows that have no group base when they stop. Shown to an administrator,
// who can give them one, they count as named.
func (k *Console) nameBaseless(r *request, rows []mappingRow) error {
	list := make([]store.Mapping, 0, len(rows))
	for _, row := range rows {
		list = append(list, row.Mapping)
	}
	var ends map[int64]mapping.Stop
	var err error
	if r.may(idp.Admin) {
		ends, err = k.Provisioning.NamePatterns(r.ctx(), list, store.NoticeInConsole, r.actor())
	} else {
		ends, err = k.Provisioning.PatternStops(r.ctx(), list)
	}
	for i := range rows {
		if stop, ok := ends[rows[i].ID]; ok {
			rows[i].Stop = mapping.StopText(stop)
		}
	}
	return err
}

func (k *Console) mappings(r *request) error {
	all, err := k.Mappings.List(r.ctx(), admin.Everything())
	if err != nil {
		return err
	}
	view := struct {
		Find        string
		Mappings    []mappingRow
		First, Next string
		Total       int
		Admin       bool
	}{Find: web.Cut(r.QueryParam("find"), 200), Total: len(all), Admin: r.may(idp.Admin)}
	after, _ := strconv.Atoi(r.QueryParam("after")) // none: the first page
	seen := 0
	for _, m := range all {
		row := rowOf(m)
		if !strings.Contains(strings.ToLower(row.Who+" "+string(m.Account)), strings.ToLower(view.Find)) {
			continue
		}
		if seen++; seen <= after {
			continue
		}
		if len(view.Mappings) == pageSize {
			view.Next = mappingsPath + "?" + url.Values{"find": {view.Find}, "after": {strconv.Itoa(after + pageSize)}}.Encode()
			break
		}
		view.Mappings = append(view.Mappings, row)
	}
	if err := k.nameBaseless(r, view.Mappings); err != nil {
		return err
	}
	if after > 0 {
		view.First = mappingsPath + "?" + url.Values{"find": {view.Find}}.Encode()
	}
	return r.show(http.StatusOK, "mappings", r.text("area.mappings"), view)
}

// effectsView is what a change would mean, for whom.
type effectsView struct {
	provisioning.Effects
	List  []provisioning.Effect
	More  int
	Share int // of what plans may still call today, in percent
	Add   []mappingRow
	Drop  []mappingRow
}

const shownEffects = 100

func (k *Console) effects(r *request, change mapping.Change) (*effectsView, error) {
	v := &effectsView{}
	for _, m := range change.Add {
		v.Add = append(v.Add, rowOf(m))
	}
	for _, m := range change.Remove {
		v.Drop = append(v.Drop, rowOf(m))
	}
	var err error
	v.Effects, err = k.Mappings.Effects(r.ctx(), admin.Everything(), change, func(e provisioning.Effect) error {
		if len(v.List) < shownEffects {
			v.List = append(v.List, e)
		} else {
			v.More++
		}
		return nil
	})
	v.Share = int(100 * v.Forecast.TodayShare)
	return v, err
}

// newMappingView is the form of a new mapping, and what it would change once that was asked for.
type newMappingView struct {
	Form     form
	Accounts []store.Account
	Roles    []store.Role
	Effects  *effectsView
	Find     string
	Groups   []directory.Group
	More     bool
	Fault    string
}

// mappingRoles are the roles that a mapping gives; "" is captured by the pattern.
var mappingRoles = []store.Role{store.AccountManager, store.CampaignCreator, store.Owner}

// maxPicked is how many client accounts the picker holds: the page stays small.
const maxPicked = 500

func (k *Console) mappingView(r *request, f form) (newMappingView, error) {
	v := newMappingView{Form: f, Roles: mappingRoles}
	accounts, err := k.Store.Accounts().List(r.ctx())
	if err != nil {
		return v, fmt.Errorf("list client accounts: %w", err)
	}
	v.Accounts = accounts[:min(len(accounts), maxPicked)]
	return v, nil
}

func (k *Console) newMapping(r *request) error {
	values := web.Fields{
		"group": web.Cut(r.QueryParam("group"), 1024), "account": web.Cut(r.QueryParam("account"), 100), "kind": "group",
		"create": mapping.CreateInAdvance,
	}
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	v, err := k.mappingView(r, f)
	if err != nil {
		return err
	}
	if err := k.lookUpGroups(r, &v); err != nil {
		return err
	}
	return r.show(http.StatusOK, "mappings-new", r.text("mappings.new"), v)
}

// lookUpGroups searches the directory for what stands in the query's find.
func (k *Console) lookUpGroups(r *request, v *newMappingView) error {
	if v.Find = web.Cut(r.QueryParam("find"), 400); v.Find == "" {
		return nil
	}
	var err error
	v.Groups, v.More, err = k.Directory.SearchGroups(r.ctx(), v.Find, 20)
	switch text := admin.DirectoryFault(err); {
	case errors.Is(err, directory.ErrLookup):
		v.Fault = r.text("people.short")
	case text != "":
		v.Fault = text
		r.Log(err)
	case err != nil:
		return fmt.Errorf("search groups: %w", err)
	}
	return nil
}

func (k *Console) findGroups(r *request) error {
	var v newMappingView
	if err := k.lookUpGroups(r, &v); err != nil {
		return err
	}
	return r.show(http.StatusOK, "mappings-groups", r.text("mappings.groups"), v)
}

// groupMembers shows who is directly in a group, with the groups in it to go on with.
func (k *Console) groupMembers(r *request) error {
	dn := web.Cut(r.QueryParam("dn"), 1024)
	g, err := k.Directory.Group(r.ctx(), dn)
	view := struct {
		Group   directory.Group
		Members []directory.Member
		Total   int
		Admin   bool
	}{Group: g, Admin: r.may(idp.Admin)}
	if err == nil {
		view.Members, view.Total, err = k.Directory.Members(r.ctx(), dn, 200)
	}
	if err != nil {
		if admin.DirectoryFault(err) != "" {
			r.Log(err)
			return r.Missing("group")
		}
		return fmt.Errorf("read the group %s: %w", dn, err)
	}
	return r.show(http.StatusOK, "mappings-group", g.Name, view)
}

// mappingInput is what the form asks for.
func (k *Console) mappingInput(r *request) (admin.MappingInput, error) {
	in := admin.MappingInput{ExternalID: strings.TrimSpace(r.Form["external_id"]), Unlisted: r.Form["unchecked"] == "1"}
	in.Account, in.Role, in.Create = strings.TrimSpace(r.Form["account"]), r.Form["role"], r.Form["create"]
	switch r.Form["kind"] {
	case "group":
		in.Group = strings.TrimSpace(r.Form["group"])
	case "group_pattern":
		in.GroupPattern = strings.TrimSpace(r.Form["group_pattern"])
		in.GroupBase = strings.TrimSpace(r.Form["group_base"])
	case "attribute_pattern":
		in.AttributePattern = strings.TrimSpace(r.Form["attribute_pattern"])
	case "person":
		in.Person = strings.TrimSpace(r.Form["person"])
	}
	if in.Group == "" && in.GroupPattern == "" && in.AttributePattern == "" && in.Person == "" {
		return in, &admin.Error{Field: "group", Fault: r.text("mappings.nobody")}
	}
	if text := strings.TrimSpace(r.Form["priority"]); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return in, &admin.Error{Field: "priority", Fault: r.text("mappings.badpriority")}
		}
		in.Priority = n
	}
	return in, nil
}

// addMapping shows first what a new mapping would change for whom, and stores it when
// that was seen.
func (k *Console) addMapping(r *request) error {
	refuse := func(err error) error {
		f, status, err := r.refusedFields(err, r.Form, "group", "group_pattern", "group_base", "attribute_pattern",
			"person", "pattern",
			"account", "role", "priority", "create", "external_id")
		if err != nil {
			return err
		}
		v, err := k.mappingView(r, f)
		if err != nil {
			return err
		}
		return r.show(status, "mappings-new", r.text("mappings.new"), v)
	}
	in, err := k.mappingInput(r)
	if err != nil {
		return refuse(err)
	}
	draft, err := k.Mappings.Draft(r.ctx(), admin.Everything(), in, r.actor())
	if err != nil {
		return refuse(err)
	}
	if r.Form["seen"] == draft.Seen {
		added, err := k.Mappings.AddDraft(r.ctx(), admin.Everything(), draft)
		if err != nil {
			return refuse(err)
		}
		return r.done(mappingPath(added.ID), "mapping.added")
	}
	effects, err := k.effects(r, draft.Change)
	if err != nil {
		return refuse(err)
	}
	values := web.Fields{}
	for name, value := range r.Form {
		values[name] = value
	}
	values["seen"] = draft.Seen
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	v, err := k.mappingView(r, f)
	if err != nil {
		return err
	}
	v.Effects = effects
	return r.show(http.StatusOK, "mappings-new", r.text("mappings.new"), v)
}

func mappingPath(id int64) string { return mappingsPath + "/of/" + strconv.FormatInt(id, 10) }

// versionRow is one entry of a history.
type versionRow struct {
	store.MappingVersion
	Who string
}

type mappingView struct {
	Form    form
	Own     string
	Mapping mappingRow
	Gone    bool
	History []versionRow
	Roles   []store.Role
	Effects *effectsView
	Admin   bool
	// Changed: the DN of the mapping's group belongs to another group now.
	Changed *directory.GroupChange
}

func (k *Console) mapping(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showMapping(r, http.StatusOK, f, nil)
}

func (k *Console) showMapping(r *request, status int, f form, effects *effectsView) error {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil || id < 1 {
		return r.Missing("mapping")
	}
	v := mappingView{Form: f, Own: mappingPath(id), Roles: mappingRoles[:2], Effects: effects, Admin: r.may(idp.Admin)}
	history, err := k.Mappings.History(r.ctx(), admin.Everything(), id, 0, pageSize)
	if err != nil {
		return err
	}
	for _, h := range history {
		v.History = append(v.History, versionRow{h, mapping.Describe(h.State)})
	}
	m, err := k.Mappings.Get(r.ctx(), admin.Everything(), id)
	switch {
	case errors.Is(err, store.ErrNotFound) && len(history) == 0:
		return r.Missing("mapping")
	case errors.Is(err, store.ErrNotFound):
		v.Gone = true
		m = history[0].State
	case err != nil:
		return err
	}
	v.Mapping = rowOf(m)
	if !v.Gone {
		rows := []mappingRow{v.Mapping}
		if err := k.nameBaseless(r, rows); err != nil {
			return err
		}
		v.Mapping = rows[0]
	}
	if v.Form.Values == nil {
		v.Form.Values = web.Fields{"account": string(m.Account), "role": string(m.Role), "priority": strconv.Itoa(m.Priority),
			"create": mapping.Creates(m)}
		if m.Kind == store.GroupPattern {
			v.Form.Values["group_base"] = m.GroupDN
		}
	}
	if !v.Gone {
		v.Changed = k.changedGroup(r, m)
	}
	return r.show(status, "mappings-one", r.text("mappings.one", "id", id), v)
}

// draftEdit is the change that the form of one mapping asks for.
func (k *Console) draftEdit(r *request, id int64) (admin.MappingEdit, error) {
	all := admin.Everything()
	switch r.Form["do"] {
	case "off", "on":
		return k.Mappings.Switch(r.ctx(), all, id, r.Form["do"] == "off")
	case "exchange":
		other, err := strconv.ParseInt(strings.TrimSpace(r.Form["other"]), 10, 64)
		if err != nil {
			return admin.MappingEdit{}, &admin.Error{Field: "other", Fault: r.text("mappings.badother")}
		}
		return k.Mappings.Exchange(r.ctx(), all, id, other)
	case "remove":
		return k.Mappings.Remove(r.ctx(), all, id)
	case "return":
		version, err := strconv.ParseInt(r.Form["version"], 10, 64)
		if err != nil {
			return admin.MappingEdit{}, store.ErrNotFound
		}
		edit, err := k.Mappings.Return(r.ctx(), all, version)
		if err == nil && edit.ID != id {
			err = store.ErrNotFound // an entry of another mapping, whose page this is not
		}
		return edit, err
	}
	account, role, base := strings.TrimSpace(r.Form["account"]), r.Form["role"], strings.TrimSpace(r.Form["group_base"])
	change := admin.MappingChanges{Account: &account, Role: &role, Unlisted: r.Form["unchecked"] == "1"}
	if _, typed := r.Form["group_base"]; typed {
		change.GroupBase = &base
	}
	if create := r.Form["create"]; create == mapping.CreateInAdvance || create == mapping.CreateAtSignIn {
		change.Create = &create // a form that an older page holds says nothing, and changes nothing
	}
	priority, err := strconv.Atoi(strings.TrimSpace(r.Form["priority"]))
	if err != nil || priority < 1 {
		return admin.MappingEdit{}, &admin.Error{Field: "priority", Fault: r.text("mappings.badpriority")}
	}
	change.Priority = &priority
	return k.Mappings.Set(r.ctx(), all, id, change)
}

// editMapping shows first what a change would mean for whom, and stores it when that
// was seen.
func (k *Console) editMapping(r *request) error {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return r.Missing("mapping")
	}
	refuse := func(err error) error {
		if errors.Is(err, store.ErrNotFound) {
			return r.Missing("mapping")
		}
		f, status, err := r.refusedFields(err, r.Form, "group_base", "account", "role", "priority", "create", "other")
		if err != nil {
			return err
		}
		return k.showMapping(r, status, f, nil)
	}
	if r.Form["do"] == "accept-group" {
		if err := k.acceptMapped(r, id); err != nil {
			return refuse(err)
		}
		return r.done(mappingPath(id), "group.accepted")
	}
	edit, err := k.draftEdit(r, id)
	if err != nil {
		return refuse(err)
	}
	if r.Form["seen"] == edit.Seen {
		if err := k.Mappings.Save(r.ctx(), admin.Everything(), edit, r.actor()); err != nil {
			return refuse(err)
		}
		return r.done(mappingPath(id), "mapping.saved")
	}
	effects, err := k.effects(r, edit.Change)
	if err != nil {
		return refuse(err)
	}
	values := web.Fields{}
	for name, value := range r.Form {
		values[name] = value
	}
	values["seen"] = edit.Seen
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	return k.showMapping(r, http.StatusOK, f, effects)
}

// mappingHistory is the history of all mappings, those that are gone among them.
func (k *Console) mappingHistory(r *request) error {
	before, _ := strconv.ParseInt(r.QueryParam("after"), 10, 64) // none: the first page
	history, err := k.Mappings.History(r.ctx(), admin.Everything(), 0, max(before, 0), pageSize)
	if err != nil {
		return err
	}
	var rows []versionRow
	for _, h := range history {
		rows = append(rows, versionRow{h, mapping.Describe(h.State)})
	}
	first, next := "", ""
	if before > 0 {
		first = mappingsPath + "/history"
	}
	if len(rows) == pageSize {
		next = mappingsPath + "/history?after=" + strconv.FormatInt(rows[pageSize-1].ID, 10)
	}
	return r.show(http.StatusOK, "mappings-history", r.text("mappings.history"), struct {
		History     []versionRow
		First, Next string
	}{rows, first, next})
}

func (k *Console) exportMappings(r *request) error {
	var b bytes.Buffer
	if err := k.Mappings.Export(r.ctx(), admin.Everything(), &b); err != nil {
		return fmt.Errorf("export mappings: %w", err)
	}
	return r.File("mappings.yaml", "application/yaml", b.Bytes())
}

type importMappingsView struct {
	Form    form
	Effects *effectsView
	Same    bool
}

func (k *Console) importPage(r *request) error {
	var b bytes.Buffer
	if err := k.Mappings.Export(r.ctx(), admin.Everything(), &b); err != nil {
		f, status, err := r.refusedFields(err, nil)
		if err != nil {
			return err
		}
		return r.show(status, "mappings-import", r.text("mappings.import"), importMappingsView{Form: f})
	}
	f, err := r.newForm(web.Fields{"file": b.String()}, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "mappings-import", r.text("mappings.import"), importMappingsView{Form: f})
}

// importMappings takes a whole set: what it would change is shown first.
func (k *Console) importMappings(r *request) error {
	show := func(values web.Fields, effects *effectsView, same bool) error {
		f, err := r.newForm(values, nil)
		if err != nil {
			return err
		}
		return r.show(http.StatusOK, "mappings-import", r.text("mappings.import"), importMappingsView{f, effects, same})
	}
	refuse := func(err error) error {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return r.show(status, "mappings-import", r.text("mappings.import"), importMappingsView{Form: f})
	}
	set, err := k.Mappings.ReadFile(r.ctx(), admin.Everything(), []byte(r.Form["file"]), false, r.actor())
	if err != nil {
		return refuse(err)
	}
	if set.Empty() {
		return show(r.Form, nil, true)
	}
	if r.Form["seen"] != set.Seen {
		effects, err := k.effects(r, set.Change)
		if err != nil {
			return refuse(err)
		}
		return show(web.Fields{"file": r.Form["file"], "seen": set.Seen}, effects, false)
	}
	if err := k.Mappings.Apply(r.ctx(), admin.Everything(), set, r.actor()); err != nil {
		return refuse(err)
	}
	return r.done(mappingsPath, "mapping.imported")
}
