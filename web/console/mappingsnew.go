package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// newMappingView is the form of a new mapping, and what it would change once that was asked for.
type newMappingView struct {
	Form     form
	Accounts []store.Account
	Roles    []store.Role
	Kinds    []tab    // each a form of its own
	Kept     []string // the fields that the preview carries on
	Effects  *effectsView
	Find     string
	Groups   []directory.Group
	More     bool
	Fault    string
	SetUp    bool // it was reached from the set-up, and leads back
}

// maxPicked is how many client accounts the picker holds: the page stays small.
const maxPicked = 500

func (k *Console) mappingView(r *request, f form) (newMappingView, error) {
	v := newMappingView{Form: f, Roles: mappingRoles, Kept: mappingFields,
		SetUp: f.Values["setup"] == "1"}
	again := ""
	if v.SetUp {
		again = "&setup=1"
	}
	for _, kind := range mappingKinds {
		v.Kinds = append(v.Kinds, tab{r.text("mappings.kind." + kind), newMappingPath + "?kind=" + kind + again,
			f.Values["kind"] == kind})
	}
	var err error
	v.Accounts, _, err = k.ClientAccounts.List(r.ctx(), r.scope(), admin.ClientAccountFilter{Limit: maxPicked})
	return v, err
}

const newMappingPath = mappingsPath + "/new"

// mappingKinds are what a mapping can apply to, and mappingFields what its form can hold.
var (
	mappingKinds  = []string{"group", "group_pattern", "attribute_pattern", "person"}
	mappingFields = []string{"kind", "group", "group_pattern", "group_base", "attribute_pattern", "person", "account",
		"role", "priority", "create", "external_id", "unchecked", "seen", "setup"}
)

func (k *Console) newMapping(r *request) error {
	values := web.Fields{
		"group": plaintext.Cut(r.QueryParam("group"), 1024), "account": plaintext.Cut(r.QueryParam("account"), 100),
		"kind": "group", "setup": plaintext.Cut(r.QueryParam("setup"), 1),
		"create": mapping.CreateInAdvance,
	}
	if kind := r.QueryParam("kind"); slices.Contains(mappingKinds, kind) {
		values["kind"] = kind
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
	if r.Form["do"] == "edit" { // back from the preview, with everything as it was typed
		f, err := r.newForm(r.Form, nil)
		if err != nil {
			return err
		}
		v, err := k.mappingView(r, f)
		if err != nil {
			return err
		}
		return r.show(http.StatusOK, "mappings-new", r.text("mappings.new"), v)
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
		return r.done(r.setUpOr(mappingPath(added.ID)), "mapping.added")
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
