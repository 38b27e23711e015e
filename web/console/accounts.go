package console

import (
	"cmp"
	"encoding/json"
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
	"ssobridge/web/admin"
)

func (k *Console) accountsRoutes() []route {
	return []route{
		get("/admin/accounts", idp.Viewer, k.accounts),
		post("/admin/accounts/refresh", idp.Operator, k.refreshAccounts),
		get(webhooksPath, idp.Operator, k.webhooks),
		post(webhooksPath, idp.Admin, k.changeWebhook).fresh(),
		get("/admin/accounts/new", idp.Admin, k.newAccount).fresh(),
		post("/admin/accounts/new", idp.Admin, k.createAccount).fresh(),
		post("/admin/accounts/requests/:id", idp.Admin, k.retryAccount).fresh(),
		get("/admin/accounts/of/:account", idp.Viewer, k.account),
		post("/admin/accounts/of/:account/read", idp.Operator, k.readAccount),
		post("/admin/accounts/of/:account/factor", idp.Admin, k.setAccountFactor).fresh(),
		post("/admin/accounts/of/:account/plan", idp.Admin, k.setAccountPlan).fresh(),
		post("/admin/accounts/of/:account/cancel", idp.Admin, k.cancelAccount).fresh(),
		post("/admin/accounts/of/:account/unsubscribe", idp.Admin, k.unsubscribe).fresh(),
		post("/admin/accounts/of/:account/call", idp.Admin, k.callAccount).fresh(),
	}
}

// pageSize is how many rows a list of the console shows at once.
const pageSize = 50

