package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

func mappingPath(id int64) string { return mappingsPath + "/of/" + strconv.FormatInt(id, 10) }

// versionRow is one entry of a history.
type versionRow struct {
	store.MappingVersion
	Who    string
	ByName string // of who did it; "" for a command, and for somebody whose name is not known
}

// versionRows say who did what, by name.
func (k *Console) versionRows(r *request, history []store.MappingVersion) ([]versionRow, error) {
	rows, actors := make([]versionRow, 0, len(history)), make([]store.PersonID, 0, len(history))
	for _, h := range history {
		actors = append(actors, store.PersonID(h.By))
	}
	names, err := k.People.Names(r.ctx(), r.scope(), actors)
	if err != nil {
		return nil, err
	}
	for _, h := range history {
		rows = append(rows, versionRow{h, mapping.Describe(h.State), names[store.PersonID(h.By)]})
	}
	return rows, nil
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
	if v.History, err = k.versionRows(r, history); err != nil {
		return err
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
	rows := []mappingRow{rowOf(m)}
	if err := k.namePeople(r, rows); err != nil {
		return err
	}
	if err := k.nameAccounts(r, rows); err != nil {
		return err
	}
	if !v.Gone {
		if err := k.nameBaseless(r, rows); err != nil {
			return err
		}
	}
	v.Mapping = rows[0]
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
	if effects == nil {
		if err := k.offerMappingUndo(r, id); err != nil {
			return err
		}
	}
	return r.show(status, "mappings-one", r.text("mappings.one", "id", id), v)
}

// draftEdit is the change that the form of one mapping asks for.
func (k *Console) draftEdit(r *request, id int64) (admin.MappingEdit, error) {
	all := admin.Everything()
	switch r.Form["do"] {
	case "off", "on":
		return k.Mappings.Switch(r.ctx(), all, id, r.Form["do"] == "off")
	case "exchange", "place":
		other, err := strconv.ParseInt(strings.TrimSpace(r.Form["other"]), 10, 64)
		if err != nil {
			return admin.MappingEdit{}, &admin.Error{Field: "other", Fault: r.text("mappings.badother")}
		}
		if r.Form["do"] == "place" {
			return k.Mappings.Place(r.ctx(), all, id, other)
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
		if r.Form["back"] == "list" {
			return r.done(mappingsPath+"?moved="+strconv.FormatInt(id, 10), "mapping.saved")
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
	rows, err := k.versionRows(r, history)
	if err != nil {
		return err
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
