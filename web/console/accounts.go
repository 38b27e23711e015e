package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ssobridge/idp"
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
	if err := k.Provisioning.ReadAccounts(r.ctx()); err != nil {
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
