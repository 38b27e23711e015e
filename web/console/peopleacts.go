package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

func (k *Console) endPersonSessions(r *request) error {
	id := r.personOf()
	if _, err := k.Sessions.End(r.ctx(), r.scope(), id, r.event("", "")); err != nil {
		return err
	}
	return r.done(personTab(id, securityTab), "ended")
}

// changePersonFactors invites somebody to enrol a second factor, or removes those that they
// have lost.
func (k *Console) changePersonFactors(r *request) error {
	id := r.personOf()
	if r.Form["what"] == "reset" {
		if _, err := k.Factors.Reset(r.ctx(), r.scope(), id, r.event("", "")); err != nil {
			return err
		}
		return r.done(personTab(id, securityTab), "reset")
	}
	if e, err := k.Users.Entry(r.ctx(), id); err != nil || e.Login == "" {
		r.Log(err)
		return r.Missing("person")
	}
	invitation, err := k.Factors.Invite(r.ctx(), r.scope(), id, r.Form["what"] == "again", r.event("", ""))
	if err != nil {
		f, _, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showPerson(r, http.StatusConflict, f) // the person's state is another one than the page offered
	}
	return r.show(http.StatusOK, "people-invite", r.text("people.invite"), struct {
		Back, Code string
		Ends       time.Time
	}{personTab(id, securityTab), invitation.Code, invitation.Until})
}

// capturePerson has the person's assertions captured for a while, or ends that.
func (k *Console) capturePerson(r *request) error {
	id := r.personOf()
	if r.Form["do"] == "end" {
		if err := k.Captures.End(r.ctx(), r.scope(), id, r.event("", "")); err != nil {
			return err
		}
		return r.done(personTab(id, moreTab), "capture.end")
	}
	minutes, err := strconv.Atoi(r.Form["minutes"])
	if err != nil || !slices.Contains(captureMinutes, minutes) {
		return r.Missing("time")
	}
	if e, err := k.Users.Entry(r.ctx(), id); err != nil || e.Login == "" {
		r.Log(err)
		return r.Missing("person")
	}
	life := time.Duration(minutes) * time.Minute
	if _, err := k.Captures.Begin(r.ctx(), r.scope(), id, life, r.event("", "")); err != nil {
		return err
	}
	return r.done(personTab(id, moreTab), "capture.begin")
}

// forgetPerson removes all that tells who somebody is. It wants the person's id typed: it
// can't be taken back.
func (k *Console) forgetPerson(r *request) error {
	id := r.personOf()
	refuse := func(faults map[string]string) error {
		f, err := r.newForm(r.Form, faults)
		if err != nil {
			return err
		}
		return k.showPerson(r, http.StatusUnprocessableEntity, f)
	}
	if string(personNamed(r.Form["typed"])) != string(id) {
		return refuse(map[string]string{"typed": r.text("people.forget.typed")})
	}
	done, err := k.Users.Forget(r.ctx(), r.scope(), id, r.Form["deleted"] == "1", r.actor())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.Missing("person")
	case err != nil:
		f, status, err := r.refusedForm(err, map[string]string{"person": "typed"})
		if err != nil {
			return err
		}
		return k.showPerson(r, status, f)
	}
	return r.show(http.StatusOK, "people-forgotten", r.text("people.forgotten"), done)
}

// captureMinutes are what the page offers.
var captureMinutes = []int{15, 30, 60}

// previewAssertion shows what a service provider would get of the person.
func (k *Console) previewAssertion(r *request) error {
	return k.showPreview(r, plaintext.Cut(r.QueryParam("sp"), 1024), r.QueryParam("account"), "")
}

// compareAssertion holds what another identity provider sent for the person against that. It changes nothing.
func (k *Console) compareAssertion(r *request) error {
	return k.showPreview(r, plaintext.Cut(r.Form["sp"], 1024), r.Form["account"], r.Form["captured"])
}

func (k *Console) showPreview(r *request, entityID, ofAccount, captured string) error {
	id := r.personOf()
	e, err := k.Users.Entry(r.ctx(), id)
	if err != nil || e.Login == "" {
		r.Log(err)
		return r.Missing("person")
	}
	account, err := k.accountFiltered(r, ofAccount) // none: the person's only one
	if err != nil {
		return err
	}
	view := struct {
		Form        form
		Back        string
		Login       string
		SP, Account string // as they were asked for
		Compares    bool
		Compared    *admin.Comparison // nil: nothing was captured
		Preview     idp.AssertionPreview
		Notes       []string
		Fault       string
	}{Back: personPath(id), Login: e.Login, SP: entityID, Account: string(account), Compares: r.may(idp.Operator)}
	who := e.Login
	if e.Source != "" {
		who = e.ID // a source need not keep its logins apart
	}
	x, err := k.People.Preview(r.ctx(), r.scope(), who, entityID, account)
	view.Preview, view.Notes = x.AssertionPreview, x.Notes
	if err != nil {
		refused, ok := admin.AsError(err)
		if !ok {
			return err
		}
		r.Log(err)
		view.Fault = r.said(refused.Line())
	}
	status, faults := http.StatusOK, map[string]string{}
	if captured != "" && err == nil {
		compared, err := k.People.Compare(r.ctx(), r.scope(), []byte(captured), e.Login, entityID, account)
		if err == nil {
			view.Compared = &compared
		} else {
			refused, ok := admin.AsError(err)
			if !ok {
				return err
			}
			r.Log(err)
			status, faults["captured"] = refusedStatus(refused), r.said(refused.Line())
		}
	}
	if view.Form, err = r.newForm(web.Fields{"captured": captured}, faults); err != nil {
		return err
	}
	return r.show(status, "people-preview", r.text("people.preview"), view)
}
