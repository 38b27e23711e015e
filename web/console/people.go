package console

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const peoplePath = "/admin/people"

func (k *Console) peopleRoutes() []route {
	return []route{
		get(peoplePath, idp.Viewer, k.people),
		get(lockoutsPath, idp.Viewer, k.lockouts),
		post(lockoutsPath, idp.Operator, k.liftLockout),
		get(peoplePath+"/of/:person", idp.Viewer, k.person),
		get(peoplePath+"/of/:person/preview", idp.Viewer, k.previewAssertion),
		post(peoplePath+"/of/:person/user", idp.Operator, k.changeUser),
		post(peoplePath+"/of/:person/adopt", idp.Admin, k.adoptUser).fresh(),
		post(peoplePath+"/of/:person/end", idp.Operator, k.endPersonSessions),
		post(peoplePath+"/of/:person/factors", idp.Admin, k.changePersonFactors).fresh(),
		post(peoplePath+"/of/:person/capture", idp.Admin, k.capturePerson).fresh(),
		post(peoplePath+"/of/:person/forget", idp.Admin, k.forgetPerson).fresh(),
	}
}

func personPath(id store.PersonID) string { return peoplePath + "/of/" + url.PathEscape(string(id)) }

// people searches the directory.
func (k *Console) people(r *request) error {
	view := struct {
		Find   string
		Looked bool
		Found  []directory.Person
		More   bool
		Fault  string
	}{Find: web.Cut(r.QueryParam("find"), 400)}
	if view.Find != "" {
		view.Looked = true
		var err error
		view.Found, view.More, err = k.Directory.SearchPeople(r.ctx(), view.Find, pageSize)
		switch text := admin.DirectoryFault(err); {
		case errors.Is(err, directory.ErrLookup):
			view.Fault = r.text("people.short")
		case text != "":
			view.Fault = text
			r.Log(err)
		case err != nil:
			return fmt.Errorf("search people: %w", err)
		}
	}
	return r.show(http.StatusOK, "people", r.text("area.people"), view)
}

// personView is all that is known of somebody.
type personView struct {
	personLists

	Form         form
	Own          string
	ID           store.PersonID
	Entry        directory.Entry
	Gone         bool   // not in the directory, or not for us
	Fault        string // the directory did not answer
	Hits         []personHit
	Access       []personAccess
	Former       []store.SSOUser // users without an assignment
	Groups       []directory.Group
	Sessions     []store.Session
	Factors      []mfa.Factor
	Lockouts     []idp.Lockout
	Locked       *directory.Lockout // by the directory itself; nil: it is not, or can't be read
	Captured     time.Time          // until when assertions are captured; zero: they are not
	Events       []store.Event
	Providers    []store.ServiceProvider
	Admin, Helps bool
}

type personHit struct {
	mapping.Hit
	Who string
}

// personAccess is one client account that the mappings give, with its user.
type personAccess struct {
	admin.Given
	Factor mfa.Policy // what the account asks for beside the password
}

// entryOf reads a person with the groups, whatever state the account is in.
func (k *Console) entryOf(r *request, id store.PersonID) (directory.Entry, error) {
	e, err := k.Directory.Read(r.ctx(), string(id))
	if err == nil && e.Problem != "" && e.Login != "" {
		if full, err := k.Directory.Find(r.ctx(), e.Login); err == nil && full.ID == e.ID {
			full.Problem = e.Problem
			return full, nil
		}
	}
	return e, err
}

func (k *Console) person(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showPerson(r, http.StatusOK, f)
}

