package idp_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/provisioning"
)

// realRequests are AuthnRequests as products write them, and their neighbours that stay refused, with what a person
// with a session gets for each: "ok", the NameID's format, the class and the address where they are not the usual ones;
// "login" where the login form comes; "status" with the second code; or "refused" with the reason.
var realRequests = map[string]string{
	// REAL-01: a format under every URI that products use.
	"format-unspecified-1.1": "ok", "format-unspecified-2.0": "ok", "format-unspecified-1.0": "ok",
	"format-persistent": "ok", "format-persistent-1.1": "ok", "format-persistent-blanks": "ok",
	"format-persistent-case": "ok", "format-empty": "ok",
	"format-email-other":       "status InvalidNameIDPolicy",
	"format-encrypted":         "status InvalidNameIDPolicy",
	"format-made-up":           "status InvalidNameIDPolicy",
	"format-longer-than-known": "status InvalidNameIDPolicy",
	// REAL-02: transient.
	"format-transient": "ok transient", "format-transient-1.1": "ok transient", "format-transient-blanks": "ok transient",
	// REAL-04: contexts.
	"context-ppt": "ok", "context-ppt-blanks": "ok", "context-password": "ok Password",
	"context-password-twice": "ok Password", "context-password-maximum": "ok Password",
	"context-comparison-case": "ok", "context-comparison-empty": "ok",
	"context-unspecified": "ok", "context-unspecified-minimum": "ok", "context-unspecified-better": "ok",
	"context-unspecified-or-x509": "ok", "context-unspecified-1.0": "ok",
	"context-empty": "ok", "context-empty-class": "ok", "context-several": "ok",
	"context-x509":               "status NoAuthnContext",
	"context-better-than-ours":   "status NoAuthnContext",
	"context-unknown-comparison": "refused bad_request",
	// REAL-05: spellings.
	"force-True": "login", "force-TRUE": "login", "force-1": "login", "force-False": "ok", "force-empty": "ok",
	"passive-True":    "ok",
	"force-yes":       "refused bad_request",
	"declared-utf-16": "ok", "declared-latin-1": "ok", "declared-utf8": "ok", "declared-after-blank-line": "ok",
	"declared-bom":               "ok",
	"declared-latin-1-not-ascii": "refused bad_request",
	"declared-utf-7":             "refused bad_request",
	"declared-xml-1.1":           "refused bad_request",
	"time-milliseconds":          "ok", "time-many-digits": "ok", "time-offset": "ok", "time-offset-without-colon": "ok",
	"time-offset-hours": "ok", "time-small-letters": "ok", "time-no-zone": "ok", "time-blanks": "ok", "time-comma": "ok",
	"time-old":                "refused request_time",
	"time-no-date":            "refused bad_request",
	"time-seconds-since-1970": "refused bad_request",
	"acs-index-and-url":       "ok", "acs-index-url-binding": "ok acs2", "acs-empty": "ok",
	"acs-port": "ok acs2", "acs-host-case": "ok acs2", "acs-blanks": "ok acs2",
	"acs-index-and-other-url": "refused unknown_acs",
	"acs-index-and-evil-url":  "refused unknown_acs",
	"acs-index-and-artifact":  "status UnsupportedBinding",
	"acs-path-case":           "refused unknown_acs",
	"acs-slash":               "refused unknown_acs",
	"acs-other-port":          "refused unknown_acs",
	"acs-user":                "refused unknown_acs",
	"acs-http":                "refused unknown_acs",
	"destination-port":        "ok", "destination-host-case": "ok", "destination-blanks": "ok", "destination-empty": "ok",
	"destination-slash":       "refused wrong_destination",
	"destination-path-case":   "refused wrong_destination",
	"destination-http":        "refused wrong_destination",
	"destination-host-longer": "refused wrong_destination",
	"issuer-blanks":           "ok", "issuer-cdata": "ok", "issuer-entity-format": "ok", "issuer-empty-format": "ok",
	"issuer-unspecified": "refused bad_request",
	"issuer-email":       "refused bad_request",
	"id-blanks":          "ok", "version-blanks": "ok", "empty-elements": "ok",
	// What strangers sent: times as languages print them, classes, and what is beside the point.
	"time-java-no-seconds": "ok", "time-java-zone": "ok", "time-ruby": "ok", "time-blank-before-offset": "ok",
	"time-part-of-a-minute": "refused bad_request",
	"time-zone-alone":       "refused bad_request", "time-mail": "refused bad_request",
	"time-basic": "refused bad_request", "context-ppt-case": "ok", "context-password-1.1": "ok Password",
	"context-windows": "status NoAuthnContext", "context-windows-or-ppt": "ok", "scoping-list": "ok",
	"extensions-eidas": "ok", "extensions-twice": "refused bad_request", "order-issuer-last": "ok",
	"provider-name-odd": "ok", "attributes-of-vendors": "ok", "binding-redirect": "status UnsupportedBinding",
	"binding-blanks": "ok", "issuer-no-break-space": "refused unknown_provider",
	"issuer-zero-width": "refused unknown_provider", "format-upn": "status InvalidNameIDPolicy",
	"policy-qualifier-blanks": "ok", "subject-empty": "ok",
	"product-shibboleth": "ok", "product-mellon": "ok transient", "product-simplesamlphp": "ok transient",
	"product-pysaml2": "ok", "product-python3-saml": "ok", "product-ruby-saml": "ok", "product-itfoxtec": "login",
	"product-adfs": "ok", "product-okta": "ok", "product-spring": "ok", "product-onelogin-java": "ok Password",
	"product-node-saml": "status InvalidNameIDPolicy", // it asks for the mail address, and the record is of persistent ids
}