// accounts lists the client accounts, by name or id.
func (k *Console) accounts(r *request) error {
	q, err := r.Query()
	if err != nil {
		return err
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showAccounts(r, http.StatusOK, q, f)
}

func (k *Console) showAccounts(r *request, status int, q web.Fields, f form) error {
	all, err := k.Store.Accounts().List(r.ctx())
	if err != nil {
		return fmt.Errorf("list client accounts: %w", err)
	}
	open, err := k.Store.Accounts().AccountRequests(r.ctx(), 100, store.RequestWanted, store.RequestSending,
		store.RequestUnknown,
		store.RequestAccepted, store.RequestConflict, store.RequestRefused)
	if err != nil {
		return fmt.Errorf("list creations of client accounts: %w", err)
	}
	view := struct {
		Form         form
		Find         string
		Total        int
		Accounts     []store.Account
		Requests     []store.AccountRequest
		First, Next  string
		Admin, Helps bool
	}{Form: f, Find: web.Cut(q["find"], 100), Total: len(all), Requests: open, Admin: r.may(idp.Admin),
		Helps: r.may(idp.Operator)}
	find := strings.ToLower(view.Find)
	slices.SortFunc(all, func(a, b store.Account) int { return cmp.Compare(a.ID, b.ID) })
	for _, a := range all {
		if a.ID <= store.AccountID(q["after"]) || find != "" && !strings.Contains(strings.ToLower(a.Name+" "+
			string(a.ID)), find) {
			continue
		}
		if len(view.Accounts) == pageSize {
			view.Next = "/admin/accounts?" + url.Values{"find": {view.Find},
				"after": {string(view.Accounts[pageSize-1].ID)}}.Encode()
			break
		}
		view.Accounts = append(view.Accounts, a)
	}
	if q["after"] != "" {
		view.First = "/admin/accounts?" + url.Values{"find": {view.Find}}.Encode()
	}
	return r.show(status, "accounts", r.text("area.accounts"), view)
}

func (k *Console) refreshAccounts(r *request) error {
	if err := k.Provisioning.RefreshAccounts(r.ctx()); err != nil {
		return k.accountFault(r, err, func(f form) error { return k.showAccounts(r, http.StatusBadGateway, web.Fields{}, f) })
	}
	return r.done("/admin/accounts", "refreshed")
}

// accountFault shows what Constant Contact said above the form that asked. Anything
// else is a fault of ours.
func (k *Console) accountFault(r *request, err error, show func(form) error) error {
	faults := provisioning.FieldErrors(err)
	for field, text := range faults {
		if own := fieldOf(field); own != field {
			delete(faults, field)
			faults[own] = strings.TrimPrefix(faults[own]+"; "+text, "; ")
		}
	}
	if text := admin.PartnerFault(err); text != "" {
		faults[""] = text
	}
	if len(faults) == 0 {
		return err
	}
	r.Log(err)
	f, ferr := r.newForm(r.Form, faults)
	if ferr != nil {
		return ferr
	}
	return show(f)
}

// fieldOf is the field of a form that a fault belongs to: Constant Contact's names of some
// stand for several of ours, by their place.
func fieldOf(name string) string {
	for prefix, own := range map[string]string{
		"email_addresses": "addresses", "update_source": "source", "account_operation_url": "path",
		"account_operation_path": "path", "account_operation_payload": "body", "account_operation_query": "query",
		"account_operation_method": "method",
	} {
		if strings.HasPrefix(name, prefix) {
			return own
		}
	}
	return name
}

// accountFields are the form's fields in order; those of the owner are filled in
// from the directory where they are left empty.
var accountFields = []string{"owner", "organization_name", "country_code", "state_code", "contact_email",
	"contact_phone", "time_zone_id", "website", "partner_account_id", "login_name", "external_id"}

func (k *Console) newAccount(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showNewAccount(r, http.StatusOK, f, "")
}

func (k *Console) showNewAccount(r *request, status int, f form, order string) error {
	return r.show(status, "accounts-new", r.text("accounts.new"), struct {
		Form   form
		Fields []string
		Order  string // as it would be sent; "" before it was looked at
	}{f, accountFields, order})
}

// createAccount shows first what would be sent, and sends it when that was seen.
func (k *Console) createAccount(r *request) error {
	v := r.Form
	order, err := k.Provisioning.OrderAccount(r.ctx(), provisioning.AccountOrder{
		Owner: v["owner"], ExternalID: v["external_id"], LoginName: v["login_name"],
		Fields: provisioning.NewAccount{
			OrganizationName: v["organization_name"], CountryCode: v["country_code"], StateCode: v["state_code"],
			ContactEmail: v["contact_email"],
			ContactPhone: v["contact_phone"], TimeZoneID: v["time_zone_id"], Website: v["website"],
			PartnerAccountID: v["partner_account_id"],
			ManagedSiteOwner: v["managed"] == "1",
		},
	})
	if err != nil {
		return k.orderFault(r, err)
	}
	if v["seen"] != fingerprint(order.Body) {
		var pretty strings.Builder
		enc := json.NewEncoder(&pretty)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(order.Body); err != nil {
			return fmt.Errorf("show an order: %w", err)
		}
		values := web.Fields{"seen": fingerprint(order.Body)}
		for name, value := range v {
			if name != "seen" {
				values[name] = value
			}
		}
		f, err := r.newForm(values, nil)
		if err != nil {
			return err
		}
		return k.showNewAccount(r, http.StatusOK, f, pretty.String())
	}
	done, err := k.Provisioning.CreateAccount(r.ctx(), order, r.actor())
	switch {
	case errors.Is(err, store.ErrConflict):
		return k.accountFault(r, &provisioning.InputError{Field: "login_name", Fault: r.text("accounts.again")},
			func(f form) error { return k.showNewAccount(r, http.StatusConflict, f, "") })
	case err != nil:
		return k.orderFault(r, err)
	}
	return k.tellRequest(r, done)
}

func (k *Console) orderFault(r *request, err error) error {
	if text := admin.DirectoryFault(err); text != "" {
		err = errors.Join(&provisioning.InputError{Field: "owner", Fault: text}, err)
	}
	return k.accountFault(r, err, func(f form) error { return k.showNewAccount(r, http.StatusUnprocessableEntity, f, "") })
}

// tellRequest goes to the account that was created, or back to the list, which shows
// the request with what Constant Contact said.
func (k *Console) tellRequest(r *request, done store.AccountRequest) error {
	if done.State == store.RequestCreated {
		return r.done("/admin/accounts/of/"+url.PathEscape(string(done.Account)), "created")
	}
	return r.done("/admin/accounts", "open")
}

func (k *Console) retryAccount(r *request) error {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return r.Missing("request")
	}
	var account store.AccountID
	if text := store.TrimBlanks(r.Form["account"]); text != "" {
		if account, err = k.accountNamed(r, text); err != nil {
			return k.accountFault(r, &provisioning.InputError{Field: "", Fault: r.text("accounts.badid")},
				func(f form) error { return k.showAccounts(r, http.StatusUnprocessableEntity, web.Fields{}, f) })
		}
	}
	done, err := k.Provisioning.RetryAccount(r.ctx(), id, account, r.actor())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.Missing("request")
	case err != nil:
		return k.accountFault(r, err, func(f form) error {
			f.Errors[""] = cmp.Or(f.Errors[""], f.Errors["account"])
			return k.showAccounts(r, http.StatusUnprocessableEntity, web.Fields{}, f)
		})
	}
	return k.tellRequest(r, done)
}

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

