package console

import (
	"net/http"
	"net/url"
	"strings"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// usersFilter is what a query chooses of the ledger; those that may need an act by default.
func (k *Console) usersFilter(r *request) (f store.UserFilter, err error) {
	q := r.QueryParams()
	f = store.UserFilter{Limit: pageSize}
	for _, s := range admin.UserStates() {
		if q.Get("state") == string(s) {
			f.States = []store.State{s}
		}
	}
	if len(f.States) == 0 {
		f.States = admin.AttentionStates()
	}
	if f.Account, err = k.accountFiltered(r, q.Get("account")); err != nil {
		return f, err
	}
	if person := personNamed(q.Get("after")); person != "" {
		f.After = store.UserKey{Person: person, Account: store.AccountID(plaintext.Cut(q.Get("after_account"), 100))}
	}
	return f, nil
}

func (k *Console) users(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showUsers(r, http.StatusOK, f)
}

func (k *Console) showUsers(r *request, status int, f form) error {
	filter, err := k.usersFilter(r)
	if err != nil {
		return err
	}
	list, err := k.Users.List(r.ctx(), r.scope(), filter)
	if err != nil {
		return err
	}
	state := ""
	if len(filter.States) == 1 {
		state = string(filter.States[0])
	}
	same := url.Values{"state": {state}, "account": {string(filter.Account)}}
	view := struct {
		Form        form
		States      []store.State
		State       string
		Account     store.AccountID
		Users       []admin.User
		First, Next string
		Helps       bool
	}{Form: f, States: admin.UserStates(), State: state, Account: filter.Account, Users: list, Helps: r.may(idp.Operator)}
	if filter.After.Person != "" {
		view.First = provisioningPath + "/users?" + same.Encode()
	}
	if len(list) == pageSize {
		last := list[pageSize-1]
		same.Set("after", string(last.Person))
		same.Set("after_account", string(last.Account))
		view.Next = provisioningPath + "/users?" + same.Encode()
	}
	return r.show(status, "provisioning-users", r.text("provisioning.users"), view)
}

// chosen are the users whose boxes were ticked: each box has the name of its row.
func (r *request) chosen() []store.UserKey {
	var keys []store.UserKey
	for name := range r.Form {
		person, account, ok := strings.Cut(strings.TrimPrefix(name, "user:"), " ")
		if !ok || !strings.HasPrefix(name, "user:") {
			continue
		}
		if id, err := r.k.accountNamed(r, account); err == nil {
			keys = append(keys, store.UserKey{Person: personNamed(person), Account: id})
		}
	}
	return keys
}

// changeUsers tries the chosen users again, or confirms those that are assumed.
func (k *Console) changeUsers(r *request) error {
	keys := r.chosen()
	if len(keys) == 0 {
		f, err := r.newForm(nil, map[string]string{"": r.text("provisioning.choose")})
		if err != nil {
			return err
		}
		return k.showUsers(r, http.StatusUnprocessableEntity, f)
	}
	if r.Form["do"] == "confirm" {
		if _, err := k.Users.Confirm(r.ctx(), r.scope(), keys, r.actor()); err != nil {
			return err
		}
		return r.done(provisioningPath+"/users", "confirmed")
	}
	for _, key := range keys {
		if _, err := k.Users.Retry(r.ctx(), r.scope(), store.UserFilter{Person: key.Person, Account: key.Account},
			r.actor()); err != nil {
			return err
		}
	}
	return r.done(provisioningPath+"/users", "retried")
}

// exportUsers writes the whole ledger, names and mail addresses of people among it.
func (k *Console) exportUsers(r *request) error {
	r.Response().Header().Set("Content-Disposition", `attachment; filename="users.csv"`)
	r.Response().Header().Set("Content-Type", "text/csv; charset=utf-8")
	return k.Users.Export(r.ctx(), r.scope(), r.Response(), store.UserFilter{}, "csv", r.event("", ""))
}