// requestFile is a request of testdata with its blanks filled in.
func requestFile(t testing.TB, name, sp string) (text, id string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "requests", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	requests++
	id = fmt.Sprintf("_real-%d", requests)
	return strings.NewReplacer("@ID@", id, "@SP@", sp, "@DEST@", endpoint, "@NOW@",
		now.Now().UTC().Format(time.RFC3339)).Replace(string(data)), id
}

// came puts in a word what a person with a session gets for a request.
func (f *fixture) came(t testing.TB, r *http.Request, id string, v idp.Visitor) string {
	t.Helper()
	a, err := f.SSO(context.Background(), r, v)
	if on, ok := a.Page.(idp.GoOn); ok && err == nil {
		a, err = f.Resume(context.Background(), on.SignIn, v)
	}
	if err != nil {
		t.Fatal(err)
	}
	switch page := a.Page.(type) {
	case idp.Refusal:
		return "refused " + page.Reason
	case idp.AskPassword:
		return "login"
	case idp.Deliver:
		if top, second := status(t, page); top != "Success" {
			return "status " + second
		}
		response := root(t, page)
		if response.SelectAttrValue("InResponseTo", "") != id {
			t.Errorf("InResponseTo %q, want %q", response.SelectAttrValue("InResponseTo", ""), id)
		}
		said := "ok"
		last := func(s string) string { return s[strings.LastIndexAny(s, ":/")+1:] }
		for _, part := range []struct{ got, usual string }{
			{find(t, response, "./Assertion/Subject/NameID").SelectAttrValue("Format", ""), "persistent"},
			{find(t, response, "//AuthnContextClassRef").Text(), "PasswordProtectedTransport"}, {page.Action, "acs"},
		} {
			if word := last(part.got); word != part.usual {
				said += " " + word
			}
		}
		return said
	}
	t.Fatalf("page %T", a.Page)
	return ""
}

