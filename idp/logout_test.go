package idp_test

import (
	"compress/flate"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/store"
)

// Service providers that take part in single logout: one by HTTP-Redirect, one by
// HTTP-POST with an address of its own for answers.
const (
	calendar       = "https://calendar.partner.test/metadata"
	plainSLO       = "https://wiki.partner.test/slo?tenant=1"
	calendarSLO    = "https://calendar.partner.test/slo"
	calendarAnswer = "https://calendar.partner.test/slo/answer"
	sloEndpoint    = publicURL + "/saml/slo"
)

func wikiWithLogout(t testing.TB) store.ServiceProvider {
	sp := plainSP()
	sp.Certificates = [][]byte{readKey(t, "sp-rsa").Certificate.Raw}
	sp.Logout = []store.LogoutEndpoint{{URL: plainSLO, Binding: saml.HTTPRedirectBinding}}
	return sp
}

func calendarWithLogout(t testing.TB) store.ServiceProvider {
	sp := plainSP()
	sp.EntityID, sp.Name = calendar, "Calendar"
	sp.ACS = []store.Endpoint{{URL: "https://calendar.partner.test/acs", Binding: saml.HTTPPostBinding}}
	sp.Certificates = [][]byte{readKey(t, "sp-other").Certificate.Raw}
	sp.Logout = []store.LogoutEndpoint{
		{URL: "https://calendar.partner.test/soap", Binding: saml.SOAPBinding},
		{URL: calendarSLO, ResponseURL: calendarAnswer, Binding: saml.HTTPPostBinding},
	}
	return sp
}

// logoutFixture has single logout on, and both service providers.
func logoutFixture(t testing.TB, key string, change func(*idp.Options)) *fixture {
	t.Helper()
	f := newFixture(t, key, func(o *idp.Options) {
		o.SingleLogout = true
		if change != nil {
			change(o)
		}
	})
	f.put(t, wikiWithLogout(t))
	f.put(t, calendarWithLogout(t))
	return f
}

// used signs the person in at a service provider and returns what it learns.
func (f *fixture) used(t testing.TB, v idp.Visitor, entityID string) (nameID, index string) {
	t.Helper()
	now.Advance(time.Millisecond) // they are listed in the order of their use
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: entityID}, v)
	response := root(t, must[idp.Deliver](t, a, err))
	return find(t, response, "./Assertion/Subject/NameID").Text(),
		find(t, response, "./Assertion/AuthnStatement").SelectAttrValue("SessionIndex", "")
}

