package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const providersPath = "/admin/providers"

func (k *console) providersRoutes() []consoleRoute {
	return []consoleRoute{
		{method: http.MethodGet, path: providersPath, role: idp.Viewer, handle: k.providers},
		{method: http.MethodGet, path: providersPath + "/one", role: idp.Viewer, handle: k.providerPage},
		{method: http.MethodGet, path: providersPath + "/new", role: idp.Admin, handle: k.newProvider},
		{method: http.MethodPost, path: providersPath + "/new", role: idp.Admin, fresh: true, handle: k.importProvider},
		{method: http.MethodPost, path: providersPath + "/constant-contact", role: idp.Admin, fresh: true,
			handle: k.addConstantContact},
		{method: http.MethodPost, path: providersPath + "/set", role: idp.Admin, fresh: true, handle: k.setProvider},
		{method: http.MethodPost, path: providersPath + "/refresh", role: idp.Operator, handle: k.refreshProvider},
		{method: http.MethodPost, path: providersPath + "/approve", role: idp.Admin, fresh: true, handle: k.approveProvider},
		{method: http.MethodPost, path: providersPath + "/remove", role: idp.Admin, fresh: true, handle: k.removeProvider},
		{method: http.MethodPost, path: providersPath + "/name-id", role: idp.Admin, fresh: true, handle: k.releaseNameID},
		{method: http.MethodGet, path: providersPath + "/metadata", role: idp.Viewer, handle: k.ourMetadata},
		{method: http.MethodGet, path: providersPath + "/metadata.xml", role: idp.Viewer, handle: k.metadataDownload},
		{method: http.MethodGet, path: providersPath + "/handover", role: idp.Viewer, handle: k.handover},
	}
}

func (k *console) providers(r *consoleRequest) error { return k.showProviders(r, http.StatusOK, nil) }

// showProviders lists them. missing says that the one that somebody looked for is not there.
func (k *console) showProviders(r *consoleRequest, status int, missing *admin.Error) error {
	list, err := k.Providers.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		Missing, Meant string
		Providers      []admin.Provider
		Admin          bool
	}{Providers: list, Admin: r.may(idp.Admin)}
	if missing != nil {
		view.Missing = cut(r.QueryParam("id"), 1024)
		if missing.Act == admin.MeantProvider {
			view.Meant = missing.About
		}
	}
	return r.show(status, "providers", r.text("area.providers"), view)
}

func providerPath(entityID string) string {
	return providersPath + "/one?" + url.Values{"id": {entityID}}.Encode()
}

// providerOf is the service provider of that entityID, for a form that changes it.
func (k *console) providerOf(r *consoleRequest, entityID string) (admin.Provider, error) {
	sp, err := k.Providers.Get(r.ctx(), r.scope(), cut(entityID, 1024))
	if e, ok := admin.AsError(err); ok && e.Kind == admin.Missing {
		return sp, r.missing("service provider")
	}
	return sp, err
}

