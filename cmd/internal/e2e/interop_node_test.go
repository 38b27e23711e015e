package e2e_test

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

const (
	nodeEntity = "https://node.example.test/saml"
	nodeACS    = "https://node.example.test/saml/acs"
	nodeSLO    = "https://node.example.test/saml/slo"
)

// nodeWorld is a bridge at which node-saml is registered by its own metadata.
// logout is the binding by which it wants LogoutResponses; "": it takes no part.
func nodeWorld(t testing.TB, signs, encrypts bool, logout string) (*world, *nodeSP, map[string]any) {
	t.Helper()
	w := newWorld(t, setting{set: map[string]string{"logout.enabled": "true"}})
	n := startNode(t)
	ours := certificate(t, w.command(t, "metadata"))
	options := map[string]any{
		"issuer": nodeEntity, "callbackUrl": nodeACS, "audience": nodeEntity, "entryPoint": w.url + "/saml/sso",
		"idpIssuer":        w.ownSite,
		"idpCert":          string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours})),
		"identifierFormat": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
		// Both, since that is what the bridge sends; the library can do with one.
		"wantAssertionsSigned": true, "wantAuthnResponseSigned": true,
		"validateInResponseTo": "ifPresent", "acceptedClockSkewMs": 1000,
		"disableRequestedAuthnContext": true, // over http on loopback a password was not protected, and the class says so
		"signatureAlgorithm":           "sha256", "digestAlgorithm": "sha256",
	}
	arguments := map[string]any{}
	if signs {
		pair := newKeyPair(t)
		options["privateKey"], options["publicCert"] = pair.private, pair.public
		arguments["signing"] = pair.public
	}
	if encrypts {
		pair := newKeyPair(t)
		options["decryptionPvk"] = pair.private
		arguments["encryption"] = pair.public
	}
	if logout != "" {
		options["logoutUrl"], options["logoutCallbackUrl"] = w.url+"/saml/slo", nodeSLO
	}
	n.ask("configure", options)
	metadata := n.ask("metadata", arguments)["xml"].(string)
	if logout == "redirect" { // the library's metadata can name HTTP-POST alone
		service := `SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-`
		if !strings.Contains(metadata, service+"POST") {
			t.Fatalf("node-saml's metadata name no logout service:\n%s", metadata)
		}
		metadata = strings.Replace(metadata, service+"POST", service+"Redirect", 1)
	}
	slapd := directorytest.SharedSlapd(t)
	w.command(t, "sp", "add", writeFile(t, "node.xml", []byte(metadata)), "--name", "Node", "--yes",
		"--group", slapd.GroupDN("ctct-"+books+"-account_manager"), "--attribute", "mail={mail}", "--attribute",
		"groups=attr:none")
	if encrypts {
		w.command(t, "sp", "set", nodeEntity, "encryption=required")
	}
	return w, n, options
}

func encode(xml string) string { return base64.StdEncoding.EncodeToString([]byte(xml)) }

// validated hands the Response of this page to node-saml.
func (n *nodeSP) validated(p *page) map[string]any {
	n.t.Helper()
	f := p.form("SAMLResponse")
	if f.Action != nodeACS {
		n.t.Errorf("the Response goes to %s", f.Action)
	}
	profile := n.ask("validate", map[string]any{"response": f.Fields.Get("SAMLResponse")})
	if profile["issuer"] == "" || profile["nameID"] == "" || profile["sessionIndex"] == "" {
		n.t.Errorf("profile %v", profile)
	}
	if attributes, _ := profile["attributes"].(map[string]any); attributes["mail"] != "alice@example.test" {
		n.t.Errorf("attributes %v", profile["attributes"])
	}
	return profile
}

// useBinding sets how node-saml sends its requests. What it posts it deflates by default, which saml-bindings 3.5.4
// does not know and we take.
func useBinding(options map[string]any, binding string) {
	options["authnRequestBinding"] = map[string]string{"redirect": "HTTP-Redirect", "post": "HTTP-POST"}[binding]
}

