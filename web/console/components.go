package console

import (
	"math"
	"net/http"
	"time"

	"ssobridge/idp"
	"ssobridge/web"
)

// componentsRoutes are the page of all parts of the design system. It shows invented data, so that it is served by the
// demo alone.
func (k *Console) componentsRoutes() []route {
	if !k.Components {
		return nil
	}
	return []route{
		get("/admin/components", idp.Viewer, k.components),
		get("/admin/components/confirm", idp.Viewer, k.componentsConfirm),
	}
}

// sampleText is long on purpose: what parts do with long names is seen here.
const sampleText = "Northside Cycling Club of the Greater Harbour Metropolitan Area and its Surrounding Municipalities"

func (k *Console) components(r *request) error {
	f, err := r.newForm(web.Fields{"name": "Harbour Books", "role": "account_manager", "wrong": "bob"},
		map[string]string{"wrong": "No client account has this id. Copy it from the list."})
	if err != nil {
		return err
	}
	now := k.now()
	rows := make([]chartRow, 0, 24)
	for i := range 24 {
		wave := 60 + 50*math.Sin(float64(i)/3.8)
		rows = append(rows, chartRow{At: now.UTC().Truncate(time.Hour).Add(time.Duration(i-23) * time.Hour),
			Values: []int64{int64(wave), int64(wave / 12), int64(i % 5 / 4 * 3)}})
	}
	sample := newChart("", "Hour", []string{"Signed in", "Wrong password", "Refused"}, rows, time.Hour)
	sample.Summary = "Sign-ins of 24 hours, with wrong passwords and refusals."
	return r.show(http.StatusOK, "components", "Components", struct {
		Form                form
		Icons               []string
		Soon, Now, Past     time.Time
		Long                string
		Tiles               []tile
		Good, Warning, Down callout
		Chart               chart
		Meter               meter
		Roles               []option
	}{
		Form: f, Soon: now.Add(27 * 24 * time.Hour), Now: now.Add(-4 * time.Minute), Past: now.Add(-90 * 24 * time.Hour),
		Long:  sampleText,
		Icons: []string{"house", "users", "route", "building-2", "workflow", "shield-check", "key-round", "bell"},
		Tiles: []tile{
			{Kind: "ok", Name: "Directory", State: "OK", Text: "2 of 2 servers answer."},
			{Kind: "bad", Name: "Constant Contact", State: "Down", Text: "The last 3 calls failed.",
				Since: now.Add(-4 * time.Minute), Link: link{"Show waiting people", "#strip"}},
			{Kind: "ok", Name: "Single sign-on", State: "OK", Text: "Last sign-in 20 seconds ago."},
			{Kind: "warn", Name: "Keys and certificates", State: "Warning", Text: "1 certificate expires in 27 days.",
				Since: now.Add(-50 * time.Hour), Link: link{"Start roll-over", "#strip"}},
			{Kind: "ok", Name: "Store", State: "OK", Text: "Last backup 2 hours ago."},
			{Kind: "off", Name: "Audit log", State: "Not checked", Text: "No check was made yet."},
		},
		Good: callout{Kind: "ok", Verdict: true, Title: "Alice can sign in to 2 client accounts."},
		Warning: callout{Kind: "warn", Verdict: true, Title: "Provisioning is paused.",
			Text: "Nobody new gets a user until it is resumed.", Acts: []link{{"Resume provisioning", "#verdict"}}},
		Down: callout{Kind: "bad", Verdict: true, Title: "Bob can't be created: no e-mail address in the directory.",
			Text: "Fill in the attribute mail, then try again.",
			Acts: []link{{"Try again", "#verdict"}, {"Open Bob Brandt", "#verdict"}}},
		Chart: sample, Meter: newMeter("412 of 10,000 calls", 412, 8000, 10000),
		Roles: []option{{"campaign_creator", "Campaign creator"}, {"account_manager", "Account manager"}},
	})
}

func (k *Console) componentsConfirm(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "components-confirm", "Remove mapping", confirmation{
		Form: f, Question: "Remove mapping 12?", Button: "Remove mapping", Danger: true,
		Points: []string{"54 people lose access to Harbour Books.", "Their users at Constant Contact become manual tasks."},
		Action: "/admin/components", Back: "/admin/components",
	})
}
