package console

import (
	"errors"
	"fmt"
	"net/http"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/web"
	"ssobridge/web/admin"
)

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