const webhooksPath = "/admin/accounts/webhooks"

// webhookRow is a topic and where Constant Contact posts it.
type webhookRow struct {
	provisioning.Subscription
	Here      bool // to this bridge; its address holds a secret and is not shown
	Elsewhere bool // to another system
}

// webhooks lists the topics. It takes one call of the day's budget, so the page is no
// viewer's.
func (k *Console) webhooks(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showWebhooks(r, http.StatusOK, f)
}

func (k *Console) showWebhooks(r *request, status int, f form) error {
	view := struct {
		Form  form
		Rows  []webhookRow
		Off   bool // this bridge takes none
		Admin bool
		Fault string
	}{Form: f, Off: k.WebhookURL == "", Admin: r.may(idp.Admin)}
	list, err := k.Provisioning.Webhooks(r.ctx())
	if err != nil {
		if view.Fault = admin.PartnerFault(err); view.Fault == "" {
			return err
		}
		r.Log(err)
	}
	for _, s := range list {
		row := webhookRow{Subscription: s, Here: k.WebhookURL != "" && s.HookURI == k.WebhookURL}
		row.Elsewhere = !row.Here && s.HookURI != ""
		if row.Here || !view.Admin {
			row.HookURI = "" // an address may hold another system's secret: only an admin sees those
		}
		view.Rows = append(view.Rows, row)
	}
	return r.show(status, "accounts-webhooks", r.text("accounts.webhooks"), view)
}

// changeWebhook has a topic posted to this bridge, ends that, or has a test posted.
func (k *Console) changeWebhook(r *request) error {
	topic, err := strconv.Atoi(r.Form["topic"])
	if err != nil || !slices.Contains(provisioning.WebhookTopics, topic) {
		return r.Missing("topic")
	}
	word := r.Form["do"]
	switch {
	case word == "set" && k.WebhookURL != "":
		_, err = k.Provisioning.SetWebhook(r.ctx(), topic, k.WebhookURL, r.actor())
	case word == "remove":
		err = k.Provisioning.RemoveWebhook(r.ctx(), topic, r.actor())
	case word == "test":
		_, err = k.Provisioning.TestWebhook(r.ctx(), topic, r.actor())
	default:
		return r.Missing("button")
	}
	if err != nil {
		return k.accountFault(r, err, func(f form) error { return k.showWebhooks(r, http.StatusUnprocessableEntity, f) })
	}
	return r.done(webhooksPath, "webhook."+word)
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
