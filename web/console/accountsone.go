package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// accountOf is the account that a path names, if it is one of ours.
func (k *Console) accountOf(r *request) (a admin.ClientAccount, err error) {
	id, err := k.accountNamed(r, r.Param("account"))
	if err == nil {
		a, err = k.ClientAccounts.Get(r.ctx(), r.scope(), id)
	}
	if _, ok := admin.AsError(err); ok {
		r.Log(err)
		return a, r.Missing("client account")
	}
	return a, err
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

func (k *Console) showAccount(r *request, status int, a admin.ClientAccount, f form) error {
	return k.showAccountWith(r, status, a, f, "")
}

// showAccountWith shows an account with the answer of a call on its behalf.
func (k *Console) showAccountWith(r *request, status int, a admin.ClientAccount, f form, answer string) error {
	users, err := k.Users.List(r.ctx(), r.scope(), store.UserFilter{
		Account: a.ID, After: store.UserKey{Person: personNamed(r.QueryParam("after")), Account: a.ID}, Limit: pageSize,
	})
	if err != nil {
		return err
	}
	own := "/admin/accounts/of/" + url.PathEscape(string(a.ID))
	view := struct {
		Form         form
		Verdict      callout
		Account      admin.ClientAccount
		Own          string
		Button       string
		Users        []admin.User
		First, Next  string
		Plans        []string
		Reasons      []int
		Policies     []string
		Sources      []string // who asked to be unsubscribed
		Methods      []string // of calls on behalf of the account; none: they are off
		Answer       string   // of such a call
		Admin, Helps bool
	}{
		Form: f, Account: a, Own: own, Button: `<a href="` + a.Launch + `">` + k.brand.ProductName + `</a>`,
		Users: users, Plans: admin.PlanTypes(), Reasons: admin.CancelReasons(), Admin: r.may(idp.Admin),
		Helps: r.may(idp.Operator), Sources: admin.UpdateSources(), Answer: answer, Policies: admin.FactorPolicies(),
		Methods: k.ClientAccounts.CallMethods(),
	}
	if len(users) == pageSize {
		view.Next = own + "?" + url.Values{"after": {string(users[pageSize-1].Person)}}.Encode()
	}
	if r.QueryParam("after") != "" {
		view.First = own
	}
	view.Verdict = k.judgeAccount(r, a, users, view.First != "" || view.Next != "")
	return r.show(status, "accounts-one", cmp.Or(a.Name, string(a.ID)), view)
}

// judgeAccount says whether people sign in to a client account. many tells that users are one page of several.
func (k *Console) judgeAccount(r *request, a admin.ClientAccount, users []admin.User, many bool) callout {
	c := callout{Kind: "ok", Verdict: true}
	can := 0
	for _, u := range users {
		if u.State == store.Active || u.State == store.Assumed {
			can++
		}
	}
	failing := slices.ContainsFunc(users, func(u admin.User) bool {
		return slices.Contains(admin.AttentionStates(), u.State)
	})
	switch {
	case k.ClientAccounts.Provisioning.ClosedStatus(a.BillingStatus):
		c.Kind, c.Title = "bad", r.text("accounts.verdict.closed", "status", a.BillingStatus)
	case len(users) == 0 && !many:
		c.Kind, c.Title, c.Text = "info", r.text("accounts.verdict.nobody"), r.text("accounts.verdict.map")
		if r.may(idp.Admin) {
			c.Acts = []link{{r.text("people.verdict.add"),
				newMappingPath + "?" + url.Values{"account": {string(a.ID)}}.Encode()}}
		}
	case failing:
		c.Kind, c.Title = "warn", r.text("accounts.verdict.failing")
		c.Acts = []link{{r.text("provisioning.verdict.show"), provisioningPath + "/users?" +
			url.Values{"account": {string(a.ID)}}.Encode()}}
	case many:
		c.Title = r.text("accounts.verdict.many", "count", pageSize)
	case can == 0:
		c.Kind, c.Title = "warn", r.text("accounts.verdict.none")
	default:
		c.Title = r.text("accounts.verdict.ok", "count", can)
	}
	return c
}

// accountInputs are the fields of the forms on an account's page.
var accountInputs = []string{"policy", "plan", "billing_day", "typed", "reason_id", "effective_date", "addresses",
	"source", "opt_out_reason", "method", "path", "query", "body", "writes"}

// refusedAccount shows an account with what stands against an act beside its field.
func (k *Console) refusedAccount(r *request, a admin.ClientAccount, err error) error {
	f, status, err := r.refusedFields(err, r.Form, accountInputs...)
	if err != nil {
		return err
	}
	return k.showAccount(r, status, a, f)
}

// onAccount does something to one account and shows it again.
func (k *Console) onAccount(r *request, word string, do func(store.AccountID) error) error {
	a, err := k.accountOf(r)
	if err != nil {
		return err
	}
	if err := do(a.ID); err != nil {
		return k.refusedAccount(r, a, err)
	}
	return r.done("/admin/accounts/of/"+url.PathEscape(string(a.ID)), word)
}

func (k *Console) readAccount(r *request) error {
	return k.onAccount(r, "read", func(id store.AccountID) error {
		_, err := k.ClientAccounts.ReadPlan(r.ctx(), r.scope(), id, r.actor())
		return err
	})
}

// setAccountFactor sets what the account asks for beside the password.
func (k *Console) setAccountFactor(r *request) error {
	return k.onAccount(r, "factor", func(id store.AccountID) error {
		_, err := k.ClientAccounts.SetFactor(r.ctx(), r.scope(), id, r.Form["policy"], r.event("", ""))
		return err
	})
}

func (k *Console) setAccountPlan(r *request) error {
	return k.onAccount(r, "plan", func(id store.AccountID) error {
		in := admin.PlanInput{Plan: r.Form["plan"]}
		if text := r.Form["billing_day"]; text != "" {
			day, err := strconv.Atoi(text)
			if err != nil || day < 1 { // 0 is none to the function below
				return &admin.Error{Field: "billing_day", Fault: r.text("accounts.day.range"), Err: err}
			}
			in.BillingDay = day
		}
		_, err := k.ClientAccounts.SetPlan(r.ctx(), r.scope(), id, in, r.actor())
		return err
	})
}

// cancelAccount wants the account's id typed: it can't be taken back here.
func (k *Console) cancelAccount(r *request) error {
	return k.onAccount(r, "cancelled", func(id store.AccountID) error {
		in := admin.CancelInput{Typed: r.Form["typed"]}
		if text := r.Form["reason_id"]; text != "" {
			var err error
			if in.ReasonID, err = strconv.Atoi(text); err != nil {
				return &admin.Error{Field: "reason_id", Fault: r.text("accounts.reason.choose"), Err: err}
			}
		}
		if text := r.Form["effective_date"]; text != "" {
			var err error
			if in.At, err = time.Parse(time.DateOnly, text); err != nil {
				return &admin.Error{Field: "effective_date", Fault: r.text("accounts.date.bad"), Err: err}
			}
		}
		_, err := k.ClientAccounts.Cancel(r.ctx(), r.scope(), id, in, r.actor())
		return err
	})
}

// unsubscribe unsubscribes addresses in an account.
func (k *Console) unsubscribe(r *request) error {
	return k.onAccount(r, "unsubscribed", func(id store.AccountID) error {
		_, err := k.ClientAccounts.Unsubscribe(r.ctx(), r.scope(), id, admin.UnsubscribeInput{
			Addresses: strings.FieldsFunc(r.Form["addresses"], func(c rune) bool {
				return unicode.IsSpace(c) || c == ',' || c == ';'
			}),
			Source: r.Form["source"], Reason: strings.TrimSpace(r.Form["opt_out_reason"]),
		}, r.actor())
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
	in := admin.CallInput{Method: r.Form["method"], Path: strings.TrimSpace(r.Form["path"]), Body: r.Form["body"]}
	for line := range strings.Lines(r.Form["query"]) {
		if line = strings.TrimSpace(line); line != "" {
			in.Query = append(in.Query, line)
		}
	}
	if err = k.ClientAccounts.CheckCall(r.scope(), a.ID, in); err == nil && in.Writes() && r.Form["writes"] != "1" {
		err = &admin.Error{Field: "writes", Fault: r.text("accounts.call.tick")}
	}
	if err != nil {
		return k.refusedAccount(r, a, err)
	}
	answer, err := k.ClientAccounts.Call(r.ctx(), r.scope(), a.ID, in, r.actor())
	if err != nil {
		return k.refusedAccount(r, a, err)
	}
	values := web.Fields{}
	for _, name := range []string{"method", "path", "query", "body"} {
		values[name] = r.Form[name]
	}
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	text := plaintext.Cut(strings.ToValidUTF8(string(answer), "\ufffd"), maxAnswer)
	return k.showAccountWith(r, http.StatusOK, a, f, cmp.Or(text, r.text("accounts.call.empty")))
}

// maxAnswer is how much of an answer a page shows.
const maxAnswer = 64 << 10
