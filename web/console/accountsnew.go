package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ssobridge/provisioning"
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
