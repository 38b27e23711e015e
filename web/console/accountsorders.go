package console

import (
	"net/http"
	"strconv"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

const ordersPath = "/admin/accounts/orders"

// selfOrderRow is an order of a person, and how it stands.
type selfOrderRow struct {
	admin.SelfOrder
	How string
}

// selfOrders lists client accounts that people order for themselves: first those that wait for approval.
func (k *Console) selfOrders(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showSelfOrders(r, http.StatusOK, f)
}

func (k *Console) showSelfOrders(r *request, status int, f form) error {
	waiting, err := k.SelfOrders.Waiting(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	before, err := strconv.ParseInt(r.QueryParams().Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	list, err := k.SelfOrders.List(r.ctx(), r.scope(), before, pageSize+1)
	if err != nil {
		return err
	}
	view := struct {
		Form           form
		Waiting, Ended []selfOrderRow
		Admin          bool
		First, Next    string
	}{Form: f, Admin: r.may(idp.Admin)}
	if before > 0 {
		view.First = ordersPath
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		view.Next = ordersPath + "?before=" + strconv.FormatInt(list[pageSize-1].ID, 10)
	}
	row := func(o admin.SelfOrder) selfOrderRow {
		return selfOrderRow{o, sentence(r.said(admin.SelfOrderState(o)))}
	}
	for _, o := range waiting {
		view.Waiting = append(view.Waiting, row(o))
	}
	for _, o := range list {
		if o.ExpiresAt.IsZero() || o.State != "waiting" {
			view.Ended = append(view.Ended, row(o))
		}
	}
	return r.show(status, "accounts-orders", r.text("accounts.people.orders"), view)
}

// decideSelfOrder approves or refuses an order.
func (k *Console) decideSelfOrder(r *request) error {
	id, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil || id < 1 {
		return r.Missing("id")
	}
	word := r.Form["do"]
	switch word {
	case "approve":
		_, err = k.SelfOrders.Approve(r.ctx(), r.scope(), id, r.actor())
	case "refuse":
		_, err = k.SelfOrders.Refuse(r.ctx(), r.scope(), id, r.Form["reason"], r.actor())
	default:
		return r.Missing("button")
	}
	if err != nil {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showSelfOrders(r, status, f)
	}
	return r.done(ordersPath, "order."+word)
}
