package sample

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// PortalKid names the key of the portal.
const PortalKid = "portal-1"

// Customer is somebody who is signed in to the portal.
type Customer struct {
	ID, FirstName, LastName, Mail string
	Account                       string // that the portal gives them
	About                         string
}

// Customers are those of the portal. None of them is in the sample directory.
func Customers() []Customer {
	return []Customer{
		{"customer-1001", "Frida", "Flores", "frida@example.com", "a07e1lxqqqo0", "gets their user with the first launch"},
		{"customer-1002", "Gus", "Grün", "gus@example.com", "a07e1lxqqqo1", "likewise, in another client account"},
		{"customer-1003", "Hal", "Hacker", "hal@example.com", "a07e1lxqqqr2", "the portal may not give this account"},
	}
}

// Portal is a partner's own application, as small as one can be: its people are signed in there, and a button takes
// them to Constant Contact by a signed launch.
type Portal struct {
	URL    string // where browsers reach it, which is its issuer and origin
	Bridge string // public URL of the bridge
	key    *ecdsa.PrivateKey
}

// NewPortal makes one with a key of its own.
func NewPortal(ownURL, bridgeURL string) (*Portal, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the portal's key: %w", err)
	}
	return &Portal{URL: ownURL, Bridge: bridgeURL, key: key}, nil
}

const portalLogin = "/constant-contact"

// LoginURL is where the bridge sends whoever begins there.
func (p *Portal) LoginURL() string { return p.URL + portalLogin }

// PublicKey is what the bridge is given of it.
func (p *Portal) PublicKey() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the portal's key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// Token is a launch token with these claims beside those that each has.
func (p *Portal) Token(claims map[string]any) (string, error) {
	now := time.Now().Unix()
	all := map[string]any{"iss": p.URL, "aud": p.Bridge, "iat": now, "exp": now + 60, "jti": rand.Text()}
	for name, value := range claims {
		all[name] = value
	}
	body, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encode the token: %w", err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"ES256","typ":"ssobridge-launch+jwt","kid":"`+PortalKid+`"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + b64(signature[:]), nil
}

// TokenOf is the token for a customer.
func (p *Portal) TokenOf(c Customer) (string, error) { return p.answer(c, "", false) }

// answer is the token for a customer that answers a request of the bridge. proved says that the customer has just shown
// who they are.
func (p *Portal) answer(c Customer, request string, proved bool) (string, error) {
	all := map[string]any{"sub": c.ID, "given_name": c.FirstName, "family_name": c.LastName, "email": c.Mail,
		"accounts": []map[string]string{{"account": c.Account, "role": "account_manager"}}}
	if request != "" {
		all["request"] = request
	}
	if proved {
		all["auth_time"] = time.Now().Unix()
	}
	return p.Token(all)
}

var portalPages = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Example portal</title></head><body>
{{if .Token}}<form method="post" action="{{.Bridge}}/launch">
<input type="hidden" name="token" value="{{.Token}}"><button>Go on to Constant Contact</button></form>
<script>document.forms[0].submit()</script>
{{else if .Request}}<h1>Sign in to the example portal</h1>
{{range .Customers}}<form method="post" action="/open"><input type="hidden" name="customer" value="{{.ID}}">
<input type="hidden" name="request" value="{{$.Request}}"><p><button>I am {{.FirstName}}</button></p></form>
{{end}}{{else}}<h1>Example portal</h1><p>Whoever is signed in here opens Constant Contact with one click.</p>
{{range .Customers}}<form method="post" action="/open"><input type="hidden" name="customer" value="{{.ID}}">
<p>Signed in as {{.FirstName}} {{.LastName}} ({{.About}}). <button>Open Constant Contact as {{.FirstName}}</button></p></form>
{{end}}{{end}}</body></html>
`))

// ServeHTTP serves the page with the buttons, and the page that each posts to, which makes the token at the click.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := struct {
		Bridge, Token, Request string
		Customers              []Customer
	}{Bridge: p.Bridge, Customers: Customers()}
	switch {
	case r.URL.Path == "/open" && r.Method == http.MethodPost:
		var err error
		for _, c := range page.Customers {
			if c.ID == r.PostFormValue("customer") {
				request := r.PostFormValue("request")
				page.Token, err = p.answer(c, request, request != "")
			}
		}
		if err != nil || page.Token == "" {
			http.Error(w, "no such customer", http.StatusBadRequest)
			return
		}
	case r.URL.Path == portalLogin && r.Method == http.MethodGet && r.FormValue("request") != "":
		// The bridge sends whoever begins there. A portal that knows who is in front of it answers at once, unless the
		// address has force=1; this one asks each time.
		page.Request = r.FormValue("request")
	case r.URL.Path != "/" || r.Method != http.MethodGet:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	var b strings.Builder
	if err := portalPages.Execute(&b, page); err != nil {
		http.Error(w, "the page can't be made", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(b.String())) // the browser may be gone
}
