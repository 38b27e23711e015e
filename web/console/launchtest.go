package console

import (
	"net/http"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/web"
)

const launchTestPath = tracePath + "/token"

// maxTestedToken bounds what is pasted as a token, in bytes: more than any token has.
const maxTestedToken = 16 << 10

// launchTestView is the form of the tester, and what came of a token.
type launchTestView struct {
	Form    form
	Result  idp.LaunchTest
	Verdict callout // its Title is "" where nothing was tested yet
}

func (k *Console) launchTestPage(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "trace-token", r.text("launchtest.title"), launchTestView{Form: f})
}

// launchTest shows every check of a token. The page does not show the token again: one that can still be used would
// stay in the browser's memory, and be sent again by a reload.
func (k *Console) launchTest(r *request) error {
	token, live := plaintext.Cut(r.Form["token"], maxTestedToken), r.Form["live"] != ""
	values := web.Fields{"live": r.Form["live"]}
	t, err := k.Sources.Test(r.ctx(), r.scope(), token, live)
	if err != nil {
		f, status, err := r.refusedFields(err, values, "token")
		if err != nil {
			return err
		}
		return r.show(status, "trace-token", r.text("launchtest.title"), launchTestView{Form: f})
	}
	f, err := r.newForm(values, nil)
	if err != nil {
		return err
	}
	view := launchTestView{Form: f, Result: t, Verdict: callout{Kind: "ok", Title: r.text("launchtest.taken"),
		Text: r.text("launchtest.taken.text"), Verdict: true}}
	if reason := t.Reason(); reason != "" {
		why := idp.TextOf(reason)
		view.Verdict.Kind, view.Verdict.Title, view.Verdict.Text = "bad", r.said(why.Cause), r.said(why.Fix)
	}
	return r.show(http.StatusOK, "trace-token", r.text("launchtest.title"), view)
}
