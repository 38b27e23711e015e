package console

import (
	"net/http"
	"net/url"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const adoptionPath = accountsPath + "/adoption"

// adoption lists how many people use each client account.
func (k *Console) adoption(r *request) error {
	find, after := plaintext.Cut(r.QueryParam("find"), 100), r.QueryParam("after")
	all, err := k.ClientAccounts.Use(r.ctx(), r.scope(), admin.ClientAccountFilter{Find: find,
		After: store.AccountID(after), Limit: pageSize + 1})
	if err != nil {
		return err
	}
	address := func(after string) string {
		q := url.Values{}
		if find != "" {
			q.Set("find", find)
		}
		if after != "" {
			q.Set("after", after)
		}
		return adoptionPath + "?" + q.Encode()
	}
	view := struct {
		Find        string
		Rows        []admin.AccountUse
		First, Next string
	}{Find: find, Rows: all}
	if len(all) > pageSize {
		view.Rows = all[:pageSize]
		view.Next = address(string(all[pageSize-1].Account))
	}
	if after != "" {
		view.First = address("")
	}
	r.crumbs = []link{{r.text("area.accounts"), accountsPath}}
	return r.show(http.StatusOK, "accounts-adoption", r.text("accounts.adoption"), view)
}

// exportAdoption streams the same of all client accounts as CSV.
func (k *Console) exportAdoption(r *request) error {
	h := r.Response().Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="adoption.csv"`)
	r.Response().WriteHeader(http.StatusOK) // from here on a failure breaks the connection off: no part looks whole
	return k.ClientAccounts.UseCSV(r.ctx(), r.scope(), admin.ClientAccountFilter{Find: plaintext.Cut(r.QueryParam("find"),
		100)}, r.Response())
}
