package web

import (
	"errors"
	"net/http"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

const lockoutsPath = peoplePath + "/lockouts"

// lockouts lists who is locked out after wrong passwords.
func (k *console) lockouts(r *consoleRequest) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showLockouts(r, http.StatusOK, f)
}

func (k *console) showLockouts(r *consoleRequest, status int, f form) error {
	all, err := k.Provider.Lockouts(r.ctx())
	if err != nil {
		return err
	}
	return r.show(status, "people-lockouts", r.text("lockouts.title"), struct {
		Form  form
		All   []idp.Lockout
		Helps bool
	}{f, all, r.may(idp.Operator)})
}

// liftLockout gives tries back, as the command lockouts lift does.
func (k *console) liftLockout(r *consoleRequest) error {
	who := strings.TrimSpace(cut(r.form["who"], 300))
	back := lockoutsPath
	if r.form["back"] == "person" {
		back = personPath(store.PersonID(who))
	}
	l, err := k.LiftLockout(r.ctx(), who, r.event("", ""))
	there, fault := l.Directory, ""
	switch {
	case there != nil && there.Locked:
		fault = r.text("lockouts.there")
	case errors.Is(err, idp.ErrNotLocked) && there != nil && there.Policy != nil && l.Left < l.Limit:
		fault = r.text("lockouts.few", "failures", there.Failures, "threshold", there.Policy.Threshold)
	case errors.Is(err, idp.ErrNotLocked):
		fault = r.text("lockouts.nothing")
	case err != nil:
		r.visit.cause = err
		switch fault = k.DirectoryFault(err); {
		case fault == "":
			return err
		case errors.Is(err, directory.ErrNotFound):
			fault = r.text("lockouts.nobody")
		}
	case l.Left < l.Limit:
		return r.done(back, "liftedpart")
	default:
		return r.done(back, "lifted")
	}
	f, err := r.newForm(r.form, map[string]string{"who": fault})
	if err != nil {
		return err
	}
	return k.showLockouts(r, http.StatusConflict, f)
}
