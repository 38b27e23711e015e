package console

import (
	"net/http"
	"strings"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// setUpPath is the way from an empty store to the first person who signed in. Forms that are reached from there carry
// the field setup, and lead back.
const setUpPath = "/admin/setup"

// setUpGiven is how many client accounts of the person of a test are shown.
const setUpGiven = 5

type setUpView struct {
	Form         form
	Steps        admin.SetUpSteps
	Admin, Helps bool
	Verdict      *callout // what a sign-in of the person would come to; nil: nobody was named
	Given        []admin.ExplainedAccount
	Launch       string // what launch links begin with
}

func (k *Console) setUp(r *request) error {
	h, err := k.Status.Health(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	v := setUpView{Admin: r.may(idp.Admin), Helps: r.may(idp.Operator), Launch: k.public.JoinPath("launch").String()}
	if v.Steps, err = k.SetUp.Steps(r.ctx(), r.scope(), h); err != nil {
		return err
	}
	login := strings.TrimSpace(plaintext.Cut(r.QueryParam("login"), 200))
	faults := map[string]string{}
	if login != "" {
		x, err := k.People.Explain(r.ctx(), r.scope(), login, admin.ExplainWhat{Limit: setUpGiven})
		if e, refused := admin.AsError(err); refused {
			r.Log(err)
			faults["login"] = sentence(r.said(e.Line()))
		} else if err != nil {
			return err
		} else {
			v.Given = x.Assignments
			c := r.setUpVerdict(x)
			v.Verdict = &c
		}
	}
	if v.Form, err = r.newForm(web.Fields{"login": login}, nil); err != nil {
		return err
	}
	v.Form.Errors = faults
	return r.show(http.StatusOK, "setup", r.text("setup.title"), v)
}

// setUpVerdict says whether the person could sign in.
func (r *request) setUpVerdict(x admin.Explanation) callout {
	name := strings.TrimSpace(x.Person.FirstName + " " + x.Person.LastName)
	if name == "" {
		name = x.Person.Login
	}
	open := 0
	for _, a := range x.Assignments {
		if a.Refused == "" {
			open++
		}
	}
	acts := []link{{r.text("setup.open", "person", name), personPath(personNamed(x.Person.ID))}}
	switch {
	case x.Person.Problem != "":
		return callout{Kind: "bad", Title: r.text("setup.cant", "person", name),
			Text: r.text("people.cantsignin", "problem", x.Person.Problem), Acts: acts}
	case len(x.Assignments) == 0:
		return callout{Kind: "bad", Title: r.text("setup.cant", "person", name), Text: r.text("people.noaccess"), Acts: acts}
	case open == 0:
		return callout{Kind: "bad", Title: r.text("setup.cant", "person", name),
			Text: sentence(r.said(x.Assignments[0].Refused)), Acts: acts}
	default:
		return callout{Kind: "ok", Title: r.text("setup.can", "person", name), Text: r.text("setup.try"), Acts: acts}
	}
}

// setUpOr is where a form leads that may be reached from the set-up.
func (r *request) setUpOr(path string) string {
	if r.Form["setup"] == "1" {
		return setUpPath
	}
	return path
}
