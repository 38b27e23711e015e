package console

import (
	"net/http"
	"slices"
	"strconv"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

const webhooksPath = "/admin/accounts/webhooks"

// webhookRow is a topic and where Constant Contact posts it.
type webhookRow struct {
	admin.Topic
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
	}{Form: f, Off: k.Webhooks.URL == "", Admin: r.may(idp.Admin)}
	list, err := k.Webhooks.List(r.ctx(), r.scope())
	if err != nil {
		refused, ok := admin.AsError(err)
		if !ok {
			return err
		}
		r.Log(err)
		view.Fault = sentence(r.said(refused.Line()))
	}
	for _, t := range list {
		row := webhookRow{Topic: t, Elsewhere: !t.Here && t.PostedTo != ""}
		if !view.Admin {
			row.PostedTo = "" // an address may hold another system's secret: only an admin sees those
		}
		view.Rows = append(view.Rows, row)
	}
	return r.show(status, "accounts-webhooks", r.text("accounts.webhooks"), view)
}

// changeWebhook has a topic posted to this bridge, ends that, or has a test posted.
func (k *Console) changeWebhook(r *request) error {
	topic, err := strconv.Atoi(r.Form["topic"])
	if err != nil || !slices.Contains(admin.Topics(), topic) {
		return r.Missing("topic")
	}
	word := r.Form["do"]
	switch word {
	case "set":
		_, err = k.Webhooks.Set(r.ctx(), r.scope(), topic, "", r.actor())
	case "remove":
		err = k.Webhooks.Remove(r.ctx(), r.scope(), topic, r.actor())
	case "test":
		_, err = k.Webhooks.Test(r.ctx(), r.scope(), topic, r.actor())
	default:
		return r.Missing("button")
	}
	if err != nil {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showWebhooks(r, status, f)
	}
	return r.done(webhooksPath, "webhook."+word)
}
