package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// Providers is what the console does with service providers, by the functions of the
// commands. Fault puts a refusal into a sentence for an admin; "" for another error.
type Providers interface {
	// Read reads metadata that was pasted, or from an address.
	Read(ctx context.Context, pasted, address, entityID string) (idp.Imported, error)
	// Record is what would be saved; before is what is registered, nil for nothing.
	Record(ctx context.Context, im idp.Imported, address string) (sp store.ServiceProvider, before *store.ServiceProvider, notes []string, err error)
	ConstantContact(entityID, acs, environment string) (store.ServiceProvider, error)
	Add(ctx context.Context, sp store.ServiceProvider, replace bool, e store.Event) error
	Change(ctx context.Context, entityID string, e store.Event, change func(*store.ServiceProvider) error) error
	Approve(ctx context.Context, entityID string, pending []byte, e store.Event) error
	// Waiting is what waits for approval, in lines.
	Waiting(sp store.ServiceProvider) ([]idp.Difference, error)
	Refresh(ctx context.Context, entityID, actor string) (idp.Refreshed, error)
	Fault(err error) string
}

const providersPath = "/admin/providers"

func (k *console) providersRoutes() []consoleRoute {
	return []consoleRoute{
		{method: http.MethodGet, path: providersPath, role: idp.Viewer, handle: k.providers},
		{method: http.MethodGet, path: providersPath + "/one", role: idp.Viewer, handle: k.providerPage},
		{method: http.MethodGet, path: providersPath + "/new", role: idp.Admin, handle: k.newProvider},
		{method: http.MethodPost, path: providersPath + "/new", role: idp.Admin, fresh: true, handle: k.importProvider},
		{method: http.MethodPost, path: providersPath + "/constant-contact", role: idp.Admin, fresh: true, handle: k.addConstantContact},
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

// providerRow is a service provider in the list, with what it needs.
type providerRow struct {
	store.ServiceProvider
	State string // text key provider.STATE
}

func (k *console) providerState(sp store.ServiceProvider) string {
	switch {
	case !sp.Enabled:
		return "disabled"
	case sp.Source == nil:
	case !sp.Source.ValidUntil.IsZero() && !k.now().Before(sp.Source.ValidUntil):
		return "expired"
	case len(sp.Source.Pending) > 0:
		return "approval"
	case sp.Source.Fault != "":
		return "refreshfails"
	}
	return "enabled"
}

func (k *console) providers(r *consoleRequest) error { return k.showProviders(r, http.StatusOK, "") }

// showProviders lists them; missing is the entityID that somebody looked for in vain.
func (k *console) showProviders(r *consoleRequest, status int, missing string) error {
	list, err := k.Store.ServiceProviders().List(r.ctx())
	if err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	view := struct {
		Missing, Meant string
		Providers      []providerRow
		Admin          bool
	}{Missing: missing, Admin: r.may(idp.Admin)}
	if missing != "" {
		view.Meant, _ = idp.NearestProvider(list, missing)
	}
	for _, sp := range list {
		view.Providers = append(view.Providers, providerRow{sp, k.providerState(sp)})
	}
	return r.show(status, "providers", r.text("area.providers"), view)
}

func providerPath(entityID string) string {
	return providersPath + "/one?" + url.Values{"id": {entityID}}.Encode()
}

// providerOf is the service provider of that entityID.
func (k *console) providerOf(r *consoleRequest, entityID string) (store.ServiceProvider, error) {
	sp, err := k.Store.ServiceProviders().Get(r.ctx(), store.TrimBlanks(cut(entityID, 1024)))
	if errors.Is(err, store.ErrNotFound) {
		return sp, r.missing("service provider")
	}
	if err != nil {
		return sp, fmt.Errorf("read a service provider: %w", err)
	}
	return sp, nil
}

func (k *console) providerPage(r *consoleRequest) error {
	id := store.TrimBlanks(cut(r.QueryParam("id"), 1024))
	sp, err := k.Store.ServiceProviders().Get(r.ctx(), id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return k.showProviders(r, http.StatusNotFound, id)
	case err != nil:
		return fmt.Errorf("read a service provider: %w", err)
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showProvider(r, http.StatusOK, sp, f)
}

type providerSetting struct {
	idp.ProviderKey
	Now []string
}

func (k *console) showProvider(r *consoleRequest, status int, sp store.ServiceProvider, f form) error {
	view := struct {
		Form         form
		SP           store.ServiceProvider
		State        string
		Settings     []providerSetting
		Certificates []string
		Waiting      []idp.Difference
		WaitingFault string
		Seen         string        // fingerprint of what waits
		Held         *store.NameID // to whom the NameID that was asked for was issued; nil: none was asked for
		HeldSeen     string        // fingerprint of that
		Holder       string        // their name; "" for none that is known
		Launch       string
		Editable     []string // attributes in the NameID that people can often edit at their own entry
		Admin, Helps bool
	}{Form: f, SP: sp, Editable: idp.NameIDRisks(sp, k.Directory.Sources()), State: k.providerState(sp), Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	for _, key := range idp.ProviderKeys() {
		view.Settings = append(view.Settings, providerSetting{key, key.Show(sp)})
	}
	for _, der := range sp.Certificates {
		view.Certificates = append(view.Certificates, idp.CertificateLine(der))
	}
	if sp.Source != nil && len(sp.Source.Pending) > 0 {
		var err error
		if view.Waiting, err = k.Providers.Waiting(sp); err != nil {
			view.WaitingFault = err.Error()
		}
		view.Seen = fingerprint(sp.Source.Pending)
	}
	if f.held != nil {
		view.Held, view.Holder, view.HeldSeen = f.held, k.holderName(r, f.held.Person), holderSeen(*f.held)
	}
	view.Launch = k.public.JoinPath("launch").String()
	if sp.Kind != store.ConstantContact {
		view.Launch = k.public.JoinPath("launch", "sp").String() + "?" + url.Values{"entity_id": {sp.EntityID}}.Encode()
	}
	return r.show(status, "providers-one", cmp.Or(sp.Name, sp.EntityID), view)
}

// importView is the page that takes metadata in: first it shows what was understood.
type importView struct {
	Form    form
	Preview *providerPreview
}

type providerPreview struct {
	SP        store.ServiceProvider
	Facts     []idp.Difference // against nothing, everything it has is one
	Changes   []idp.Difference // against what is registered
	Known     bool
	Notes     []string
	Requested []idp.RequestedAttribute
	Until     time.Time
}

func (k *console) newProvider(r *consoleRequest) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "providers-new", r.text("providers.new"), importView{Form: f})
}

// providerFault shows a refusal above the form that asked.
func (k *console) providerFault(r *consoleRequest, err error, show func(form) error) error {
	faults := map[string]string{}
	var field *idp.FieldError
	switch text := k.Providers.Fault(err); {
	case errors.As(err, &field):
		faults["value"] = field.Error()
	case text != "":
		faults[""] = text
	default:
		return err
	}
	r.visit.cause = err
	f, ferr := r.newForm(r.form, faults)
	if ferr != nil {
		return ferr
	}
	return show(f)
}

// importProvider shows what the metadata says, and saves it when that was seen.
func (k *console) importProvider(r *consoleRequest) error {
	again := func(f form) error {
		return r.show(http.StatusUnprocessableEntity, "providers-new", r.text("providers.new"), importView{Form: f})
	}
	address := strings.TrimSpace(r.form["address"])
	im, err := k.Providers.Read(r.ctx(), r.form["pasted"], address, strings.TrimSpace(r.form["entity_id"]))
	if err != nil {
		return k.providerFault(r, err, again)
	}
	sp, before, notes, err := k.Providers.Record(r.ctx(), im, address)
	if err != nil {
		return k.providerFault(r, err, again)
	}
	sp.Name = cmp.Or(strings.TrimSpace(r.form["name"]), sp.Name, sp.EntityID)
	if groups := lines(r.form["groups"]); len(groups) > 0 {
		sp.Groups = groups
	}
	record, err := json.Marshal(struct {
		store.ServiceProvider
		Source *store.Source // its times move on from one look to the next
	}{ServiceProvider: sp})
	if err != nil {
		return fmt.Errorf("look at a service provider's record: %w", err)
	}
	if r.form["seen"] == fingerprint(record) {
		if err := k.Providers.Add(r.ctx(), sp, before != nil, r.event("sp-add", sp.EntityID)); err != nil {
			return k.providerFault(r, err, again)
		}
		return r.done(providerPath(sp.EntityID), "saved")
	}
	values := fields{}
	for name, value := range r.form {
		values[name] = value
	}
	values["seen"] = fingerprint(record)
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	preview := &providerPreview{
		SP: sp, Facts: idp.Differences(store.ServiceProvider{Name: sp.Name}, im.Provider), Known: before != nil,
		Notes: append(im.Notes, notes...), Requested: im.Requested, Until: im.ValidUntil,
	}
	if before != nil {
		preview.Changes = idp.Differences(*before, sp)
	}
	return r.show(http.StatusOK, "providers-new", r.text("providers.new"), importView{f, preview})
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

func (k *console) addConstantContact(r *consoleRequest) error {
	sp, err := k.Providers.ConstantContact(strings.TrimSpace(r.form["cc_entity_id"]), strings.TrimSpace(r.form["cc_acs"]), strings.TrimSpace(r.form["cc_environment"]))
	if err == nil {
		err = k.Providers.Add(r.ctx(), sp, false, r.event("sp-add", sp.EntityID))
	}
	if err != nil {
		return k.providerFault(r, err, func(f form) error {
			return r.show(http.StatusUnprocessableEntity, "providers-new", r.text("providers.new"), importView{Form: f})
		})
	}
	return r.done(providerPath(sp.EntityID), "saved")
}

// setProvider changes one setting, in the words of sp set.
func (k *console) setProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	key := r.form["key"]
	switch r.form["how"] {
	case "add":
		key += "+"
	case "remove":
		key += "-"
	}
	e := r.event("sp-set", sp.EntityID)
	e.SP = sp.EntityID
	if e.Detail, err = json.Marshal(map[string]string{"setting": cut(key, 100)}); err != nil {
		return fmt.Errorf("describe a change: %w", err)
	}
	err = k.Providers.Change(r.ctx(), sp.EntityID, e, func(now *store.ServiceProvider) error { return idp.SetProvider(now, key, r.form["value"]) })
	if err != nil {
		return k.providerFault(r, err, func(f form) error { return k.showProvider(r, http.StatusUnprocessableEntity, sp, f) })
	}
	return r.done(providerPath(sp.EntityID), "saved")
}

func (k *console) refreshProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	out, err := k.Providers.Refresh(r.ctx(), sp.EntityID, r.actor())
	if err == nil {
		err = out.Fault
	}
	if err != nil {
		return k.providerFault(r, err, func(f form) error { return k.showProvider(r, http.StatusBadGateway, sp, f) })
	}
	return r.done(providerPath(sp.EntityID), "read")
}

// approveProvider takes what waits, if it still is what was shown.
func (k *console) approveProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	if sp.Source == nil || len(sp.Source.Pending) == 0 || fingerprint(sp.Source.Pending) != r.form["seen"] {
		f, err := r.newForm(nil, map[string]string{"": r.text("providers.moved")})
		if err != nil {
			return err
		}
		return k.showProvider(r, http.StatusConflict, sp, f)
	}
	e := r.event("sp-approve", sp.EntityID)
	e.SP = sp.EntityID
	if err := k.Providers.Approve(r.ctx(), sp.EntityID, bytes.Clone(sp.Source.Pending), e); err != nil {
		return k.providerFault(r, err, func(f form) error { return k.showProvider(r, http.StatusConflict, sp, f) })
	}
	return r.done(providerPath(sp.EntityID), "approved")
}