// begin sends node-saml's AuthnRequest by a browser.
func (n *nodeSP) begin(c *client, w *world, binding, relayState string) *page {
	n.t.Helper()
	if binding == "redirect" {
		return c.get(n.ask("redirect", map[string]any{"relayState": relayState})["url"].(string))
	}
	all, err := forms(n.ask("post", map[string]any{"relayState": relayState})["html"].(string))
	if err != nil || len(all) != 1 {
		n.t.Fatalf("node-saml's form: %d, %v", len(all), err)
	}
	if all[0].Action != w.url+"/saml/sso" {
		n.t.Errorf("node-saml's form goes to %s", all[0].Action)
	}
	c.crossSite = true
	return c.post(all[0].Action, all[0].Fields)
}

// node-saml takes what we send, by both flows and both bindings, with requests
// signed and unsigned, and with encrypted assertions (rows REQ-10, REQ-11, RSP-02, RSP-03, RSP-09 to RSP-12).
func TestInteropNodeSAML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		signs, encrypts bool
	}{
		{"plain", false, false},
		{"signed requests", true, false},
		{"signed requests and encrypted assertions", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, n, options := nodeWorld(t, c.signs, c.encrypts, "")
			browser := newClient(t)

			// IdP-initiated.
			p := browser.get(w.url + "/launch/sp?entity_id=" + url.QueryEscape(nodeEntity)).status(http.StatusOK)
			p = browser.login(p, "alice", password)
			if encrypted := len(p.response().FindElements("//EncryptedAssertion")) == 1; encrypted != c.encrypts {
				t.Errorf("encrypted: %v, want %v", encrypted, c.encrypts)
			}
			first := n.validated(p)
			if first["inResponseTo"] != nil {
				t.Errorf("a launch answers %v", first["inResponseTo"])
			}

			// SP-initiated, with the session that is there and from a browser without one.
			for _, binding := range []string{"redirect", "post"} {
				useBinding(options, binding)
				options["validateInResponseTo"] = "always"
				n.ask("configure", options)
				// Without blanks: node-saml signs a blank as %20 and then sends it as a plus
				// sign, so that what it sent is not what it signed.
				const relayState = `state&"more"=<x>`
				p := n.begin(browser, w, binding, relayState).status(http.StatusOK)
				if got := p.form("SAMLResponse").Fields.Get("RelayState"); got != relayState {
					t.Errorf("%s: RelayState comes back as %q", binding, got)
				}
				profile := n.validated(p)
				if profile["nameID"] != first["nameID"] || profile["inResponseTo"] == nil {
					t.Errorf("%s: profile %v after %v", binding, profile, first)
				}
				// Once only, says the library too, as its own request is used up.
				if _, err := n.try("validate",
					map[string]any{"response": p.form("SAMLResponse").Fields.Get("SAMLResponse")}); err == nil {
					t.Errorf("%s: node-saml takes the Response twice", binding)
				}
				stranger := newClient(t)
				n.validated(stranger.login(n.begin(stranger, w, binding, relayState).status(http.StatusOK), "alice", password))
			}

			// What was changed on its way is refused by node-saml.
			options["validateInResponseTo"] = "never"
			n.ask("configure", options)
			p = browser.get(w.url + "/launch/sp?entity_id=" + url.QueryEscape(nodeEntity))
			text, err := p.response().WriteToString()
			if err != nil {
				t.Fatal(err)
			}
			old, changed := "alice@example.test", "mallory@example.test"
			if c.encrypts {
				old = p.response().FindElement("//EncryptedData/CipherData/CipherValue").Text()
				changed = strings.Replace(old, old[20:24], "AAAA", 1)
			}
			if _, err := n.try("validate",
				map[string]any{"response": encode(strings.Replace(text, old, changed, 1))}); err == nil {
				t.Error("node-saml takes a changed Response")
			}
		})
	}
}

