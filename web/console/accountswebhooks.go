package console

import (
	"net/http"
	"slices"
	"strconv"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/web/admin"
)

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