// removeProvider wants the entityID typed: nobody can sign in there any more.
// releaseNameID shows first who had a NameID and when last, and releases it when that was seen.
func (k *console) releaseNameID(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	nameID := r.form["name_id"]
	show := func(status int, held *store.NameID, fault string) error {
		faults := map[string]string{}
		if fault != "" {
			faults["name_id"] = r.text(fault)
		}
		f, err := r.newForm(fields{"name_id": nameID}, faults)
		if err != nil {
			return err
		}
		f.held = held
		return k.showProvider(r, status, sp, f)
	}
	held, err := k.Provider.IssuedNameID(r.ctx(), sp, nameID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return show(http.StatusUnprocessableEntity, nil, "providers.release.nobody")
	case err != nil:
		return fmt.Errorf("look up a NameID: %w", err)
	case r.form["seen"] != holderSeen(held): // not looked at, or another person's by now
		return show(http.StatusOK, &held, "")
	}
	err = k.Provider.ReleaseNameID(r.ctx(), held, r.event("", ""))
	switch {
	case errors.Is(err, store.ErrConflict):
		return show(http.StatusConflict, nil, "providers.release.nobody")
	case err != nil:
		return err
	}
	return r.done(providerPath(sp.EntityID), "nameid")
}

// holderSeen is what a confirmation was about: this name, and this person.
func holderSeen(n store.NameID) string { return fingerprint(slices.Concat(n.Name, n.Owner)) }