// A request that was signed by somebody else, changed or stripped of its signature
// is refused where node-saml's metadata promises signatures (rows REQ-09 to REQ-11).
func TestInteropNodeSAMLRefusals(t *testing.T) {
	t.Parallel()
	w, n, options := nodeWorld(t, true, false, "")
	c := newClient(t)

	signed := n.ask("redirect", map[string]any{"relayState": "x"})["url"].(string)
	c.get(signed + "&SigAlg=x").status(http.StatusBadRequest)
	c.get(strings.Replace(signed, "RelayState=x", "RelayState=y", 1)).status(http.StatusBadRequest)
	before, _, _ := strings.Cut(signed, "&SigAlg=")
	c.get(before).status(http.StatusBadRequest).says("not signed")

	options["privateKey"] = newKeyPair(t).private
	for _, binding := range []string{"redirect", "post"} {
		useBinding(options, binding)
		n.ask("configure", options)
		n.begin(c, w, binding, "x").status(http.StatusBadRequest).says("signature is not right")
	}
	options["signatureAlgorithm"] = "sha1"
	useBinding(options, "redirect")
	n.ask("configure", options)
	n.begin(c, w, "redirect", "x").status(http.StatusBadRequest).says("too weak")
}

// node-saml signs a person out by a signed request, and takes our signed answer by
// both bindings; xmlsec1 and the schemas agree about the posted one (rows SLO-01 to SLO-03).
func TestInteropNodeSAMLLogout(t *testing.T) {
	t.Parallel()
	for _, binding := range []string{"post", "redirect"} {
		t.Run(binding, func(t *testing.T) {
			w, n, options := nodeWorld(t, true, false, binding)
			browser := newClient(t)
			// The service provider's own host is reached by nobody.
			browser.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
				if r.URL.Host == "node.example.test" {
					return http.ErrUseLastResponse
				}
				return nil
			}
			launch := w.url + "/launch/sp?entity_id=" + url.QueryEscape(nodeEntity)
			profile := n.validated(browser.login(browser.get(launch), "alice", password))

			// Signed by somebody else: the session stays.
			genuine := options["privateKey"]
			options["privateKey"] = newKeyPair(t).private
			n.ask("configure", options)
			browser.get(n.ask("logout", map[string]any{"profile": profile, "relayState": "r1"})["url"].(string)).status(
				http.StatusBadRequest)
			if !browser.get(launch).delivers() {
				t.Fatal("a logout by a stranger ended the session")
			}

			options["privateKey"] = genuine
			n.ask("configure", options)
			p := browser.get(n.ask("logout", map[string]any{"profile": profile, "relayState": "r1"})["url"].(string))
			if binding == "redirect" {
				target, err := url.Parse(p.Header.Get("Location"))
				if err != nil || !strings.HasPrefix(target.String(), nodeSLO+"?") || target.Query().Get("RelayState") != "r1" {
					t.Fatalf("status %d leads to %s (%v):\n%s", p.Status, target, err, p.text())
				}
				if answer := n.ask("loggedOut", map[string]any{"query": target.RawQuery}); answer["loggedOut"] != true {
					t.Errorf("node-saml understands %v", answer)
				}
				changed := strings.Replace(target.RawQuery, "RelayState=r1", "RelayState=r2", 1)
				if _, err := n.try("loggedOut", map[string]any{"query": changed}); err == nil {
					t.Error("node-saml takes a changed answer")
				}
			} else {
				f := p.status(http.StatusOK).form("SAMLResponse")
				if f.Action != nodeSLO || f.Fields.Get("RelayState") != "r1" {
					t.Errorf("the answer goes to %s with the RelayState %q", f.Action, f.Fields.Get("RelayState"))
				}
				if answer := n.ask("loggedOut",
					map[string]any{"response": f.Fields.Get("SAMLResponse")}); answer["loggedOut"] != true {
					t.Errorf("node-saml understands %v", answer)
				}
				mustVerify(t, p.xml(), logoutResponseElement, local("LogoutResponse"), certificate(t, w.command(t, "metadata")),
					"status:Success", "status:Responder")
				mustBeValid(t, p.xml())
			}
			browser.get(launch).status(http.StatusOK).says("Sign in")
		})
	}
}
