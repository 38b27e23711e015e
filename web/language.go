package web

import (
	"net/http"

	"github.com/labstack/echo/v4"
	xlanguage "golang.org/x/text/language"
)

// catalogues are the languages of the end-user pages. The first is what people get
// whose browser asks for none of them. One more is one more file and one more line.
var catalogues = []catalogue{english, spanish}

// language is the pages in one language.
type language struct {
	texts catalogue
	pages *pages
}

// maxAcceptLanguage bounds what is read of a browser's wishes: browsers send a few
// dozen bytes.
const maxAcceptLanguage = 512

// loadLanguages makes the pages of every language, and who chooses among them.
func loadLanguages(b Branding, assets map[string]asset) ([]language, xlanguage.Matcher, error) {
	var (
		all  []language
		tags []xlanguage.Tag
	)
	for _, c := range catalogues {
		texts := c.withBrand(b)
		p, err := loadPages(texts, b, assets)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, language{texts, p})
		tags = append(tags, xlanguage.MustParse(c.lang))
	}
	return all, xlanguage.NewMatcher(tags), nil
}

// languageOf is what a browser asks for (RFC 9110 section 12.5.4), as far as there
// is such a language. What can't be read asks for nothing.
func (s *Server) languageOf(r *http.Request) *language {
	wish := r.Header.Get("Accept-Language")
	if wish == "" || len(wish) > maxAcceptLanguage {
		return &s.languages[0]
	}
	tags, _, err := xlanguage.ParseAcceptLanguage(wish)
	if err != nil || len(tags) == 0 {
		return &s.languages[0]
	}
	_, i, sure := s.matcher.Match(tags...)
	if sure == xlanguage.No {
		return &s.languages[0]
	}
	return &s.languages[i]
}

// in is the language of a request.
func (s *Server) in(c echo.Context) *language {
	if v := visitOf(c); v.language != nil {
		return v.language
	}
	return &s.languages[0]
}