// holderName is what an administrator knows a person by; "" where neither ledger nor directory tells.
func (k *console) holderName(r *consoleRequest, id store.PersonID) string {
	if id == "" {
		return ""
	}
	if e, err := k.Directory.Read(r.ctx(), string(id)); err == nil && e.DN != "" {
		return cmp.Or(strings.TrimSpace(e.FirstName+" "+e.LastName), e.Login)
	}
	if users, err := k.Store.Ledger().Person(r.ctx(), id); err == nil && len(users) > 0 {
		return who(users[0])
	}
	return ""
}

func (k *console) removeProvider(r *consoleRequest) error {
	sp, err := k.providerOf(r, r.form["id"])
	if err != nil {
		return err
	}
	if r.form["typed"] != sp.EntityID {
		f, err := r.newForm(r.form, map[string]string{"typed": r.text("providers.typed")})
		if err != nil {
			return err
		}
		return k.showProvider(r, http.StatusUnprocessableEntity, sp, f)
	}
	e := r.event("sp-remove", sp.EntityID)
	e.SP = sp.EntityID
	if err := k.Store.ServiceProviders().Remove(r.ctx(), sp.EntityID, e); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("remove service provider %s: %w", sp.EntityID, err)
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
	b, err := k.Keyring.Board(r.ctx())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	all, err := k.Store.ServiceProviders().List(r.ctx())
	if err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	view := struct {
		EntityID, SSO, Metadata string
		Certificates            []Key
		Provider                *store.ServiceProvider // Constant Contact, where it is registered
		Contact                 []string
		Date                    time.Time
	}{
		EntityID: k.EntityID, SSO: k.public.JoinPath("saml", "sso").String(), Metadata: k.public.JoinPath("saml", "metadata").String(),
		Contact: k.Contacts, Date: k.now(),
	}
	for _, key := range b.Keys {
		if key.Use == "signing" && (key.State == "active" || key.State == "published") {
			view.Certificates = append(view.Certificates, key)
		}
	}
	for i := range all {
		if all[i].Kind == store.ConstantContact && view.Provider == nil {
			view.Provider = &all[i]
		}
	}
	return r.show(http.StatusOK, "providers-handover", r.text("providers.handover"), view)
}
