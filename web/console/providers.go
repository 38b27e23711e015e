package console

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const providersPath = "/admin/providers"

func (k *Console) providersRoutes() []route {
	return []route{
		get(providersPath, idp.Viewer, k.providers),
		get(providersPath+"/one", idp.Viewer, k.providerPage),
		get(providersPath+"/new", idp.Admin, k.newProvider),
		post(providersPath+"/new", idp.Admin, k.importProvider).fresh(),
		post(providersPath+"/constant-contact", idp.Admin, k.addConstantContact).fresh(),
		post(providersPath+"/set", idp.Admin, k.setProvider).fresh().long(),
		post(providersPath+"/refresh", idp.Operator, k.refreshProvider),
		post(providersPath+"/approve", idp.Admin, k.approveProvider).fresh(),
		post(providersPath+"/remove", idp.Admin, k.removeProvider).fresh(),
		post(providersPath+"/undo", idp.Admin, k.undoProvider).fresh(),
		post(providersPath+"/name-id", idp.Admin, k.releaseNameID).fresh(),
		get(providersPath+"/metadata", idp.Viewer, k.ourMetadata),
		get(providersPath+"/metadata.xml", idp.Viewer, k.metadataDownload),
		get(providersPath+"/handover", idp.Viewer, k.handover),
	}
}

func (k *Console) providers(r *request) error { return k.showProviders(r, http.StatusOK, nil, form{}) }

// showProviders lists them. missing says that the one that somebody looked for is not there; f holds why something was
// refused.
func (k *Console) showProviders(r *request, status int, missing *admin.Error, f form) error {
	if err := k.offerRemovedProviders(r); err != nil {
		return err
	}
	list, err := k.Providers.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		Form           form
		Missing, Meant string
		Providers      []admin.Provider
		Admin          bool
	}{Form: f, Providers: list, Admin: r.may(idp.Admin)}
	if missing != nil {
		view.Missing = plaintext.Cut(r.QueryParam("id"), 1024)
		if missing.Act == admin.MeantProvider {
			view.Meant = missing.About
		}
	}
	return r.show(status, "providers", r.text("area.providers"), view)
}

func providerPath(entityID string) string {
	return providersPath + "/one?" + url.Values{"id": {entityID}}.Encode()
}

// importPath is the form of new metadata for one that is registered.
func importPath(entityID string) string {
	return providersPath + "/new?" + url.Values{"id": {entityID}}.Encode()
}

// providerOf is the service provider of that entityID, for a form that changes it.
func (k *Console) providerOf(r *request, entityID string) (admin.Provider, error) {
	sp, err := k.Providers.Get(r.ctx(), r.scope(), plaintext.Cut(entityID, 1024))
	if e, ok := admin.AsError(err); ok && e.Kind == admin.Missing {
		return sp, r.Missing("service provider")
	}
	return sp, err
}

