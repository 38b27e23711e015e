package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

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
	order, err := k.ClientAccounts.Prepare(r.ctx(), r.scope(), admin.OrderInput{
		Owner: v["owner"], ExternalID: v["external_id"], LoginName: v["login_name"],
		OrganizationName: v["organization_name"], CountryCode: v["country_code"], StateCode: v["state_code"],
		ContactEmail: v["contact_email"], ContactPhone: v["contact_phone"], TimeZoneID: v["time_zone_id"],
		Website: v["website"], PartnerAccountID: v["partner_account_id"], Managed: v["managed"] == "1",
	})
	if err != nil {
		return k.refusedOrder(r, err)
	}
	if v["seen"] != order.Seen {
		values := web.Fields{"seen": order.Seen}
		for name, value := range v {
			if name != "seen" {
				values[name] = value
			}
		}
		f, err := r.newForm(values, nil)
		if err != nil {
			return err
		}
		return k.showNewAccount(r, http.StatusOK, f, string(order.Body))
	}
	done, err := k.ClientAccounts.Create(r.ctx(), r.scope(), order, r.actor())
	if err != nil && done.ID != 0 {
		return k.refusedOnList(r, err) // where it stands now
	}
	if err != nil {
		return k.refusedOrder(r, err)
	}
	return k.tellRequest(r, done)
}

// refusedOrder shows the form again, with what is wrong beside its field.
func (k *Console) refusedOrder(r *request, err error) error {
	f, status, err := r.refusedFields(err, r.Form, accountFields...)
	if err != nil {
		return err
	}
	return k.showNewAccount(r, status, f, "")
}

// tellRequest goes to the account that was created, or back to the list, which shows the order that was accepted.
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
	done, err := k.ClientAccounts.Resume(r.ctx(), r.scope(), id, plaintext.Cut(r.Form["account"], 400), true, r.actor())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.Missing("request")
	case err != nil:
		return k.refusedOnList(r, err)
	}
	return k.tellRequest(r, done)
}
