package web

import (
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
	xlanguage "golang.org/x/text/language"
)

// catalogues are the languages of the end-user pages. The first is what people get
// whose browser asks for none of them. One more is one more file and one more line.
var catalogues = []Catalogue{english, spanish}

// language is the pages in one language.
type language struct {
	texts Catalogue
	pages *pages
}

// maxAcceptLanguage bounds what is read of a browser's wishes: browsers send a few
// dozen bytes.
const maxAcceptLanguage = 512

// loadLanguages makes the pages of every language, and who chooses among them.
func loadLanguages(b Branding, assets Assets) ([]language, xlanguage.Matcher, error) {
	var (
		all  []language
		tags []xlanguage.Tag
	)
	for _, c := range catalogues {
		texts := c.WithBrand(b)
		p, err := loadPages(texts, b, assets)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, language{texts, p})
		tags = append(tags, xlanguage.MustParse(c.lang))
	}
	return all, xlanguage.NewMatcher(tags), nil
}

// Bounds of the wishes whose language is remembered: strangers can send any number of them, of any length.
const (
	rememberedWishes = 256
	rememberedLength = 128
)

// wishes remembers which language a browser's wish came to. Most browsers have one of a few.
type wishes struct {
	mu    sync.RWMutex
	known map[string]*language
}

func (w *wishes) get(wish string) *language {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.known[wish]
}

func (w *wishes) keep(wish string, l *language) {
	if len(wish) > rememberedLength {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known == nil {
		w.known = map[string]*language{}
	}
	if len(w.known) >= rememberedWishes {
		clear(w.known) // the usual ones are soon there again
	}
	w.known[wish] = l
}

// languageOf is what a browser asks for (RFC 9110 section 12.5.4), as far as there
// is such a language. What can't be read asks for nothing.
func (s *Server) languageOf(r *http.Request) *language {
	wish := r.Header.Get("Accept-Language")
	if wish == "" || len(wish) > maxAcceptLanguage {
		return &s.languages[0]
	}
	if l := s.wishes.get(wish); l != nil {
		return l
	}
	l := s.match(wish)
	s.wishes.keep(wish, l)
	return l
}

func (s *Server) match(wish string) *language {
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