func (k *Console) showPerson(r *request, status int, f form) error {
	id := r.personOf()
	v := personView{Form: f, Own: personPath(id), ID: id, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	users, err := k.Store.Ledger().Person(r.ctx(), id)
	if err != nil {
		return fmt.Errorf("read the SSO users of %s: %w", id, err)
	}
	if v.Entry, err = k.entryOf(r, id); err != nil {
		text := admin.DirectoryFault(err)
		if text == "" || len(users) == 0 && strings.Contains(err.Error(), "bad_data") {
			r.Log(err)
			return r.Missing("person")
		}
		v.Fault = text
		r.Log(err)
	}
	v.Gone = v.Fault == "" && v.Entry.Login == ""
	if v.Gone && len(users) == 0 {
		return r.Missing("person")
	}
	if err := k.listPerson(r, &v, users); err != nil {
		return err
	}
	if v.Sessions, err = k.Store.Sessions().OfPerson(r.ctx(), id, k.SessionIdle); err != nil {
		return fmt.Errorf("list the sessions of %s: %w", id, err)
	}
	if v.Factors, err = k.Provider.Factors().List(r.ctx(), id); err != nil {
		return err
	}
	if v.Lockouts, err = k.Provider.LockoutsOf(r.ctx(), id); err != nil {
		return err
	}
	if there, ok := k.Provider.DirectoryLockout(r.ctx(), id); ok && there.Locked {
		v.Locked = &there
	}
	if v.Captured, err = k.Provider.CapturedUntil(r.ctx(), id); err != nil {
		return err
	}
	if v.Events, err = k.Store.Audit().List(r.ctx(), store.Filter{Subject: string(id), Limit: 20}); err != nil {
		return err
	}
	if v.Providers, err = k.Store.ServiceProviders().List(r.ctx()); err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	name := cmp.Or(strings.TrimSpace(v.Entry.FirstName+" "+v.Entry.LastName), v.Entry.Login)
	if name == "" && len(users) > 0 {
		name = who(users[0])
	}
	return r.show(status, "people-one", cmp.Or(name, string(id)), v)
}

// changeUser is one button of one SSO user.
func (k *Console) changeUser(r *request) error {
	account, err := k.accountNamed(r, r.Form["account"])
	if err != nil {
		r.Log(err)
		return r.Missing("client account")
	}
	key := store.UserKey{Person: r.personOf(), Account: account}
	word := r.Form["do"]
	switch word {
	case "provision":
		err = k.provisionNow(r, key)
	case "retry":
		var n int
		n, err = k.Provisioning.RetryUsers(r.ctx(), store.UserFilter{Person: key.Person, Account: key.Account}, r.actor())
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
	case "confirm":
		_, err = k.Provisioning.ConfirmUsers(r.ctx(), []store.UserKey{key}, r.actor())
	case "suspend":
		err = k.Provisioning.SuspendUser(r.ctx(), key, r.actor())
	case "resume":
		err = k.Provisioning.ResumeUser(r.ctx(), key, r.actor())
	default:
		return r.Missing("button")
	}
	var refused *personRefusal
	switch {
	case err == nil:
		return r.done(personPath(key.Person), "user."+word)
	case errors.As(err, &refused), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		text := r.text("people.notnow")
		if refused != nil {
			text = refused.text
		}
		r.Log(err)
		f, ferr := r.newForm(nil, map[string]string{"": text})
		if ferr != nil {
			return ferr
		}
		return k.showPerson(r, http.StatusConflict, f)
	}
	return err
}

// personRefusal is a sentence for the admin.
type personRefusal struct{ text string }

func (e *personRefusal) Error() string { return e.text }

// provisionNow asks the gate as the person's own sign-in would: the intention is
// stored, and the worker makes the call first of all that waits.
func (k *Console) provisionNow(r *request, key store.UserKey) error {
	e, err := k.entryOf(r, key.Person)
	if err != nil {
		if text := admin.DirectoryFault(err); text != "" {
			return &personRefusal{text}
		}
		return err
	}
	if e.Problem != "" {
		return &personRefusal{r.text("people.cantsignin", "problem", e.Problem)}
	}
	d, err := k.Provisioning.Decide(r.ctx(), provisioning.Question{Person: e, Account: key.Account, MayCreate: true,
		Ref: r.Ref(), Address: r.Address()})
	if err != nil {
		return fmt.Errorf("provision person %s in account %s: %w", key.Person, key.Account, err)
	}
	if d.Outcome == provisioning.Denied {
		return &personRefusal{r.text("people.denied", "reason", d.Reason, "detail", d.Detail)}
	}
	return k.Store.Audit().Add(r.ctx(), func() store.Event {
		event := r.event("provision-now", string(key.Person))
		event.Account = key.Account
		return event
	}())
}

// adoptUser takes a user that exists at Constant Contact already.
func (k *Console) adoptUser(r *request) error {
	told := provisioning.Told{
		Person: string(r.personOf()), Account: store.TrimBlanks(r.Form["account"]),
		ExternalID: strings.TrimSpace(r.Form["external_id"]),
		LoginName:  strings.TrimSpace(r.Form["login_name"]), Role: r.Form["role"],
	}
	tellings, err := k.Provisioning.PreviewAdoption(r.ctx(), []provisioning.Told{told})
	if err != nil {
		if text := admin.DirectoryFault(err); text != "" {
			return k.adoptFault(r, text)
		}
		return err
	}
	if tellings[0].Fault != "" {
		return k.adoptFault(r, tellings[0].Fault)
	}
	if tellings, err = k.Provisioning.AdoptUsers(r.ctx(), tellings, r.actor()); err != nil {
		return err
	}
	if tellings[0].Fault != "" {
		return k.adoptFault(r, tellings[0].Fault)
	}
	return r.done(personPath(store.PersonID(told.Person)), "adopted")
}

func (k *Console) adoptFault(r *request, text string) error {
	f, err := r.newForm(r.Form, map[string]string{"": text})
	if err != nil {
		return err
	}
	return k.showPerson(r, http.StatusUnprocessableEntity, f)
}

func (k *Console) endPersonSessions(r *request) error {
	id := r.personOf()
	event := r.event("session-end", string(id))
	event.Reason = "by_admin"
	if _, err := k.Store.Sessions().EndPerson(r.ctx(), id, event); err != nil {
		return fmt.Errorf("end the sessions of %s: %w", id, err)
	}
	return r.done(personPath(id), "ended")
}

// changePersonFactors invites somebody to enrol a second factor, or removes those that they
// have lost.
func (k *Console) changePersonFactors(r *request) error {
	id := r.personOf()
	if r.Form["what"] == "reset" {
		if _, err := k.Provider.Factors().Reset(r.ctx(), id, r.event("", "")); err != nil {
			return err
		}
		return r.done(personPath(id), "reset")
	}
	if e, err := k.entryOf(r, id); err != nil || e.Login == "" {
		r.Log(err)
		return r.Missing("person")
	}
	code, ends, err := k.Provider.Invite(r.ctx(), id, r.Form["what"] == "again", r.event("", ""))
	text := ""
	switch {
	case errors.Is(err, store.ErrConflict): // one was enrolled since the page was shown
		text = r.text("people.hasfactor")
	case errors.Is(err, idp.ErrNoConsoleRole):
		text = r.text("people.norole")
	}
	switch {
	case text != "":
		r.Log(err)
		f, err := r.newForm(r.Form, map[string]string{"": text})
		if err != nil {
			return err
		}
		return k.showPerson(r, http.StatusConflict, f)
	case err != nil:
		return err
	}
	return r.show(http.StatusOK, "people-invite", r.text("people.invite"), struct {
		Back, Code string
		Ends       time.Time
	}{personPath(id), code, ends})
}

// capturePerson has the person's assertions captured for a while, or ends that.
func (k *Console) capturePerson(r *request) error {
	id := r.personOf()
	if r.Form["do"] == "end" {
		if err := k.Provider.EndCapture(r.ctx(), id, r.event("", "")); err != nil {
			return err
		}
		return r.done(personPath(id), "capture.end")
	}
	minutes, err := strconv.Atoi(r.Form["minutes"])
	if err != nil || !slices.Contains(captureMinutes, minutes) {
		return r.Missing("time")
	}
	if e, err := k.entryOf(r, id); err != nil || e.Login == "" {
		r.Log(err)
		return r.Missing("person")
	}
	if _, err := k.Provider.CaptureFor(r.ctx(), id, time.Duration(minutes)*time.Minute, r.event("", "")); err != nil {
		return err
	}
	return r.done(personPath(id), "capture.begin")
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
	done, err := k.Provisioning.ForgetPerson(r.ctx(), id, r.Form["deleted"] == "1", r.actor())
	if faults := provisioning.FieldErrors(err); len(faults) > 0 {
		all := ""
		for _, field := range slices.Sorted(maps.Keys(faults)) {
			all += faults[field] + ". "
		}
		return refuse(map[string]string{"typed": all})
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.Missing("person")
	case err != nil:
		return err
	}
	return r.show(http.StatusOK, "people-forgotten", r.text("people.forgotten"), done)
}

// captureMinutes are what the page offers.
var captureMinutes = []int{15, 30, 60}

// previewAssertion shows what a service provider would get of the person.
func (k *Console) previewAssertion(r *request) error {
	id := r.personOf()
	e, err := k.entryOf(r, id)
	if err != nil || e.Login == "" {
		r.Log(err)
		return r.Missing("person")
	}
	account, err := k.accountFiltered(r, r.QueryParam("account")) // none: the person's only one
	if err != nil {
		return err
	}
	view := struct {
		Back    string
		Login   string
		Preview idp.AssertionPreview
		Notes   []string
		Fault   string
	}{Back: personPath(id), Login: e.Login}
	x, err := k.People.Preview(r.ctx(), admin.Everything(), e.Login, web.Cut(r.QueryParam("sp"), 1024), account)
	view.Preview, view.Notes = x.AssertionPreview, x.Notes
	if err != nil {
		refused, ok := admin.AsError(err)
		if !ok {
			return err
		}
		r.Log(err)
		view.Fault = refused.Line()
	}
	return r.show(http.StatusOK, "people-preview", r.text("people.preview"), view)
}
