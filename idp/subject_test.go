package idp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"ssobridge/idp"
)

// alicesID is the NameID that the plain service provider gets for Alice.
const alicesID = "11111111-aaaa-4bbb-8ccc-000000000001"

// TestREQ19: a Subject in the request must be the person who logs in (saml-core
// 3.4.1.4), compared with the NameID that this service provider would get.
func TestREQ19(t *testing.T) {
	nameID := func(attributes, value string) string {
		return "<saml:Subject><saml:NameID" + attributes + ">" + value + "</saml:NameID></saml:Subject>"
	}
	const answered, page, atOnce = "answered", "page", "at once"
	for _, c := range []struct {
		name, subject string
		want          string
		second        string
	}{
		{"the person", nameID("", alicesID), answered, ""},
		{"white space around", nameID("", "\n "+alicesID+" "), answered, ""},
		{"format", nameID(` Format="`+persistent+`"`, alicesID), answered, ""},
		{"format left open", nameID(` Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"`,
			alicesID), answered, ""},
		{"qualifiers", nameID(` NameQualifier="`+entityID+`" SPNameQualifier="`+plain+`"`, alicesID), answered, ""},
		{"another person", nameID("", "11111111-aaaa-4bbb-8ccc-000000000002"), page, "UnknownPrincipal"},
		{"nobody", nameID("", "x"), page, "UnknownPrincipal"},
		{"other case", nameID("", strings.ToUpper(alicesID)), page, "UnknownPrincipal"},
		{"other format", nameID(` Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"`, alicesID), page,
			"UnknownPrincipal"},
		{"other NameQualifier", nameID(` NameQualifier="https://other.test"`, alicesID), page, "UnknownPrincipal"},
		{"other SPNameQualifier", nameID(` SPNameQualifier="`+ctct+`"`, alicesID), page, "UnknownPrincipal"},
		{"encrypted", `<saml:Subject><saml:EncryptedID/></saml:Subject>`, atOnce, "RequestUnsupported"},
		{"base id", `<saml:Subject><saml:BaseID/></saml:Subject>`, atOnce, "RequestUnsupported"},
		{"empty", `<saml:Subject/>`, answered, ""},
		{"a text", `<saml:Subject>x</saml:Subject>`, atOnce, "RequestUnsupported"},
		{"a text behind a comment", `<saml:Subject><!-- of --> x</saml:Subject>`, atOnce, "RequestUnsupported"},
		{"empty NameID", `<saml:Subject><saml:NameID/></saml:Subject>`, answered, ""},
		{"NameID of blanks", nameID("", " \n "), answered, ""},
		{"confirmation alone", `<saml:Subject><saml:SubjectConfirmation/></saml:Subject>`, atOnce, "RequestUnsupported"},
		{"with a confirmation", `<saml:Subject><saml:NameID>` + alicesID +
			`</saml:NameID><saml:SubjectConfirmation/></saml:Subject>`, atOnce, "RequestUnsupported"},
		{"two", `<saml:Subject><saml:NameID>` + alicesID + `</saml:NameID><saml:NameID>x</saml:NameID></saml:Subject>`,
			atOnce, "RequestUnsupported"},
	} {
		for _, signedIn := range []bool{true, false} {
			t.Run(c.name+map[bool]string{true: "/with a session", false: "/logs in"}[signedIn], func(t *testing.T) {
				f := newFixture(t, "rsa-2048", nil)
				v := visitor("b")
				if signedIn {
					v = f.signIn(t, "alice", "correct horse")
				}
				r := newRequest(plain)
				r.inner = c.subject
				a, err := f.SSO(context.Background(), byRedirect(t, r.xml()), v)
				if c.want == atOnce {
					checkStatus(t, must[idp.Deliver](t, a, err), r, "Requester", c.second)
					return
				}
				id := must[idp.GoOn](t, a, err).SignIn
				a, err = f.Resume(context.Background(), id, v)
				if !signedIn {
					// The form is not filled in with what a request says.
					if ask := must[idp.AskPassword](t, a, err); ask.Login != "" {
						t.Errorf("the form suggests %q", ask.Login)
					}
					a, err = f.Login(context.Background(), id, "alice", "correct horse", v)
					must[idp.GoOn](t, a, err)
					v.Session = a.NewSession
					a, err = f.Resume(context.Background(), id, v)
				}
				if c.want == answered {
					accept(t, peer(t, f, plain, plainACS), must[idp.Deliver](t, a, err), r.id)
					return
				}
				refused := must[idp.Refusal](t, a, err)
				if refused.Reason != idp.ReasonOtherSubject || refused.Status != http.StatusForbidden || !refused.CanCancel {
					t.Errorf("%+v", refused)
				}
				a, err = f.Cancel(context.Background(), id, v)
				checkStatus(t, must[idp.Deliver](t, a, err), r, "Requester", c.second)
			})
		}
	}
}

