package console

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
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
		post(peoplePath+"/of/:person/preview", idp.Operator, k.compareAssertion),
		post(peoplePath+"/of/:person/user", idp.Operator, k.changeUser),
		post(peoplePath+"/of/:person/undo", idp.Operator, k.undoSuspension),
		post(peoplePath+"/of/:person/adopt", idp.Admin, k.adoptUser).fresh(),
		post(peoplePath+"/of/:person/end", idp.Operator, k.endPersonSessions),
		post(peoplePath+"/of/:person/factors", idp.Admin, k.changePersonFactors).fresh(),
		post(peoplePath+"/of/:person/capture", idp.Admin, k.capturePerson).fresh(),
		post(peoplePath+"/of/:person/forget", idp.Admin, k.forgetPerson).fresh(),
	}
}

// people searches the directory.
func (k *Console) people(r *request) error {
	view := struct {
		Find   string
		Looked bool
		Short  bool
		Found  []directory.Person
		More   bool
		Fault  string
	}{Find: plaintext.Cut(r.QueryParam("find"), 400)}
	// Two letters find half the directory: as somebody types, nothing is asked of it yet.
	short := r.Partial() && utf8.RuneCountInString(strings.TrimSpace(view.Find)) < searchFrom
	view.Short = short && view.Find != ""
	if view.Find != "" && !short {
		view.Looked = true
		var err error
		view.Found, view.More, err = k.People.Search(r.ctx(), r.scope(), view.Find, pageSize)
		if e, ok := admin.AsError(err); ok {
			view.Fault = sentence(r.said(e.Line()))
			r.Log(err)
		} else if err != nil {
			return err
		}
	}
	return r.show(http.StatusOK, "people", r.text("area.people"), view)
}
