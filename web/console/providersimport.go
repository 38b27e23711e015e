package console

import (
	"maps"
	"net/http"
	"strings"

	"ssobridge/internal/plaintext"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// importView is the page that takes metadata in: first it shows what was understood.
type importView struct {
	Form     form
	Replaces string // entity ID of what is registered already, where the page was opened for that; "": for another one
	Preview  *admin.Import
	Warnings []importWarning
}

// importWarning is what will fail of an import, and how it is fixed here.
type importWarning struct {
	Detail string
	Fix    fix
}

func (k *Console) showNewProvider(r *request, status int, f form, preview *admin.Import) error {
	view := importView{Form: f, Preview: preview, Replaces: f.Values["replaces"]}
	if preview != nil {
		for _, w := range preview.Warnings {
			fix, _ := r.fixOf(w.Act, w.About)
			view.Warnings = append(view.Warnings, importWarning{r.said(w.Detail), fix})
		}
	}
	title := r.text("providers.new")
	if view.Replaces != "" {
		title = r.text("providers.replace")
	}
	return r.show(status, "providers-new", title, view)
}

func (k *Console) newProvider(r *request) error {
	id := plaintext.Cut(r.QueryParam("id"), 1024)
	f, err := r.newForm(web.Fields{"cc_acs": admin.ConstantContactACS, "replaces": id, "entity_id": id,
		"setup": plaintext.Cut(r.QueryParam("setup"), 1)}, nil)
	if err != nil {
		return err
	}
	return k.showNewProvider(r, http.StatusOK, f, nil)
}

// importInputs are the names that the form of an import has for what it says.
var importInputs = map[string]string{"document": "pasted", "address": "address", "entity_id": "entity_id",
	"name": "name", "acs": "acs"}

// importProvider shows what the metadata says, and saves it when that was seen.
func (k *Console) importProvider(r *request) error {
	refused := func(err error) error {
		f, _, err := r.refusedForm(err, importInputs)
		if err != nil {
			return err
		}
		return k.showNewProvider(r, http.StatusUnprocessableEntity, f, nil) // the address is an input too
	}
	n := admin.NewProvider{
		Address: strings.TrimSpace(r.Form["address"]), EntityID: strings.TrimSpace(r.Form["entity_id"]),
		// the changes are shown before they are saved
		Name: strings.TrimSpace(r.Form["name"]), Groups: lines(r.Form["groups"]), Replace: true,
		ACS: strings.TrimSpace(r.Form["acs"]), ReleaseRequested: r.Form["release"] == "1",
		IgnoreEnd: r.Form["ignore_end"] == "1",
	}
	for _, line := range lines(r.Form["settings"]) {
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return refused(&admin.Error{Fault: r.text("providers.nosetting", "line", plaintext.Cut(line, 100)),
				Act: admin.ListSettings})
		}
		n.Settings = append(n.Settings, admin.Change{Key: strings.TrimSpace(key), Value: value})
	}
	if pasted := strings.TrimSpace(r.Form["pasted"]); pasted != "" {
		n.Document = strings.NewReader(pasted)
	}
	im, err := k.Providers.Import(r.ctx(), r.scope(), n)
	if err != nil {
		return refused(err)
	}
	if r.Form["seen"] == im.Seen {
		if err := k.Providers.Save(r.ctx(), r.scope(), im, r.event("", "")); err != nil {
			return refused(err)
		}
		return r.done(providerPath(im.Record.EntityID), "saved")
	}
	values := maps.Clone(r.Form)
	values["seen"] = im.Seen
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	return k.showNewProvider(r, http.StatusOK, f, &im)
}

// lines are the lines of a text that are not empty.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// constantContactInputs are the names that the form of Constant Contact has.
var constantContactInputs = map[string]string{"entity_id": "cc_entity_id", "acs[0].url": "cc_acs",
	"environment": "cc_environment"}

func (k *Console) addConstantContact(r *request) error {
	sp, err := k.Providers.AddConstantContact(r.ctx(), r.scope(), admin.ConstantContact{
		EntityID: strings.TrimSpace(r.Form["cc_entity_id"]), ACS: strings.TrimSpace(r.Form["cc_acs"]),
		Environment: strings.TrimSpace(r.Form["cc_environment"]),
	}, false, r.event("", ""))
	if err != nil {
		f, status, err := r.refusedForm(err, constantContactInputs)
		if err != nil {
			return err
		}
		return k.showNewProvider(r, status, f, nil)
	}
	return r.done(r.setUpOr(providerPath(sp.EntityID)), "saved")
}
