package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"ssobridge/web"
)

const brandingPath = "/admin/settings/branding"

// brandingView shows how end-user pages look, and how well their colours are read.
type brandingView struct {
	Languages, Schemes []option
	Language, Scheme   string
	Pages              []brandedPage
	Contrasts          []web.Contrast
	Weak               int // of the contrasts
	Logo, LogoDark     bool
	Background         string
}

// brandedPage is one page in its frame.
type brandedPage struct{ Name, Path string }

// branding is the page for who sets the branding: the pages that people meet, as they meet them.
func (k *Console) branding(r *request) error {
	view := brandingView{Language: r.QueryParam("language"), Scheme: r.QueryParam("scheme"),
		Logo: len(k.brand.Logo) > 0, LogoDark: len(k.brand.LogoDark) > 0, Background: k.brand.Background}
	if view.Scheme != web.DarkScheme {
		view.Scheme = web.LightScheme
	}
	languages := web.PreviewedLanguages()
	if !slices.Contains(languages, view.Language) {
		view.Language = languages[0]
		if slices.Contains(languages, k.texts.Lang()) {
			view.Language = k.texts.Lang()
		}
	}
	for _, lang := range languages {
		view.Languages = append(view.Languages, option{lang, r.text("branding.language." + lang)})
	}
	for _, scheme := range []string{web.LightScheme, web.DarkScheme} {
		view.Schemes = append(view.Schemes, option{scheme, r.text("branding." + scheme)})
	}
	for _, name := range web.PreviewedPages() {
		view.Pages = append(view.Pages, brandedPage{name, brandingPath + "/" + name + "?" +
			url.Values{"language": {view.Language}, "scheme": {view.Scheme}}.Encode()})
	}
	var err error
	if view.Contrasts, err = k.brand.Contrasts(); err != nil {
		return fmt.Errorf("compare the colours of the branding: %w", err)
	}
	for _, c := range view.Contrasts {
		if !c.OK() {
			view.Weak++
		}
	}
	r.crumbs = []link{{r.text("area.settings"), "/admin/settings"}}
	r.Frames()
	return r.show(http.StatusOK, "settings-branding", r.text("branding.title"), view)
}

// brandedPage is one of the pages, for a frame or by itself.
func (k *Console) brandedPage(r *request) error {
	return r.EndUserPage(r.Param("page"), r.QueryParam("language"), r.QueryParam("scheme"))
}
