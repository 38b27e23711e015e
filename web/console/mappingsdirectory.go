package console

import (
	"net/http"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

// lookUpGroups searches the directory for what stands in the query's find.
func (k *Console) lookUpGroups(r *request, v *newMappingView) (err error) {
	if v.Find = plaintext.Cut(r.QueryParam("find"), 400); v.Find == "" {
		return nil
	}
	v.Groups, v.More, err = k.Mappings.SearchGroups(r.ctx(), r.scope(), v.Find, 20)
	if e, ok := admin.AsError(err); ok {
		v.Fault = sentence(r.said(e.Line()))
		r.Log(err)
		return nil
	}
	return err
}

func (k *Console) findGroups(r *request) error {
	v := newMappingView{SetUp: r.QueryParam("setup") == "1"}
	if err := k.lookUpGroups(r, &v); err != nil {
		return err
	}
	return r.show(http.StatusOK, "mappings-groups", r.text("mappings.groups"), v)
}

// groupMembers shows who is directly in a group, with the groups in it to go on with.
func (k *Console) groupMembers(r *request) error {
	g, err := k.Mappings.Members(r.ctx(), r.scope(), plaintext.Cut(r.QueryParam("dn"), 1024), 200)
	if _, ok := admin.AsError(err); ok {
		r.Log(err)
		return r.Missing("group")
	}
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "mappings-group", g.Group.Name, struct {
		admin.GroupMembers
		Admin bool
	}{g, r.may(idp.Admin)})
}