func (k *Console) providerPage(r *request) error {
	sp, err := k.Providers.Get(r.ctx(), r.scope(), plaintext.Cut(r.QueryParam("id"), 1024))
	if e, ok := admin.AsError(err); ok && e.Kind == admin.Missing {
		return k.showProviders(r, http.StatusNotFound, e, form{})
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

func (k *Console) showProvider(r *request, status int, sp admin.Provider, f form) error {
	view := struct {
		Form         form
		SP           store.ServiceProvider
		State        string
		Groups       []providerGroup
		Certificates []string
		Waiting      []metadata.Side
		WaitingFault string
		Seen         string              // names what waits
		Held         *admin.IssuedNameID // to whom the NameID that was asked for was issued; nil: none was asked for
		Launch       string
		Metadata     string // address of ours for it
		Risks        []string
		Admin, Helps bool
	}{Form: f, Held: f.held, SP: sp.ServiceProvider, Risks: k.Providers.Risks(sp.ServiceProvider), State: sp.State,
		Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	view.Groups = r.providerForm(sp.ServiceProvider, &view.Form)
	for _, der := range sp.Certificates {
		view.Certificates = append(view.Certificates, metadata.CertificateLine(der))
	}
	if sp.Source != nil && len(sp.Source.Pending) > 0 {
		review, err := k.Providers.Review(r.ctx(), r.scope(), sp.EntityID)
		view.Waiting, view.Seen = review.Sides, review.Seen
		if e, ok := admin.AsError(err); ok {
			view.WaitingFault = r.said(e.Line())
		} else if err != nil {
			return err
		}
	}
	if err := k.offerProviderUndo(r, sp); err != nil {
		return err
	}
	view.Launch = k.public.JoinPath("launch").String()
	view.Metadata = k.public.JoinPath("saml", "metadata").String() + "/" + url.PathEscape(sp.EntityID)
	if sp.Kind != store.ConstantContact {
		view.Launch = k.public.JoinPath("launch", "sp").String() + "?" + url.Values{"entity_id": {sp.EntityID}}.Encode()
	}
	return r.show(status, "providers-one", cmp.Or(sp.Name, sp.EntityID), view)
}

// providerStep shows a service provider after a change, or why that was refused. inputs are the form's names of fields.
func (k *Console) providerStep(r *request, sp admin.Provider, word string, err error,
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

// setProvider changes what was changed in the form of settings, all of it or nothing.
func (k *Console) setProvider(r *request) error {
	sp, err := k.providerOf(r, r.Form["id"])
	if err != nil {
		return err
	}
	changes := r.providerChanges(sp.ServiceProvider)
	if len(changes) == 0 {
		return r.done(providerPath(sp.EntityID), "unchanged")
	}
	inputs := map[string]string{}
	if _, err = k.Providers.Set(r.ctx(), r.scope(), sp.EntityID, changes, r.event("", "")); err != nil {
		if e, ok := admin.AsError(err); ok { // a fault may name a place in a list
			inputs[e.Field], _, _ = strings.Cut(e.Field, "[")
		}
	}
	return k.providerStep(r, sp, "saved", err, inputs)
}

func (k *Console) refreshProvider(r *request) error {
	sp, err := k.providerOf(r, r.Form["id"])
	if err != nil {
		return err
	}
	_, err = k.Providers.Refresh(r.ctx(), r.scope(), sp.EntityID, r.actor())
	return k.providerStep(r, sp, "read", err, nil)
}

// approveProvider takes what waits, if it still is what was shown.
func (k *Console) approveProvider(r *request) error {
	sp, err := k.providerOf(r, r.Form["id"])
	if err != nil {
		return err
	}
	return k.providerStep(r, sp, "approved", k.Providers.Approve(r.ctx(), r.scope(), sp.EntityID, r.Form["seen"],
		r.event("", "")), nil)
}

// releaseNameID shows first who had a NameID and when last, and releases it when that was seen.
func (k *Console) releaseNameID(r *request) error {
	sp, err := k.providerOf(r, r.Form["id"])
	if err != nil {
		return err
	}
	inputs := map[string]string{"name_id": "name_id"}
	issued, err := k.Providers.FindNameID(r.ctx(), r.scope(), sp.EntityID, r.Form["name_id"])
	if err != nil {
		return k.providerStep(r, sp, "", err, inputs)
	}
	if r.Form["seen"] != issued.Seen { // not looked at, or another person's by now
		f, err := r.newForm(web.Fields{"name_id": r.Form["name_id"]}, nil)
		if err != nil {
			return err
		}
		f.held = &issued
		return k.showProvider(r, http.StatusOK, sp, f)
	}
	return k.providerStep(r, sp, "nameid", k.Providers.ReleaseNameID(r.ctx(), r.scope(), issued, r.event("", "")), inputs)
}

// removeProvider wants the entityID typed: nobody can sign in there any more.
func (k *Console) removeProvider(r *request) error {
	sp, err := k.providerOf(r, r.Form["id"])
	if err != nil {
		return err
	}
	if r.Form["typed"] != sp.EntityID {
		return k.providerStep(r, sp, "", &admin.Error{Field: "typed", Fault: r.text("providers.typed")},
			map[string]string{"typed": "typed"})
	}
	if err := k.Providers.Remove(r.ctx(), r.scope(), sp.EntityID, r.event("", "")); err != nil {
		return k.providerStep(r, sp, "", err, nil)
	}
	return r.done(providersPath, "removed")
}