// TestREQ19Transient: a Subject that names the person by the NameID of the record is the person's beside a NameIDPolicy
// that asks for a transient one, which the assertion has then. Nobody else's is.
func TestREQ19Transient(t *testing.T) {
	const transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	for _, c := range []struct {
		name, subject string
		theirs        bool
	}{
		{"bare", "<saml:NameID>" + alicesID + "</saml:NameID>", true},
		{"with its format", `<saml:NameID Format="` + persistent + `">` + alicesID + "</saml:NameID>", true},
		{"another person's", "<saml:NameID>11111111-aaaa-4bbb-8ccc-000000000002</saml:NameID>", false},
		{"said to be transient", `<saml:NameID Format="` + transient + `">` + alicesID + "</saml:NameID>", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			v := f.signIn(t, "alice", "correct horse")
			r := newRequest(plain)
			r.inner = "<saml:Subject>" + c.subject + `</saml:Subject><samlp:NameIDPolicy Format="` + transient + `"/>`
			a, err := f.SSO(context.Background(), byRedirect(t, r.xml()), v)
			a, err = f.Resume(context.Background(), must[idp.GoOn](t, a, err).SignIn, v)
			if !c.theirs {
				if refused := must[idp.Refusal](t, a, err); refused.Reason != idp.ReasonOtherSubject {
					t.Errorf("%+v", refused)
				}
				return
			}
			name := find(t, root(t, must[idp.Deliver](t, a, err)), "./Assertion/Subject/NameID")
			if name.SelectAttrValue("Format", "") != transient || name.Text() == alicesID {
				t.Errorf("NameID %q of format %q", name.Text(), name.SelectAttrValue("Format", ""))
			}
		})
	}
}

// TestREQ19Passive: without a page, the status comes at once.
func TestREQ19Passive(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	r := newRequest(plain)
	r.attributes, r.inner = `IsPassive="true"`, "<saml:Subject><saml:NameID>x</saml:NameID></saml:Subject>"
	a, err := f.Resume(context.Background(), f.request(t, r, v), v)
	checkStatus(t, must[idp.Deliver](t, a, err), r, "Requester", "UnknownPrincipal")
}

// TestREQ18: the class in the assertion is one that the request asks for, or
// there is no assertion (saml-core 3.3.2.2.1).
func TestREQ18(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	const classes = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
	for _, c := range []struct {
		name, comparison string
		classes          []string
		told             string // the class in the assertion; "": the request can't be met
	}{
		{"no comparison is exact", "", []string{"PasswordProtectedTransport"}, "PasswordProtectedTransport"},
		{"exact", "exact", []string{"PasswordProtectedTransport"}, "PasswordProtectedTransport"},
		{"exact, one of several", "exact", []string{"X509", "Kerberos", "PasswordProtectedTransport"},
			"PasswordProtectedTransport"},
		{"exact, a stronger one", "exact", []string{"X509"}, ""},
		{"exact, a weaker one", "exact", []string{"Password"}, "Password"},
		{"minimum", "minimum", []string{"Password"}, "PasswordProtectedTransport"},
		{"minimum of what we have", "minimum", []string{"PasswordProtectedTransport"}, "PasswordProtectedTransport"},
		{"maximum", "maximum", []string{"PasswordProtectedTransport"}, "PasswordProtectedTransport"},
		{"maximum below", "maximum", []string{"Password"}, "Password"},
		{"better", "better", []string{"Password"}, "PasswordProtectedTransport"},
		{"better than the best", "better", []string{"PasswordProtectedTransport"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRequest(plain)
			r.inner = "<samlp:RequestedAuthnContext"
			if c.comparison != "" {
				r.inner += ` Comparison="` + c.comparison + `"`
			}
			r.inner += ">"
			for _, class := range c.classes {
				r.inner += "<saml:AuthnContextClassRef>" + classes + class + "</saml:AuthnContextClassRef>"
			}
			r.inner += "</samlp:RequestedAuthnContext>"
			a, err := f.SSO(context.Background(), byRedirect(t, r.xml()), v)
			if c.told == "" {
				checkStatus(t, must[idp.Deliver](t, a, err), r, "Responder", "NoAuthnContext")
				return
			}
			a, err = f.Resume(context.Background(), must[idp.GoOn](t, a, err).SignIn, v)
			d := must[idp.Deliver](t, a, err)
			if got := find(t, root(t, d), "//AuthnContextClassRef").Text(); got != classes+c.told {
				t.Errorf("class %s", got)
			}
		})
	}
}