func (k *console) providerPage(r *consoleRequest) error {
	sp, err := k.Providers.Get(r.ctx(), r.scope(), cut(r.QueryParam("id"), 1024))
	if e, ok := admin.AsError(err); ok && e.Kind == admin.Missing {
		return k.showProviders(r, http.StatusNotFound, e)
	}
	if err != nil {
		return err
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showProvider(r, http.StatusOK, sp, f)
}

type providerSetting struct {
	idp.Setting
	Now []string
}

func (k *console) showProvider(r *consoleRequest, status int, sp admin.Provider, f form) error {
	view := struct {
		Form         form
		SP           store.ServiceProvider
		State        string
		Settings     []providerSetting
		Certificates []string
		Waiting      []metadata.Difference
		WaitingFault string
		Seen         string              // names what waits
		Held         *admin.IssuedNameID // to whom the NameID that was asked for was issued; nil: none was asked for
		Launch       string
		Risks        []string
		Admin, Helps bool
	}{Form: f, Held: f.held, SP: sp.ServiceProvider, Risks: k.Providers.Risks(sp.ServiceProvider), State: sp.State,
		Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	for _, key := range idp.Settings() {
		view.Settings = append(view.Settings, providerSetting{key, key.Show(sp.ServiceProvider)})
	}
	for _, der := range sp.Certificates {
		view.Certificates = append(view.Certificates, metadata.CertificateLine(der))
	}
	if sp.Source != nil && len(sp.Source.Pending) > 0 {
		review, err := k.Providers.Review(r.ctx(), r.scope(), sp.EntityID)
		view.Waiting, view.Seen = review.Changes, review.Seen
		if e, ok := admin.AsError(err); ok {
			view.WaitingFault = e.Line()
		} else if err != nil {
			return err
		}
	}
	view.Launch = k.public.JoinPath("launch").String()
	if sp.Kind != store.ConstantContact {
		view.Launch = k.public.JoinPath("launch", "sp").String() + "?" + url.Values{"entity_id": {sp.EntityID}}.Encode()
	}
	return r.show(status, "providers-one", cmp.Or(sp.Name, sp.EntityID), view)
}

// importView is the page that takes metadata in: first it shows what was understood.
type importView struct {
	Form       form
	Preview    *admin.Import
	DefaultACS string
}

func (k *console) showNewProvider(r *consoleRequest, status int, f form, preview *admin.Import) error {
	return r.show(status, "providers-new", r.text("providers.new"), importView{f, preview, admin.ConstantContactACS})
}

func (k *console) newProvider(r *consoleRequest) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showNewProvider(r, http.StatusOK, f, nil)
}

// importInputs are the names that the form of an import has for what it says.
var importInputs = map[string]string{"document": "pasted", "address": "address", "entity_id": "entity_id",
	"name": "name"}

// importProvider shows what the metadata says, and saves it when that was seen.
func (k *console) importProvider(r *consoleRequest) error {
	refused := func(err error) error {
		f, _, err := r.refusedForm(err, importInputs)
		if err != nil {
			return err
		}
		return k.showNewProvider(r, http.StatusUnprocessableEntity, f, nil) // the address is an input too
	}
	n := admin.NewProvider{
		Address: strings.TrimSpace(r.form["address"]), EntityID: strings.TrimSpace(r.form["entity_id"]),
		// the changes are shown before they are saved
		Name: strings.TrimSpace(r.form["name"]), Groups: lines(r.form["groups"]), Replace: true,
	}
	if pasted := strings.TrimSpace(r.form["pasted"]); pasted != "" {
		n.Document = strings.NewReader(pasted)
	}
	im, err := k.Providers.Import(r.ctx(), r.scope(), n)
	if err != nil {
		return refused(err)
	}
	if r.form["seen"] == im.Seen {
		if err := k.Providers.Save(r.ctx(), r.scope(), im, r.event("", "")); err != nil {
			return refused(err)
		}
		return r.done(providerPath(im.Record.EntityID), "saved")
	}
	values := maps.Clone(r.form)
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

func (k *console) addConstantContact(r *consoleRequest) error {
	sp, err := k.Providers.AddConstantContact(r.ctx(), r.scope(), admin.ConstantContact{
		EntityID: strings.TrimSpace(r.form["cc_entity_id"]), ACS: strings.TrimSpace(r.form["cc_acs"]),
		Environment: strings.TrimSpace(r.form["cc_environment"]),
	}, false, r.event("", ""))
	if err != nil {
		f, status, err := r.refusedForm(err, constantContactInputs)
		if err != nil {
			return err
		}
		return k.showNewProvider(r, status, f, nil)
	}
	return r.done(providerPath(sp.EntityID), "saved")
}

// providerStep shows a service provider after a change, or why that was refused. inputs are the form's names of fields.
func (k *console) providerStep(r *consoleRequest, sp admin.Provider, word string, err error,
	inputs map[string]string) error {
	if err == nil {
		return r.done(providerPath(sp.EntityID), word)
	}
	f, status, err := r.refusedForm(err, inputs)
	if err != nil {
		return err
	}
	return k.showProvider(r, status, sp, f)
}

// setProvider changes one setting.
func (k *console) setProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	change := admin.Change{Key: r.form["key"], Value: r.form["value"]}
	switch r.form["how"] {
	case "add":
		change.Key += "+"
	case "remove":
		change.Key += "-"
	}
	_, err = k.Providers.Set(r.ctx(), r.scope(), sp.EntityID, []admin.Change{change}, r.event("", ""))
	return k.providerStep(r, sp, "saved", err, map[string]string{r.form["key"]: "value"})
}

func (k *console) refreshProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	_, err = k.Providers.Refresh(r.ctx(), r.scope(), sp.EntityID, r.actor())
	return k.providerStep(r, sp, "read", err, nil)
}

