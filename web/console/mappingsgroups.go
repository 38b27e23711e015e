package console

import (
	"errors"
	"net/http"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const namedPath = mappingsPath + "/named"

// mappedRow is a mapping whose group's DN belongs to another group now.
type mappedRow struct {
	mappingRow
	Now directory.Group
}

// namedGroups lists the groups that give access to the console and to service providers, as console groups list does.
func (k *Console) namedGroups(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showNamed(r, http.StatusOK, f)
}

func (k *Console) showNamed(r *request, status int, f form) error {
	groups, err := k.NamedGroups.List(r.ctx(), r.scope(), false)
	if err != nil {
		return err
	}
	view := struct {
		Form         form
		Groups       []admin.NamedGroup
		Mapped       []mappedRow
		Compared     bool // the groups of mappings were asked for
		Fault        string
		Admin, Helps bool
	}{Form: f, Groups: groups, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator),
		Compared: r.QueryParam("mappings") == "1"}
	if view.Compared {
		if view.Mapped, view.Fault, err = k.replacedMappings(r); err != nil {
			return err
		}
	}
	return r.show(status, "mappings-named", r.text("named.title"), view)
}

// replacedMappings asks the directory for the groups of all mappings. fault: it does not answer.
func (k *Console) replacedMappings(r *request) (rows []mappedRow, fault string, err error) {
	all, err := k.Mappings.List(r.ctx(), admin.Everything())
	if err != nil {
		return nil, "", err
	}
	replaced, err := k.Mappings.Replaced(r.ctx(), all)
	if e, ok := admin.AsError(err); ok {
		r.Log(err)
		return nil, r.said(e.Text()), nil
	}
	if err != nil {
		return nil, "", err
	}
	for _, m := range all {
		if g, ok := replaced[m.ID]; ok {
			rows = append(rows, mappedRow{rowOf(m), g})
		}
	}
	return rows, "", nil
}

// lookNamed asks the directory for each group now, instead of within the next minutes.
func (k *Console) lookNamed(r *request) error {
	groups, err := k.NamedGroups.List(r.ctx(), r.scope(), true)
	if err != nil {
		return err
	}
	for _, u := range groups {
		if u.Fault != "" && u.Resolved && u.Known.GoneAt.IsZero() {
			f, err := r.newForm(nil, map[string]string{"": u.Written + ": " + r.said(u.Fault)})
			if err != nil {
				return err
			}
			return k.showNamed(r, http.StatusOK, f)
		}
	}
	return r.done(namedPath, "group.looked")
}

// acceptNamed lets another group take the place of the one that had its DN, as console groups accept does. The form
// names the group that was shown, and the directory is asked again: what was looked at is what is accepted.
func (k *Console) acceptNamed(r *request) error {
	err := k.NamedGroups.Accept(r.ctx(), r.scope(), plaintext.Cut(r.Form["group"], 1024), plaintext.Cut(r.Form["id"], 300),
		r.event("", ""))
	if errors.Is(err, store.ErrNotFound) {
		return r.Missing("group")
	}
	if err != nil {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showNamed(r, status, f)
	}
	return r.done(namedPath, "group.accepted")
}

// changedGroup is set where the DN of a mapping's group belongs to another group now. With the directory down the page
// shows what is stored: check says that it is down.
func (k *Console) changedGroup(r *request, m store.Mapping) *directory.GroupChange {
	replaced, err := k.Mappings.Replaced(r.ctx(), []store.Mapping{m})
	if err != nil {
		r.Log(err)
	}
	if _, other := replaced[m.ID]; !other {
		return nil
	}
	_, change, err := k.Mappings.OtherGroup(r.ctx(), r.scope(), m.ID)
	if err != nil {
		r.Log(err) // it has changed again meanwhile
		return nil
	}
	return &change
}

// acceptMapped is acceptNamed for the group of a mapping, as mapping accept-group does.
func (k *Console) acceptMapped(r *request, id int64) error {
	group := directory.CanonicalID(strings.TrimSpace(plaintext.Cut(r.Form["group"], 300)))
	return k.Mappings.AcceptGroup(r.ctx(), admin.Everything(), id, group, r.actor())
}
