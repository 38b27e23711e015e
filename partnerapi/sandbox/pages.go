package sandbox

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed pages.html
var pageFile embed.FS

// pages are all pages; everything shown is escaped by html/template.
var pages = template.Must(template.ParseFS(pageFile, "pages.html"))

// frame is what every page gets. Options as a whole are not among it: they hold secrets.
type frame struct {
	Nonce, PublicURL, EntityID, Audience, ExternalProvider, ACS string
	Profile                                                     Profile
	Data                                                        any
}

// page writes a page. Styles and the one script pass by nonce. There is no form-action: the form of an
// AuthnRequest goes to whichever identity provider is registered, and redirects on from there.
func (s *Sandbox) page(w http.ResponseWriter, status int, name string, data any) {
	f := frame{
		Nonce: s.random(16), PublicURL: s.o.PublicURL, EntityID: s.o.EntityID, Audience: s.o.Audience,
		ExternalProvider: s.o.ExternalProvider, ACS: s.acs, Profile: s.o.Profile, Data: data,
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, f); err != nil {
		http.Error(w, "this page could not be made", http.StatusInternalServerError)
		s.o.Logger.Error("page not made", "page", name, "error", err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+f.Nonce+"'; script-src 'nonce-"+f.Nonce+
		"'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // nobody is left to be told
}

// problem shows what went wrong.
func (s *Sandbox) problem(w http.ResponseWriter, status int, text string) {
	s.page(w, status, "problem", text)
}

const maxShown = 200 // accounts and users on the page

// serveIndex explains what this is.
func (s *Sandbox) serveIndex(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.ripen()
	accounts, users := s.people.accounts, s.people.users
	data := struct {
		Accounts    []Account
		Users       []User
		AllAccounts int
		AllUsers    int
		IdPs        []string
		Used        int
		FaultKinds  []FaultKind
	}{
		Accounts: append([]Account{}, accounts[:min(len(accounts), maxShown)]...), AllAccounts: len(accounts),
		Users: append([]User{}, users[:min(len(users), maxShown)]...), AllUsers: len(users),
		Used: s.api.used, FaultKinds: faultKinds,
	}
	for id := range s.idps {
		data.IdPs = append(data.IdPs, id)
	}
	s.mu.Unlock()
	s.page(w, http.StatusOK, "index", data)
}
