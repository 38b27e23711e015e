package console

import (
	"cmp"
	"strconv"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// undoOffer is a change that the page is about and that can be undone, for ten minutes after it.
type undoOffer struct {
	Key    string // of the text that names the change, with {what} and {when}
	What   string
	At     time.Time
	Action string // path of the form
	Hidden []option
}

// offerMappingUndo offers to undo the last change of a mapping, to who may.
func (k *Console) offerMappingUndo(r *request, id int64) error {
	if !r.may(idp.Admin) {
		return nil
	}
	c, ok, err := k.Mappings.LastChange(r.ctx(), r.scope(), id)
	if err != nil || !ok {
		return err
	}
	r.undo = append(r.undo, undoOffer{Key: "undo.mapping." + c.What, At: c.At, Action: mappingPath(id) + "/undo",
		Hidden: []option{{"entry", strconv.FormatInt(c.ID, 10)}}})
	return nil
}

func (k *Console) undoMapping(r *request) error {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return r.Missing("mapping")
	}
	entry, err := strconv.ParseInt(r.Form["entry"], 10, 64)
	if err != nil {
		return r.Missing("change")
	}
	if err = k.Mappings.Undo(r.ctx(), r.scope(), id, entry, r.actor()); err == nil {
		return r.done(mappingPath(id), undoneWord)
	}
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showMapping(r, status, f, nil)
}

// undoneWord names what an undo has done; after it nothing is offered: that would take the undo back.
const undoneWord = "undone"

// offerUserUndo offers to undo suspensions of a person's users.
func (k *Console) offerUserUndo(r *request, v *personView, users []store.SSOUser) error {
	if !v.Helps {
		return nil
	}
	list, err := k.Users.Suspended(r.ctx(), r.scope(), v.ID, users)
	if err != nil {
		return err
	}
	for _, u := range list[:min(len(list), maxOffers)] {
		r.undo = append(r.undo, undoOffer{Key: "undo.user", What: string(u.Account), At: u.UpdatedAt,
			Action: v.Own + "/undo", Hidden: []option{{"account", string(u.Account)},
				{"at", strconv.FormatInt(u.UpdatedAt.UnixMicro(), 10)}}})
	}
	return nil
}

// maxOffers is how many changes a page offers to undo.
const maxOffers = 3

func (k *Console) undoSuspension(r *request) error {
	account, err := k.accountNamed(r, r.Form["account"])
	if err != nil {
		r.Log(err)
		return r.Missing("client account")
	}
	at, err := parseMicros(r.Form["at"])
	if err != nil {
		return r.Missing("change")
	}
	key := store.UserKey{Person: r.personOf(), Account: account}
	if err = k.Users.UndoSuspension(r.ctx(), r.scope(), key, at, r.actor()); err == nil {
		return r.done(personPath(key.Person), "undone.user")
	}
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showPerson(r, status, f)
}

// offerProviderUndo offers to undo the last change of a service provider.
func (k *Console) offerProviderUndo(r *request, sp admin.Provider) error {
	if !r.may(idp.Admin) {
		return nil
	}
	u, ok, err := k.Providers.LastChange(r.ctx(), r.scope(), sp.EntityID)
	if err != nil || !ok {
		return err
	}
	r.undo = append(r.undo, providerOffer("undo.provider", u))
	return nil
}

// offerRemovedProviders offers to undo the removals of service providers.
func (k *Console) offerRemovedProviders(r *request) error {
	if !r.may(idp.Admin) {
		return nil
	}
	removed, err := k.Providers.Removed(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	for _, u := range removed[:min(len(removed), maxOffers)] {
		r.undo = append(r.undo, providerOffer("undo.provider.removed", u))
	}
	return nil
}

func providerOffer(key string, u store.ProviderUndo) undoOffer {
	return undoOffer{Key: key, What: cmp.Or(u.Before.Name, u.Before.EntityID), At: u.ChangedAt,
		Action: providersPath + "/undo", Hidden: []option{{"id", u.Before.EntityID},
			{"at", strconv.FormatInt(u.ChangedAt.UnixMicro(), 10)}}}
}

func (k *Console) undoProvider(r *request) error {
	at, err := parseMicros(r.Form["at"])
	if err != nil {
		return r.Missing("change")
	}
	id := plaintext.Cut(r.Form["id"], 1024)
	if err = k.Providers.Undo(r.ctx(), r.scope(), id, at, r.event("", "")); err == nil {
		return r.done(providerPath(id), undoneWord)
	}
	f, status, refused := r.refusedForm(err, nil)
	if refused != nil {
		return refused
	}
	sp, err := k.Providers.Get(r.ctx(), r.scope(), id)
	if e, ok := admin.AsError(err); ok && e.Kind == admin.Missing { // it was removed, and is not to come back so
		return k.showProviders(r, status, nil, f)
	}
	if err != nil {
		return err
	}
	return k.showProvider(r, status, sp, f)
}