// TestRealRequests (REAL-01, REAL-02, REAL-04, REAL-05): what products really send is taken where nothing is gained by
// refusing it, and each neighbour that means something else stays refused.
func TestRealRequests(t *testing.T) {
	now.Set(start)
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	now.Advance(time.Second) // the login before a request is none after it
	files, err := filepath.Glob("testdata/requests/*.xml")
	if err != nil || len(files) != len(realRequests) {
		t.Errorf("%d files for %d cases, %v", len(files), len(realRequests), err)
	}
	for name, want := range realRequests {
		for binding, send := range map[string]func(testing.TB, string, ...string) *http.Request{"redirect": byRedirect,
			"post": byPost} {
			t.Run(name+"/"+binding, func(t *testing.T) {
				text, id := requestFile(t, name, plain)
				if got := f.came(t, send(t, text), id, v); got != want {
					t.Errorf("%s, want %s; %s", got, want, f.log.String()[max(0, len(f.log.String())-400):])
				}
			})
		}
	}
}

// TestPlainHTTPContexts (REAL-04): a password that came over plain HTTP was not protected on its way.
func TestPlainHTTPContexts(t *testing.T) {
	now.Set(start)
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.PublicURL = "http://localhost:8080" })
	v := f.signIn(t, "alice", "correct horse")
	for name, want := range map[string]string{
		"context-ppt": "status NoAuthnContext", "context-password": "ok Password", "context-unspecified": "ok Password",
	} {
		text, id := requestFile(t, name, plain)
		text = strings.ReplaceAll(text, endpoint, "http://localhost:8080/saml/sso")
		if got := f.came(t, byRedirect(t, text), id, v); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	text, _ := requestFile(t, "context-ppt", plain)
	text = strings.ReplaceAll(text, endpoint, "http://localhost:8080/saml/sso")
	if got := f.came(t, byRedirect(t, text), "", v); got != "status NoAuthnContext" ||
		!strings.Contains(f.log.String(), "public_url") {
		t.Errorf("%s; the log does not say what would fix it", got)
	}
}