// live tells whether the visitor has a session.
func (f *fixture) live(t testing.TB, v idp.Visitor) bool {
	t.Helper()
	_, ok, err := f.SignedIn(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// logoutAsk is a LogoutRequest to send; every part can be spoilt.
type logoutAsk struct {
	id, version, instant, issuer string
	destination, end             string // with the name of the attribute
	name                         string // the element
	inner                        string
}

func newLogoutAsk(issuer, nameID string, indexes ...string) logoutAsk {
	requests++
	r := logoutAsk{
		id: fmt.Sprintf("_logout-%d", requests), version: "2.0", instant: now.Now().Format(time.RFC3339),
		issuer:      "<saml:Issuer>" + issuer + "</saml:Issuer>",
		destination: ` Destination="` + sloEndpoint + `"`, name: `<saml:NameID Format="` + persistent + `">` + nameID +
			`</saml:NameID>`,
	}
	for _, i := range indexes {
		r.inner += "<samlp:SessionIndex>" + i + "</samlp:SessionIndex>"
	}
	return r
}

func (r logoutAsk) xml() string {
	return `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` +
		r.id + `" Version="` + r.version + `" IssueInstant="` + r.instant + `"` + r.destination + r.end + `>` +
		r.issuer + r.name + r.inner + `</samlp:LogoutRequest>`
}

// logoutResponse answers a LogoutRequest of ours.
func logoutResponse(issuer, inResponseTo, status string) string {
	requests++
	return fmt.Sprintf(`<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_answer-%d" Version="2.0" IssueInstant="%s" Destination="%s" InResponseTo="%s"><saml:Issuer>%s</saml:Issuer><samlp:Status>%s</samlp:Status></samlp:LogoutResponse>`,
		requests, now.Now().Format(time.RFC3339), sloEndpoint, inResponseTo, issuer, status)
}

const (
	success = `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>`
	partial = `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:PartialLogout"/></samlp:StatusCode>`
	refused = `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"/>`
)

// logoutByQuery signs a message of single logout by the HTTP-Redirect binding.
func logoutByQuery(t testing.TB, key *certs.Key, document string, state *string) *http.Request {
	t.Helper()
	text := query{key: key, state: state}.sign(t, document)
	if strings.HasPrefix(document, "<samlp:LogoutResponse") {
		text, _, _ = strings.Cut(text, "&Signature=")
		text = strings.Replace(text, "SAMLRequest", "SAMLResponse", 1)
		text += "&Signature=" + urlEscape(base64.StdEncoding.EncodeToString(signOctets(t, key, rsaSHA256, false,
			[]byte(text))))
	}
	return get(text)
}

// logoutByForm signs a message of single logout by the HTTP-POST binding.
func logoutByForm(t testing.TB, key *certs.Key, document string, more ...string) *http.Request {
	t.Helper()
	return logoutForm(signature{key: key}.sign(t, document), more...)
}

func logoutForm(document string, more ...string) *http.Request {
	name := "SAMLRequest="
	if strings.HasPrefix(document, "<samlp:LogoutResponse") {
		name = "SAMLResponse="
	}
	return post(strings.Join(append([]string{name + urlEscape(base64.StdEncoding.EncodeToString([]byte(document)))},
		more...), "&"))
}

// asked starts a logout by a signed request and returns its id.
func (f *fixture) asked(t testing.TB, v idp.Visitor, r *http.Request) string {
	t.Helper()
	a, err := f.SLO(context.Background(), r, v)
	return must[idp.LogoutGoOn](t, a, err).Logout
}

// sent reads a message that leaves for a service provider, checks its signature
// with what metadata says, and its Destination.
func (f *fixture) sent(t testing.TB, a idp.Answer, err error, key string) (message *etree.Element, relayState *string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	certificate := readKey(t, key).Certificate
	switch page := a.Page.(type) {
	case idp.RedirectMessage:
		u, err := url.Parse(page.URL)
		if err != nil {
			t.Fatal(err)
		}
		values := u.Query()
		name := "SAMLRequest"
		if values.Has("SAMLResponse") {
			name = "SAMLResponse"
		}
		if signed, bad := idp.VerifyQuery(u.RawQuery, name, []*x509.Certificate{certificate}, false); !signed || bad != nil {
			t.Fatalf("signature of the query: %t, %+v", signed, bad)
		}
		packed, err := base64.StdEncoding.DecodeString(values.Get(name))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(flate.NewReader(strings.NewReader(string(packed))))
		if err != nil {
			t.Fatal(err)
		}
		message = parse(t, data)
		if values.Has("RelayState") {
			state := values.Get("RelayState")
			relayState = &state
		}
		if !strings.HasPrefix(page.URL, message.SelectAttrValue("Destination", "?")) {
			t.Errorf("sent to %.60s with Destination %q", page.URL, message.SelectAttrValue("Destination", ""))
		}
	case idp.PostMessage:
		data, err := base64.StdEncoding.DecodeString(page.Message)
		if err != nil {
			t.Fatal(err)
		}
		if _, signed, bad := idp.VerifyElement(data, []*x509.Certificate{certificate}, false); !signed || bad != nil {
			t.Fatalf("signature of the message: %t, %+v", signed, bad)
		}
		message, relayState = parse(t, data), page.RelayState
		if want := map[bool]string{true: "SAMLRequest",
			false: "SAMLResponse"}[message.Tag == "LogoutRequest"]; page.Parameter != want {
			t.Errorf("parameter %q, want %q", page.Parameter, want)
		}
		if page.Action != message.SelectAttrValue("Destination", "?") {
			t.Errorf("sent to %q with Destination %q", page.Action, message.SelectAttrValue("Destination", ""))
		}
	default:
		t.Fatalf("page is %T %+v, want a message", a.Page, a.Page)
	}
	if issuer := find(t, message, "./Issuer").Text(); issuer != entityID {
		t.Errorf("Issuer %q, want %q", issuer, entityID)
	}
	return message, relayState
}

// codes are the status codes of a LogoutResponse without the common prefix.
func codes(t testing.TB, message *etree.Element) string {
	t.Helper()
	if message.Tag != "LogoutResponse" {
		t.Fatalf("message is a %s, want a LogoutResponse", message.Tag)
	}
	var all []string
	for _, c := range message.FindElements("//StatusCode") {
		all = append(all, strings.TrimPrefix(c.SelectAttrValue("Value", ""), "urn:oasis:names:tc:SAML:2.0:status:"))
	}
	return strings.Join(all, " ")
}

// states are what the person is shown.
func states(list []idp.Service) string {
	var all []string
	for _, s := range list {
		all = append(all, s.Name+":"+string(s.State))
	}
	return strings.Join(all, " ")
}

// TestSLO01Off: single logout is served and advertised only where it is on.
func TestSLO01Off(t *testing.T) {
	for _, on := range []bool{false, true} {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.SingleLogout = on })
		f.put(t, wikiWithLogout(t))
		v := f.signIn(t, "alice", "correct horse")
		nameID, index := f.used(t, v, plain)
		data, err := f.Metadata(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var bindings []string
		for _, el := range parse(t, data).FindElements("./IDPSSODescriptor/SingleLogoutService") {
			if el.SelectAttrValue("Location", "") != sloEndpoint {
				t.Errorf("advertised at %q", el.SelectAttrValue("Location", ""))
			}
			bindings = append(bindings, el.SelectAttrValue("Binding", ""))
		}
		if want := []string{saml.HTTPRedirectBinding, saml.HTTPPostBinding}; on && !slices.Equal(bindings, want) ||
			!on && bindings != nil {
			t.Errorf("on %t: advertised with %v", on, bindings)
		}
		a, err := f.SLO(context.Background(), logoutByQuery(t, readKey(t, "sp-rsa"), newLogoutAsk(plain, nameID,
			index).xml(), nil), v)
		if on {
			must[idp.LogoutGoOn](t, a, err)
			continue
		}
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonNoSingleLogout || r.Status != 404 || !f.live(t, v) {
			t.Errorf("refusal %+v", r)
		}
		if services, err := f.Services(context.Background(), v); err != nil || services != nil {
			t.Errorf("services %v, %v", services, err)
		}
		a, err = f.LogoutEverywhere(context.Background(), v)
		if must[idp.SignedOut](t, a, err); f.live(t, v) {
			t.Error("the session lives on")
		}
	}
}

// TestSLO01Refusals: what is not signed by its sender, for us, now, ends nothing.
func TestSLO01Refusals(t *testing.T) {
	key, other := readKey(t, "sp-rsa"), readKey(t, "sp-other")
	signed := func(r logoutAsk) *http.Request { return logoutByQuery(t, key, r.xml(), nil) }
	for _, c := range []struct {
		name   string
		make   func(r logoutAsk) *http.Request
		reason string
	}{
		{"unsigned query", func(r logoutAsk) *http.Request { return get("SAMLRequest=" + urlEscape(deflated(t, r.xml()))) },
			idp.ReasonUnsignedRequest},
		{"unsigned form", func(r logoutAsk) *http.Request { return logoutForm(r.xml()) }, idp.ReasonUnsignedRequest},
		{"another's key in the query", func(r logoutAsk) *http.Request { return logoutByQuery(t, other, r.xml(), nil) },
			idp.ReasonBadSignature},
		{"another's key in the form", func(r logoutAsk) *http.Request { return logoutByForm(t, other, r.xml()) },
			idp.ReasonBadSignature},
		{"another's Issuer", func(r logoutAsk) *http.Request {
			r.issuer = "<saml:Issuer>" + calendar + "</saml:Issuer>"
			return signed(r)
		}, idp.ReasonBadSignature},
		{"changed after signing", func(r logoutAsk) *http.Request {
			return logoutForm(strings.Replace(signature{key: key}.sign(t, r.xml()), "000000000001", "000000000002", 1))
		}, idp.ReasonBadSignature},
		{"signature in the XML of a query", func(r logoutAsk) *http.Request {
			return get("SAMLRequest=" + urlEscape(deflated(t, signature{key: key}.sign(t, r.xml()))))
		}, idp.ReasonSignatureInXML},
		{"signature of another element", func(r logoutAsk) *http.Request {
			good := r
			good.id = "_other"
			return logoutForm(signature{key: key, of: good.xml()}.sign(t, r.xml()))
		}, idp.ReasonSignatureForm},
		{"signature parameters in a form", func(r logoutAsk) *http.Request {
			return logoutForm(r.xml(), "SigAlg="+urlEscape(rsaSHA256), "Signature=YQ%3D%3D")
		}, idp.ReasonSignatureParameters},
		{"SHA-1", func(r logoutAsk) *http.Request {
			return get(query{key: key, method: rsaSHA1}.sign(t, r.xml()))
		}, idp.ReasonSignatureAlgorithm},
		{"unknown sender", func(r logoutAsk) *http.Request {
			r.issuer = "<saml:Issuer>https://evil.test</saml:Issuer>"
			return signed(r)
		}, idp.ReasonUnknownProvider},
		{"disabled sender", func(r logoutAsk) *http.Request {
			r.issuer = "<saml:Issuer>https://disabled.test</saml:Issuer>"
			return signed(r)
		}, idp.ReasonProviderDisabled},
		{"sender without a certificate", func(r logoutAsk) *http.Request {
			r.issuer = "<saml:Issuer>" + ctct + "</saml:Issuer>"
			return signed(r)
		}, idp.ReasonNoCertificate},
		{"no Issuer", func(r logoutAsk) *http.Request { r.issuer = ""; return signed(r) }, idp.ReasonBadRequest},
		{"two Issuers", func(r logoutAsk) *http.Request { r.issuer += r.issuer; return signed(r) }, idp.ReasonBadRequest},
		{"no Destination", func(r logoutAsk) *http.Request { r.destination = ""; return signed(r) },
			idp.ReasonWrongDestination},
		{"another Destination", func(r logoutAsk) *http.Request {
			r.destination = ` Destination="` + endpoint + `"`
			return signed(r)
		}, idp.ReasonWrongDestination},
		{"old", func(r logoutAsk) *http.Request {
			r.instant = now.Now().Add(-requestWindow - time.Second).Format(time.RFC3339)
			return signed(r)
		}, idp.ReasonRequestTime},
		{"from the future", func(r logoutAsk) *http.Request {
			r.instant = now.Now().Add(requestWindow + time.Second).Format(time.RFC3339)
			return signed(r)
		}, idp.ReasonRequestTime},
		{"SLO-02 past its NotOnOrAfter", func(r logoutAsk) *http.Request {
			r.end = ` NotOnOrAfter="` + now.Now().Add(-time.Minute).Format(time.RFC3339) + `"`
			return signed(r)
		}, idp.ReasonRequestTime},
		{"NotOnOrAfter that is no time", func(r logoutAsk) *http.Request { r.end = ` NotOnOrAfter="soon"`; return signed(r) },
			idp.ReasonBadRequest},
		{"no name", func(r logoutAsk) *http.Request { r.name = ""; return signed(r) }, idp.ReasonBadRequest},
		{"two names", func(r logoutAsk) *http.Request { r.name += r.name; return signed(r) }, idp.ReasonBadRequest},
		{"comment in the name", func(r logoutAsk) *http.Request {
			r.name = strings.Replace(r.name, "000000000001", "0000<!-- -->00000001", 1)
			return signed(r)
		}, idp.ReasonBadRequest},
		{"unknown element", func(r logoutAsk) *http.Request { r.inner += "<samlp:Evil/>"; return signed(r) },
			idp.ReasonBadRequest},
		{"no ID", func(r logoutAsk) *http.Request { r.id = ""; return signed(r) }, idp.ReasonBadRequest},
		{"a Version that is none", func(r logoutAsk) *http.Request { r.version = "two"; return signed(r) },
			idp.ReasonBadRequest},
		{"AuthnRequest", func(logoutAsk) *http.Request {
			return get(query{key: key}.sign(t, newRequest(plain).xml()))
		}, idp.ReasonBadRequest},
		{"both messages", func(r logoutAsk) *http.Request {
			return get(query{key: key}.sign(t, r.xml()) + "&SAMLResponse=x")
		}, idp.ReasonBadRequest},
		{"no message", func(logoutAsk) *http.Request { return get("RelayState=x") }, idp.ReasonBadRequest},
		{"two messages", func(r logoutAsk) *http.Request {
			text := query{key: key}.sign(t, r.xml())
			return get(text + "&" + text)
		}, idp.ReasonBadRequest},
		{"DTD", func(r logoutAsk) *http.Request {
			return get(query{key: key}.sign(t, "<!DOCTYPE x>"+r.xml()))
		}, idp.ReasonBadRequest},
		{"method", func(logoutAsk) *http.Request { r := get(""); r.Method = http.MethodPut; return r }, idp.ReasonMethod},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := logoutFixture(t, "rsa-2048", nil)
			off := wikiWithLogout(t)
			off.EntityID, off.Enabled = "https://disabled.test", false
			f.put(t, off)
			v := f.signIn(t, "alice", "correct horse")
			nameID, index := f.used(t, v, plain)
			a, err := f.SLO(context.Background(), c.make(newLogoutAsk(plain, nameID, index)), v)
			r := must[idp.Refusal](t, a, err)
			if r.Reason != c.reason || r.Status < 400 || a.EndSession {
				t.Errorf("refusal %+v, end %t, want %s", r, a.EndSession, c.reason)
			}
			if !f.live(t, v) {
				t.Error("the session was ended")
			}
			if !strings.Contains(f.log.String(), "ref=REF1 reason="+c.reason) {
				t.Errorf("the log does not name the reason under the reference:\n%s", f.log)
			}
			for _, e := range f.events(t) {
				if e.Action == "logout" {
					t.Errorf("event %+v", e)
				}
			}
		})
	}
}

