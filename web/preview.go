package web

import (
	"net/http"
	"slices"
	"time"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// The pages that people meet, with an invented person in them, for an administrator who looks at the branding. They are
// the pages themselves. Nothing can be done on them: they hold no token of a form and no sign-in, run no script and
// send no form.

// Schemes in which a page can be previewed. A browser follows its owner's choice; a preview follows this.
const (
	LightScheme = "light"
	DarkScheme  = "dark"
)

// preview has a page shown for looking at alone.
type preview struct{ scheme string }

// previewed are the pages in the order in which people meet them.
var previewed = []string{"login", "factor", "choose", "waiting", "refusal", "signedout"}

// PreviewedPages are the names of the pages that can be previewed, in the order in which people meet them.
func PreviewedPages() []string { return slices.Clone(previewed) }

// PreviewedLanguages are the languages of these pages, the default first.
func PreviewedLanguages() []string { return slices.Clone(languages) }

// samplePage is what a page shows to nobody in particular.
func (s *Server) samplePage(name string) (idp.Answer, bool) {
	provider := s.product
	account := provisioning.Assignment{Account: "a07e1lxqqqr2", Name: "Harbour Books", Role: "account_manager"}
	switch name {
	case "login":
		return idp.Answer{Page: idp.AskPassword{Provider: provider, CanCancel: true}}, true
	case "factor":
		return idp.Answer{Page: idp.AskFactor{Provider: provider, Login: "anna.example", Code: true}}, true
	case "choose":
		other := provisioning.Assignment{Account: "a07e1lxqqqo0", Name: "Juniper Bakery", Role: "campaign_creator"}
		return idp.Answer{Page: idp.ChooseAccount{Provider: provider, Person: "anna.example",
			Choices: []provisioning.Assignment{account, other}}}, true
	case "waiting":
		return idp.Answer{Page: idp.Waiting{Provider: provider, Account: account, CanCancel: true,
			Progress: provisioning.Progress{State: store.Wanted, Since: s.now(), Place: 3, Expected: 4 * time.Second,
				Cause: "queued"}}}, true
	case "refusal":
		return idp.Answer{Page: idp.Refusal{Provider: provider, Reason: "no_assignment", Status: http.StatusForbidden}}, true
	case "signedout":
		return idp.Answer{Page: idp.SignedOut{}}, true
	}
	return idp.Answer{}, false
}

// EndUserPage answers with a page that people meet, for looking at; see PreviewedPages. A page of the console may hold
// it in a frame, nothing else may. language is one of PreviewedLanguages, else the default is taken; scheme is
// DarkScheme, or else light.
func (r *ConsoleRequest) EndUserPage(name, language, scheme string) error {
	s := r.k.Server
	a, ok := s.samplePage(name)
	if !ok {
		return r.Missing("page")
	}
	if scheme != DarkScheme {
		scheme = LightScheme
	}
	// A visit of nobody: no session and no browser of the administrator's gets into the page.
	nobody := &visit{site: s.site, ref: r.visit.ref, language: &s.languages[0], preview: &preview{scheme: scheme}}
	if i, ok := s.chooser.Named(language); ok {
		nobody.language = &s.languages[i]
	}
	r.c.Set(visitKey, nobody)
	defer r.c.Set(visitKey, r.visit)
	return s.answer(r.c, nobody, a, "")
}

// apply sets the headers of a preview, in place of those of the page. The sandbox stands here and not in the frame's
// attribute alone: the page may be opened by its address too. It keeps our origin, since our files go to no other.
func (p *preview) apply(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'self'; "+
		"base-uri 'none'; form-action 'none'; sandbox allow-same-origin")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Del("Retry-After")
}

// Frames has the page that is answered with hold previews.
func (r *ConsoleRequest) Frames() { r.frames = true }
