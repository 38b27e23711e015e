package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web"
)

// accountOf is the account that a path names, if it is one of ours.
func (k *Console) accountOf(r *request) (store.Account, error) {
	id, err := k.accountNamed(r, r.Param("account"))
	switch {
	case errors.Is(err, store.ErrBadAccount), errors.Is(err, store.ErrAmbiguousAccount):
		return store.Account{}, r.Missing("client account")
	case err != nil:
		return store.Account{}, err
	}
	a, err := k.Store.Accounts().Get(r.ctx(), id)
	if errors.Is(err, store.ErrNotFound) {
		return a, r.Missing("client account")
	}
	if err != nil {
		return a, fmt.Errorf("read client account %s: %w", id, err)
	}
	return a, nil
}

func (k *Console) account(r *request) error {
	a, err := k.accountOf(r)
	if err != nil {
		return err
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showAccount(r, http.StatusOK, a, f)
}

func (k *Console) showAccount(r *request, status int, a store.Account, f form) error {
	return k.showAccountWith(r, status, a, f, "")
}

// showAccountWith shows an account with the answer of a call on its behalf.
func (k *Console) showAccountWith(r *request, status int, a store.Account, f form, answer string) error {
	users, err := k.Store.Ledger().List(r.ctx(), store.UserFilter{
		Account: a.ID, After: store.UserKey{Person: personNamed(r.QueryParam("after")), Account: a.ID}, Limit: pageSize,
	})
	if err != nil {
		return fmt.Errorf("list the people of %s: %w", a.ID, err)
	}
	if err := k.People.NameUsers(r.ctx(), r.scope(), users); err != nil {
		return err
	}
	policy, ownPolicy, err := k.Provider.FactorPolicy(r.ctx(), a.ID)
	if err != nil {
		return err
	}
	own := "/admin/accounts/of/" + url.PathEscape(string(a.ID))
	link := k.public.JoinPath("launch", string(a.ID)).String()
	view := struct {
		Form         form
		Account      store.Account
		Own          string
		Link, Button string
		Users        []store.SSOUser
		First, Next  string
		Plans        []string
		Reasons      []int
		Factor       string // what the account asks for beside the password
		OwnFactor    bool   // by a policy of its own
		Policies     []string
		Sources      []string // who asked to be unsubscribed
		Methods      []string // of calls on behalf of the account; none: they are off
		Answer       string   // of such a call
		Admin, Helps bool
	}{
		Form: f, Account: a, Own: own, Link: link, Button: `<a href="` + link + `">` + k.brand.ProductName + `</a>`,
		Users: users, Plans: provisioning.PlanTypes, Reasons: provisioning.CancelReasons, Admin: r.may(idp.Admin),
		Helps:  r.may(idp.Operator),
		Factor: string(policy), OwnFactor: ownPolicy, Sources: provisioning.UpdateSources, Answer: answer,
		Policies: []string{"default", string(mfa.Off), string(mfa.Offered), string(mfa.Required)},
	}
	if k.Provisioning.CallsAllowed() {
		view.Methods = provisioning.OperationMethods
	}
	if len(users) == pageSize {
		view.Next = own + "?" + url.Values{"after": {string(users[pageSize-1].Person)}}.Encode()
	}
	if r.QueryParam("after") != "" {
		view.First = own
	}
	return r.show(status, "accounts-one", cmp.Or(a.Name, string(a.ID)), view)
}

// onAccount does something to one account and shows it again.
func (k *Console) onAccount(r *request, word string, do func(store.Account) error) error {
	a, err := k.accountOf(r)
	if err != nil {
		return err
	}
	if err := do(a); err != nil {
		return k.accountFault(r, err, func(f form) error { return k.showAccount(r, http.StatusUnprocessableEntity, a, f) })
	}
	return r.done("/admin/accounts/of/"+url.PathEscape(string(a.ID)), word)
}

func (k *Console) readAccount(r *request) error {
	return k.onAccount(r, "read", func(a store.Account) error {
		_, err := k.Provisioning.AccountPlan(r.ctx(), a.ID, r.actor())
		return err
	})
}

// setAccountFactor sets what the account asks for beside the password.
func (k *Console) setAccountFactor(r *request) error {
	return k.onAccount(r, "factor", func(a store.Account) error {
		var policy mfa.Policy // of its own; none for "default"
		if word := r.Form["policy"]; word != "default" {
			var err error
			if policy, err = mfa.ParsePolicy(word); err != nil {
				return &provisioning.InputError{Field: "policy", Fault: r.text("accounts.factor.choose")}
			}
		}
		return k.Provider.Factors().SetPolicy(r.ctx(), a.ID, policy, r.event("", ""))
	})
}

func (k *Console) setAccountPlan(r *request) error {
	return k.onAccount(r, "plan", func(a store.Account) error {
		if !slices.Contains(provisioning.PlanTypes, r.Form["plan"]) {
			return &provisioning.InputError{Field: "plan", Fault: r.text("accounts.plan.choose")}
		}
		c := provisioning.PlanChange{PlanType: r.Form["plan"]}
		if text := r.Form["billing_day"]; text != "" {
			day, err := strconv.Atoi(text)
			if err != nil || day < 1 || day > 31 {
				return &provisioning.InputError{Field: "billing_day", Fault: r.text("accounts.day.range")}
			}
			c.BillingDayOfMonth = day
		}
		_, err := k.Provisioning.SetAccountPlan(r.ctx(), a.ID, c, r.actor())
		return err
	})
}

// cancelAccount wants the account's id typed: it can't be taken back here.
func (k *Console) cancelAccount(r *request) error {
	return k.onAccount(r, "cancelled", func(a store.Account) error {
		if r.Form["typed"] != string(a.ID) {
			return &provisioning.InputError{Field: "typed", Fault: r.text("accounts.typed")}
		}
		o := provisioning.Cancellation{}
		if text := r.Form["reason_id"]; text != "" {
			id, err := strconv.Atoi(text)
			if err != nil || !slices.Contains(provisioning.CancelReasons, id) {
				return &provisioning.InputError{Field: "reason_id", Fault: r.text("accounts.reason.choose")}
			}
			o.ReasonID = id
		}
		if text := r.Form["effective_date"]; text != "" {
			at, err := time.Parse(time.DateOnly, text)
			if err != nil {
				return &provisioning.InputError{Field: "effective_date", Fault: r.text("accounts.date.bad")}
			}
			o.EffectiveDate = at
		}
		_, err := k.Provisioning.CancelAccount(r.ctx(), a.ID, o, r.actor())
		return err
	})
}

// unsubscribe unsubscribes addresses in an account.
func (k *Console) unsubscribe(r *request) error {
	return k.onAccount(r, "unsubscribed", func(a store.Account) error {
		u := provisioning.Unsubscription{
			EmailAddresses: strings.FieldsFunc(r.Form["addresses"], func(c rune) bool {
				return unicode.IsSpace(c) ||
					c == ',' || c == ';'
			}),
			UpdateSource: r.Form["source"], OptOutReason: strings.TrimSpace(r.Form["opt_out_reason"]),
		}
		if len(u.EmailAddresses) == 0 {
			return &provisioning.InputError{Field: "addresses", Fault: r.text("accounts.unsubscribe.none")}
		}
		_, err := k.Provisioning.Unsubscribe(r.ctx(), a.ID, u, r.actor())
		return err
	})
}

// callAccount makes a call on behalf of an account, and shows the answer. One that writes
// is sent only with its box ticked.
func (k *Console) callAccount(r *request) error {
	a, err := k.accountOf(r)
	if err != nil {
		return err
	}
	refuse := func(err error) error {
		if errors.Is(err, provisioning.ErrNotAllowed) {
			err = &provisioning.InputError{Field: "path", Fault: r.text("accounts.call.refused")}
		}
		return k.accountFault(r, err, func(f form) error { return k.showAccount(r, http.StatusUnprocessableEntity, a, f) })
	}
	o := provisioning.Operation{Method: r.Form["method"], URL: strings.TrimSpace(r.Form["path"]), Payload: r.Form["body"]}
	for line := range strings.Lines(r.Form["query"]) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return refuse(&provisioning.InputError{Field: "query", Fault: r.text("accounts.call.badquery")})
		}
		o.Query = append(o.Query, provisioning.OperationParam{Key: key, Value: value})
	}
	switch {
	case !slices.Contains(provisioning.OperationMethods, o.Method):
		return refuse(&provisioning.InputError{Field: "method", Fault: r.text("accounts.call.badmethod")})
	case o.Method != http.MethodGet && r.Form["writes"] != "1":
		return refuse(&provisioning.InputError{Field: "writes", Fault: r.text("accounts.call.tick")})
	}
	answer, err := k.Provisioning.CallAccount(r.ctx(), a.ID, o, r.actor())
	if err != nil {
		return refuse(err)
	}
	values := web.Fields{}
	for _, name := range []string{"method", "path", "query", "body"} {
		values[name] = r.Form[name]
	}
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	text := web.Cut(strings.ToValidUTF8(string(answer), "\ufffd"), maxAnswer)
	return k.showAccountWith(r, http.StatusOK, a, f, cmp.Or(text, r.text("accounts.call.empty")))
}

// maxAnswer is how much of an answer a page shows.
const maxAnswer = 64 << 10