// requestWindow is how far a message may lie from now.
const requestWindow = 5 * time.Minute

// TestSLO02Replay: a request ends sessions once, also on another replica.
func TestSLO02Replay(t *testing.T) {
	f := logoutFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	nameID, _ := f.used(t, v, plain)
	r := newLogoutAsk(plain, nameID) // all sessions, so that it would do again
	make := func() *http.Request { return logoutByQuery(t, readKey(t, "sp-rsa"), r.xml(), nil) }
	f.asked(t, v, make())
	if f.live(t, v) {
		t.Fatal("the session lives on")
	}
	v = f.signIn(t, "alice", "correct horse")
	f.used(t, v, plain)
	a, err := f.SLO(context.Background(), make(), v)
	if p := must[idp.Refusal](t, a, err); p.Reason != idp.ReasonReplayed || p.Status != 400 || !f.live(t, v) {
		t.Errorf("refusal %+v, session %t", p, f.live(t, v))
	}
}

// TestSLO02Match: which sessions a request means.
func TestSLO02Match(t *testing.T) {
	type change func(r *logoutAsk, first, second string)
	name := func(attributes string) change {
		return func(r *logoutAsk, _, _ string) {
			r.name = `<saml:NameID ` + attributes + `>` + alicesID + `</saml:NameID>`
		}
	}
	for _, c := range []struct {
		name   string
		change change
		ended  string // of two sessions, in two browsers
		status string
	}{
		{"first SessionIndex", func(r *logoutAsk, first, _ string) { r.inner = index(first) }, "1", "Success"},
		{"second SessionIndex", func(r *logoutAsk, _, second string) { r.inner = index(second) }, "2", "Success"},
		{"both and an unknown one", func(r *logoutAsk, first, second string) {
			r.inner = index(first) + index("none") + index(second)
		}, "12", "Success"},
		{"none is all", name(`Format="` + persistent + `"`), "12", "Success"},
		{"without Format", name(""), "12", "Success"},
		{"unspecified Format", name(`Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"`), "12", "Success"},
		// REAL-01: under whichever URI, and spelt as products do (REAL-05).
		{"unspecified Format of 2.0", name(`Format="urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified"`), "12",
			"Success"},
		{"persistent of 1.1, blanks", name(`Format=" urn:oasis:names:tc:SAML:1.1:nameid-format:persistent "`), "12",
			"Success"},
		{"offset without a colon, empty end", func(r *logoutAsk, _, _ string) {
			r.instant, r.end = strings.Replace(r.instant, "Z", "+0000", 1), ` NotOnOrAfter=""`
		}, "12", "Success"},
		{"Destination with the port", func(r *logoutAsk, _, _ string) {
			r.destination = ` Destination="https://sso.partner.test:443/saml/slo"`
		}, "12", "Success"},
		{"with our qualifiers", name(`Format="` + persistent + `" NameQualifier="` + entityID + `" SPNameQualifier="` +
			plain + `"`), "12", "Success"},
		{"unknown SessionIndex", func(r *logoutAsk, _, _ string) { r.inner = index("none") }, "",
			"Requester UnknownPrincipal"},
		{"empty SessionIndex", func(r *logoutAsk, _, _ string) { r.inner = index("") }, "", "Requester UnknownPrincipal"},
		{"another Format", name(`Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient"`), "",
			"Requester UnknownPrincipal"},
		{"another NameQualifier", name(`NameQualifier="https://other.test"`), "", "Requester UnknownPrincipal"},
		{"another SPNameQualifier", name(`SPNameQualifier="` + calendar + `"`), "", "Requester UnknownPrincipal"},
		{"another person", func(r *logoutAsk, _, _ string) { r.name = `<saml:NameID>nobody</saml:NameID>` }, "",
			"Requester UnknownPrincipal"},
		{"another letter case", func(r *logoutAsk, _, _ string) { r.name = strings.Replace(r.name, "aaaa", "AAAA", 1) }, "",
			"Requester UnknownPrincipal"},
		{"EncryptedID", func(r *logoutAsk, _, _ string) { r.name = "<saml:EncryptedID><x/></saml:EncryptedID>" }, "",
			"Requester RequestUnsupported"},
		{"higher version", func(r *logoutAsk, _, _ string) { r.version = "2.1" }, "",
			"VersionMismatch RequestVersionTooHigh"},
		{"lower version", func(r *logoutAsk, _, _ string) { r.version = "1.1" }, "", "VersionMismatch RequestVersionTooLow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := logoutFixture(t, "rsa-2048", nil)
			one := f.signIn(t, "alice", "correct horse")
			two := f.signInAt(t, "another", "alice", "correct horse")
			_, first := f.used(t, one, plain)
			_, second := f.used(t, two, plain)
			f.used(t, one, ctct)
			r := newLogoutAsk(plain, alicesID)
			c.change(&r, first, second)
			id := f.asked(t, one, logoutByQuery(t, readKey(t, "sp-rsa"), r.xml(), nil))
			ended := ""
			if !f.live(t, one) {
				ended += "1"
			}
			if !f.live(t, two) {
				ended += "2"
			}
			if ended != c.ended {
				t.Errorf("ended %q, want %q", ended, c.ended)
			}
			a, err := f.EndLogout(context.Background(), id, one)
			message, _ := f.sent(t, a, err, "rsa-2048")
			want := c.status
			if strings.Contains(ended, "1") {
				want += " PartialLogout" // Constant Contact was used and can't be told
			}
			if got := codes(t, message); got != want || message.SelectAttrValue("InResponseTo", "") != r.id {
				t.Errorf("answered %q to %q, want %q", got, message.SelectAttrValue("InResponseTo", ""), want)
			}
		})
	}
}

func index(i string) string { return "<samlp:SessionIndex>" + i + "</samlp:SessionIndex>" }

// TestSLO02OtherProvider: a name counts only at the service provider that got it.
func TestSLO02OtherProvider(t *testing.T) {
	f := logoutFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	nameID, index := f.used(t, v, plain)
	f.asked(t, v, logoutByForm(t, readKey(t, "sp-other"), newLogoutAsk(calendar, nameID, index).xml()))
	f.asked(t, v, logoutByForm(t, readKey(t, "sp-other"), newLogoutAsk(calendar, nameID).xml()))
	if !f.live(t, v) {
		t.Error("ended by a service provider that took no part")
	}
}