// approveProvider takes what waits, if it still is what was shown.
func (k *console) approveProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	return k.providerStep(r, sp, "approved", k.Providers.Approve(r.ctx(), r.scope(), sp.EntityID, r.form["seen"],
		r.event("", "")), nil)
}

// releaseNameID shows first who had a NameID and when last, and releases it when that was seen.
func (k *console) releaseNameID(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	inputs := map[string]string{"name_id": "name_id"}
	issued, err := k.Providers.FindNameID(r.ctx(), r.scope(), sp.EntityID, r.form["name_id"])
	if err != nil {
		return k.providerStep(r, sp, "", err, inputs)
	}
	if r.form["seen"] != issued.Seen { // not looked at, or another person's by now
		f, err := r.newForm(fields{"name_id": r.form["name_id"]}, nil)
		if err != nil {
			return err
		}
		f.held = &issued
		return k.showProvider(r, http.StatusOK, sp, f)
	}
	return k.providerStep(r, sp, "nameid", k.Providers.ReleaseNameID(r.ctx(), r.scope(), issued, r.event("", "")), inputs)
}

// removeProvider wants the entityID typed: nobody can sign in there any more.
func (k *console) removeProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	if r.form["typed"] != sp.EntityID {
		return k.providerStep(r, sp, "", &admin.Error{Field: "typed", Fault: r.text("providers.typed")},
			map[string]string{"typed": "typed"})
	}
	if err := k.Providers.Remove(r.ctx(), r.scope(), sp.EntityID, r.event("", "")); err != nil {
		return k.providerStep(r, sp, "", err, nil)
	}
	return r.done(providersPath, "removed")
}

func (k *console) ourMetadata(r *consoleRequest) error {
	doc, err := k.idp.Metadata(r.ctx())
	if err != nil {
		return fmt.Errorf("make our metadata: %w", err)
	}
	return r.show(http.StatusOK, "providers-metadata", r.text("providers.ours"), struct{ Document, Address string }{
		string(doc), k.public.JoinPath("saml", "metadata").String(),
	})
}

// metadataDownload is the copy to hand over, which has no end.
func (k *console) metadataDownload(r *consoleRequest) error {
	doc, err := k.idp.MetadataFile(r.ctx(), false)
	if err != nil {
		return fmt.Errorf("make our metadata: %w", err)
	}
	r.Response().Header().Set("Content-Disposition", `attachment; filename="ssobridge-metadata.xml"`)
	return r.Blob(http.StatusOK, "application/samlmetadata+xml", doc)
}

// handover is the one page that the support engineer of Constant Contact needs.
func (k *console) handover(r *consoleRequest) error {
	list, err := k.Keys.List(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	all, err := k.Providers.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		EntityID, SSO, Metadata string
		Certificates            []admin.Key
		Provider                *store.ServiceProvider // Constant Contact, where it is registered
		Contact                 []string
		Date                    time.Time
	}{
		EntityID: k.EntityID, SSO: k.public.JoinPath("saml", "sso").String(), Metadata: k.public.JoinPath("saml",
			"metadata").String(),
		Contact: k.Contacts, Date: k.now(),
	}
	for _, key := range list.Keys {
		if key.Use == admin.Signing && (key.State == admin.KeyActive || key.State == admin.KeyPublished) {
			view.Certificates = append(view.Certificates, key)
		}
	}
	for i := range all {
		if all[i].Kind == store.ConstantContact && view.Provider == nil {
			view.Provider = &all[i].ServiceProvider
		}
	}
	return r.show(http.StatusOK, "providers-handover", r.text("providers.handover"), view)
}