// TestCarriedRequests (REAL-05): how products wrap a message. What is no whole message stays refused.
func TestCarriedRequests(t *testing.T) {
	now.Set(start)
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	plus := func(encode func(string) string) func(string) string { // until there is a + to spoil
		return func(text string) string {
			for !strings.Contains(encode(text), "+") {
				text += " "
			}
			return encode(text)
		}
	}
	packed := func(text string) string { return deflated(t, text) }
	posted := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	zlibbed := func(text string) string {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	stored := func(text string) string {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.NoCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	lines := func(end string, width int) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for ; len(s) > width; s = s[width:] {
				b.WriteString(s[:width] + end)
			}
			return b.String() + s + end
		}
	}
	for _, c := range []struct {
		name, want string
		encode     func(string) string
		then       func(string) string // with the base64 text
		post       bool
		raw        bool // sent without URL encoding
	}{
		{name: "blanks at the ends", want: "ok", encode: packed, then: func(s string) string { return " \t" + s + " " }},
		{name: "posted with blanks at the ends", want: "ok", encode: posted, post: true,
			then: func(s string) string { return "\r\n    " + s + "\r\n  " }},
		{name: "lines of 76", want: "ok", encode: posted, post: true, then: lines("\r\n", 76)},
		{name: "lines of 64, indented", want: "ok", encode: posted, post: true, then: lines("\n    ", 64)},
		{name: "lines joined by blanks", want: "ok", encode: posted, post: true, then: lines(" ", 76)},
		{name: "lines by redirect", want: "ok", encode: packed, then: lines("\n", 76)},
		{name: "without padding", want: "ok", encode: packed, then: func(s string) string { return strings.TrimRight(s, "=") }},
		{name: "the URL's alphabet", want: "ok", encode: packed, then: strings.NewReplacer("+", "-", "/", "_").Replace},
		{name: "a + that became a blank", want: "ok", encode: plus(packed), raw: true,
			then: strings.NewReplacer("/", "%2F", "=", "%3D").Replace},
		{name: "a posted + that became a blank", want: "ok", encode: plus(posted), raw: true, post: true,
			then: strings.NewReplacer("/", "%2F", "=", "%3D").Replace},
		{name: "zlib header", want: "ok", encode: zlibbed},
		{name: "not compressed, in DEFLATE", want: "ok", encode: stored},
		{name: "posted in DEFLATE, as node-saml does", want: "ok", encode: packed, post: true},
		{name: "posted with a zlib header", want: "ok", encode: zlibbed, post: true},
		{name: "posted in DEFLATE twice", want: "refused bad_request", post: true,
			encode: func(s string) string {
				once, _ := base64.StdEncoding.DecodeString(packed(s))
				return packed(string(once))
			}},
		{name: "a posted text", want: "refused bad_request", encode: posted, post: true,
			then: func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
		{name: "a posted bomb", want: "refused too_large", post: true, encode: func(string) string {
			return packed("<" + strings.Repeat(" ", idp.MaxXML))
		}},
		{name: "XML that was not compressed, by redirect", want: "refused bad_request", encode: posted},
		{name: "URL-encoded twice", want: "refused bad_request", encode: packed, then: url.QueryEscape},
		{name: "zlib with a wrong sum", want: "refused bad_request", encode: func(s string) string {
			data, _ := base64.StdEncoding.DecodeString(zlibbed(s))
			data[len(data)-1] ^= 1
			return base64.StdEncoding.EncodeToString(data)
		}},
		{name: "zlib and more", want: "refused bad_request", encode: func(s string) string {
			data, _ := base64.StdEncoding.DecodeString(zlibbed(s))
			return base64.StdEncoding.EncodeToString(append(data, "more"...))
		}},
		{name: "zlib that is cut off", want: "refused bad_request", encode: func(s string) string {
			data, _ := base64.StdEncoding.DecodeString(zlibbed(s))
			return base64.StdEncoding.EncodeToString(data[:len(data)-8])
		}},
		{name: "a character between", want: "refused bad_request", encode: packed,
			then: func(s string) string { return s[:8] + "*" + s[8:] }},
		{name: "padding between", want: "refused bad_request", encode: packed,
			then: func(s string) string { return s[:8] + "=" + s[8:] }},
		{name: "padding without end", want: "refused bad_request", encode: packed,
			then: func(s string) string { return strings.TrimRight(s, "=") + "===" }},
		{name: "blanks alone", want: "refused bad_request", encode: packed, then: func(string) string { return "   " }},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, id := requestFile(t, "product-shibboleth", plain)
			value := c.encode(text)
			if c.then != nil {
				value = c.then(value)
			}
			if !c.raw {
				value = url.QueryEscape(value)
			}
			r := httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest="+value, nil)
			if c.post {
				r = httptest.NewRequest(http.MethodPost, "/saml/sso", strings.NewReader("SAMLRequest="+value))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if got := f.came(t, r, id, v); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestZlibBomb: the other header changes nothing of the bound.
func TestZlibBomb(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(bytes.Repeat([]byte("a"), 32<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest="+
		url.QueryEscape(base64.StdEncoding.EncodeToString(b.Bytes())), nil)
	if got := f.came(t, r, "", visitor("b")); got != "refused too_large" {
		t.Error(got)
	}
}

// TestRelayStateSize (REAL-06): a RelayState may be as long as the setting says, by either binding, and comes back byte
// for byte; one byte more is refused, and the log names the setting.
func TestRelayStateSize(t *testing.T) {
	now.Set(start)
	for _, most := range []int{0, 80, idp.MostRelayState} {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.MaxRelayState = most })
		if most == 0 {
			most = 8 << 10
		}
		v := f.signIn(t, "alice", "correct horse")
		for name, send := range map[string]func(testing.TB, string, ...string) *http.Request{"redirect": byRedirect,
			"post": byPost} {
			// Quotes, which take the most room in what is sealed.
			state := strings.Repeat(`"`, most)
			id := f.startedBy(t, send(t, newRequest(plain).xml(), "RelayState="+url.QueryEscape(state)), idp.Visitor{
				Ref: "REF1", Address: "192.0.2.1", Browser: v.Browser})
			a, err := f.Resume(context.Background(), id, v)
			if d := must[idp.Deliver](t, a, err); d.RelayState == nil || *d.RelayState != state {
				t.Errorf("%s, %d bytes: another RelayState came back", name, most)
			}
			a, err = f.SSO(context.Background(), send(t, newRequest(plain).xml(), "RelayState="+
				url.QueryEscape(state+"x")), v)
			if refused := must[idp.Refusal](t, a, err); refused.Reason != idp.ReasonTooLarge ||
				!strings.Contains(f.log.String(), "sign_in.relay_state_max") {
				t.Errorf("%s, %d bytes: %+v", name, most+1, refused)
			}
		}
	}
}

// startedBy sends a request of nobody who is known, and returns the handle that travels with the browser.
func (f *fixture) startedBy(t testing.TB, r *http.Request, v idp.Visitor) string {
	t.Helper()
	a, err := f.SSO(context.Background(), r, v)
	return must[idp.GoOn](t, a, err).SignIn
}

// TestTransientNameID (REAL-02): a transient NameID is random, one in a session and another in the next and at the next
// service provider; nothing of it is kept beyond the session, and a logout by it ends the session.
func TestTransientNameID(t *testing.T) {
	now.Set(start)
	const transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	f := logoutFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	ask := func(v idp.Visitor, sp string) string {
		text, _ := requestFile(t, "format-transient", sp)
		a, err := f.SSO(ctx, byRedirect(t, text), v)
		a, err = f.Resume(ctx, begun(t, a, err).SignIn, v)
		name := find(t, root(t, must[idp.Deliver](t, a, err)), "./Assertion/Subject/NameID")
		if format := name.SelectAttrValue("Format", ""); format != transient {
			t.Errorf("format %s", format)
		}
		return name.Text()
	}
	v := f.signIn(t, "alice", "correct horse")
	first := ask(v, plain)
	if len(first) < 32 || strings.Contains(first, alicesID) {
		t.Errorf("NameID %q", first)
	}
	if again := ask(v, plain); again != first {
		t.Errorf("in one session %q and %q", first, again)
	}
	if there := ask(v, calendar); there == first {
		t.Error("two service providers get the same name")
	}
	other := f.signInAt(t, "other", "alice", "correct horse")
	if another := ask(other, plain); another == first {
		t.Error("two sessions have the same name")
	}
	// The record's own name is still what a launch gets.
	if name, _ := f.used(t, v, plain); name != alicesID {
		t.Errorf("a launch gives %q", name)
	}
	// Two people may not share a name, and a transient one is nobody's for long: none is on record.
	sp := wikiWithLogout(t)
	sp.NameIDFormat = transient
	if _, err := f.IssuedNameID(ctx, sp, first); err == nil {
		t.Error("the transient NameID is on record")
	}
	// A logout by it ends that session and no other.
	out := newLogoutAsk(plain, first)
	out.name = strings.Replace(out.name, persistent, transient, 1)
	a, err := f.SLO(ctx, logoutByQuery(t, readKey(t, "sp-rsa"), out.xml(), nil), v)
	must[idp.LogoutGoOn](t, a, err)
	if f.live(t, v) || !f.live(t, other) {
		t.Errorf("sessions live: %v, %v; want the other alone", f.live(t, v), f.live(t, other))
	}

	// Constant Contact finds its users by their NameID.
	text, id := requestFile(t, "format-transient", ctct)
	if got := f.came(t, byRedirect(t, text), id, other); got != "status InvalidNameIDPolicy" {
		t.Errorf("at Constant Contact: %s", got)
	}

	// As the record's format it is what launches get, too; then nothing else is to be had.
	f.put(t, sp)
	name, _ := f.used(t, other, plain)
	if name == alicesID || name != ask(other, plain) {
		t.Errorf("a launch gives %q", name)
	}
	text, id = requestFile(t, "format-persistent", plain)
	if got := f.came(t, byRedirect(t, text), id, other); got != "status InvalidNameIDPolicy" {
		t.Errorf("persistent where the record says transient: %s", got)
	}
	e := f.directory.all["alice"].entry
	preview, err := f.Preview(ctx, sp, e, granted(provisioning.Question{Person: e}))
	if err != nil || preview.NameIDFormat != transient || strings.Contains(preview.NameID, alicesID) {
		t.Errorf("preview %+v, %v", preview, err)
	}
}

// TestRecordsURI (REAL-01): whatever URI a request writes, the assertion carries the record's.
func TestRecordsURI(t *testing.T) {
	now.Set(start)
	f := newFixture(t, "rsa-2048", nil)
	const emailOf20 = "urn:oasis:names:tc:SAML:2.0:nameid-format:emailAddress"
	sp := plainSP()
	sp.NameIDFormat, sp.NameID = emailOf20, "{mail}"
	f.put(t, sp)
	v := f.signIn(t, "alice", "correct horse")
	for _, asked := range []string{
		emailOf20, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
		"urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified", " urn:oasis:names:tc:SAML:1.1:nameid-format:email ",
	} {
		r := newRequest(plain)
		r.inner = `<samlp:NameIDPolicy Format="` + asked + `"/>`
		a, err := f.Resume(context.Background(), f.request(t, r, v), v)
		name := find(t, root(t, must[idp.Deliver](t, a, err)), "./Assertion/Subject/NameID")
		if got := name.SelectAttrValue("Format", ""); got != emailOf20 {
			t.Errorf("asked %q: the assertion carries %s", asked, got)
		}
	}
}

// TestUnmetWishes (REAL-10): log and trace say what was asked for, what is on record, and what fixes it.
func TestUnmetWishes(t *testing.T) {
	now.Set(start)
	traces := &told{}
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Traces = traces })
	for _, c := range []struct {
		file, sp    string
		detail, fix []string
	}{
		{"format-transient", ctct, []string{"asked for a NameID of format transient", "record says persistent"},
			[]string{"ask for persistent"}},
		{"format-email-other", plain, []string{"asked for a NameID of format emailAddress", "record says persistent"},
			[]string{"set name_id_format of the service provider to emailAddress", "name_id"}},
		{"format-made-up", plain, []string{`\"urn:example:format\"`, "persistent"}, []string{"name_id_format"}},
		{"context-x509", plain, []string{`(exact): \"X509\"`, "PasswordProtectedTransport", "refeds"},
			[]string{"ask for one of these"}},
		{"acs-index-and-artifact", plain, []string{"ProtocolBinding asks for HTTP-Artifact", "HTTP-POST"},
			[]string{"leave ProtocolBinding out"}},
		{"acs-slash", plain, []string{`asked for \"https://wiki.partner.test/acs2/\"`, `on record: \"` + plainACS + `\"`},
			[]string{"import its metadata again"}},
		{"issuer-unspecified", plain, []string{"Issuer's Format is", "unspecified"}, []string{"saml-core 3.4.1"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			before := len(f.log.String())
			text, id := requestFile(t, c.file, c.sp)
			f.came(t, byRedirect(t, text), id, visitor("b"))
			line := f.log.String()[before:]
			for _, part := range append(c.detail, c.fix...) {
				if !strings.Contains(strings.ToLower(line), strings.ToLower(part)) {
					t.Errorf("the log has no %s:\n%s", part, line)
				}
			}
			if !strings.Contains(line, "sp="+c.sp) {
				t.Errorf("the log names another service provider:\n%s", line)
			}
			last := traces.last(t)
			if len(last.Steps) == 0 || last.SP != c.sp {
				t.Fatalf("trace %+v", last)
			}
			for _, part := range c.detail {
				if part = strings.ReplaceAll(part, `\"`, `"`); !strings.Contains(last.Steps[0].Detail, part) {
					t.Errorf("the trace has no %s: %s", part, last.Steps[0].Detail)
				}
			}
		})
	}
}
