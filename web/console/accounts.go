package console

import (
	"net/http"
	"net/url"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const accountsPath = "/admin/accounts"

func (k *Console) accountsRoutes() []route {
	return []route{
		get(accountsPath, idp.Viewer, k.accounts),
		post("/admin/accounts/refresh", idp.Operator, k.refreshAccounts),
		get(adoptionPath, idp.Viewer, k.adoption),
		get(adoptionPath+"/file", idp.Viewer, k.exportAdoption),
		get(ordersPath, idp.Viewer, k.selfOrders),
		post(ordersPath+"/:id", idp.Admin, k.decideSelfOrder).fresh(),
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
	find := plaintext.Cut(q["find"], 100)
	accounts, total, err := k.ClientAccounts.List(r.ctx(), r.scope(), admin.ClientAccountFilter{Find: find,
		After: store.AccountID(q["after"]), Limit: pageSize + 1})
	if err != nil {
		return err
	}
	orders, err := k.ClientAccounts.Orders(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		Form         form
		Find         string
		Total        int
		Accounts     []store.Account
		Requests     []orderRow
		First, Next  string
		Admin, Helps bool
	}{Form: f, Find: find, Total: total, Accounts: accounts, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	for _, o := range orders {
		view.Requests = append(view.Requests, orderRow{o, sentence(r.said(admin.OrderState(o)))})
	}
	if len(accounts) > pageSize {
		view.Accounts = accounts[:pageSize]
		view.Next = "/admin/accounts?" + url.Values{"find": {find}, "after": {string(accounts[pageSize-1].ID)}}.Encode()
	}
	if q["after"] != "" {
		view.First = "/admin/accounts?" + url.Values{"find": {find}}.Encode()
	}
	return r.show(status, "accounts", r.text("area.accounts"), view)
}

// orderRow is an order that came to no client account, and how it stands.
type orderRow struct {
	store.AccountRequest
	How string
}

func (k *Console) refreshAccounts(r *request) error {
	if err := k.ClientAccounts.Refresh(r.ctx(), r.scope()); err != nil {
		return k.refusedOnList(r, err)
	}
	return r.done(r.setUpOr(accountsPath), "refreshed")
}

// refusedOnList shows the list with what stands against an act above it.
func (k *Console) refusedOnList(r *request, err error) error {
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showAccounts(r, status, web.Fields{}, f)
}
