package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// Fields are the values of a form or a query, each at most once.
type Fields map[string]string

// oneEach refuses what stands twice. Which of two values counts differs between
// parsers, and a check that read one must not be followed by a use of the other.
func oneEach(values url.Values) (Fields, error) {
	f := make(Fields, len(values))
	for name, vs := range values {
		if len(vs) != 1 {
			return nil, fmt.Errorf("field %.40q stands %d times", name, len(vs))
		}
		if !utf8.ValidString(vs[0]) || strings.ContainsRune(vs[0], 0) {
			return nil, fmt.Errorf("field %.40q is not text", name)
		}
		f[name] = vs[0]
	}
	return f, nil
}

// query reads the query strictly: a part that can't be read is refused, not left out.
func query(c echo.Context) (Fields, error) {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		// The parser's error quotes the query, which may hold a SAML message.
		return nil, refuse(http.StatusBadRequest, badLink, errors.New("query can't be read"))
	}
	f, err := oneEach(values)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, badLink, err)
	}
	return f, nil
}

// form reads a posted form of ours and checks that it came from a page of ours
// (row WEB-01). The error holds the pending sign-in, if the form named one, so that
// the page can offer to go on with it.
func (s *Server) form(c echo.Context, v *visit) (Fields, error) { return s.formUpTo(c, v, maxForm) }

// formUpTo is form with another bound, in bytes.
func (s *Server) formUpTo(c echo.Context, v *visit, most int64) (Fields, error) {
	f, err := s.readForm(c, most)
	if err != nil {
		return nil, err
	}
	if v.browser == "" {
		return nil, refuse(http.StatusForbidden, noCookies, errors.New("no browser cookie with a form")).goOnWith(c, f["s"])
	}
	if !s.csrfHolds(v.browser, f["csrf"]) {
		return nil, refuse(http.StatusForbidden, staleForm, errors.New("form token does not hold")).goOnWith(c, f["s"])
	}
	return f, nil
}

// readForm reads a posted form, wherever it came from.
func (s *Server) readForm(c echo.Context, most int64) (Fields, error) {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, refuse(http.StatusUnsupportedMediaType, badForm, fmt.Errorf("content type %.60q", kind))
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, most))
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, refuse(http.StatusRequestEntityTooLarge, badForm, err)
		}
		return nil, refuse(http.StatusBadRequest, badForm, fmt.Errorf("read form: %w", err))
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		// The parser's error quotes what it could not read: it may be the password.
		return nil, refuse(http.StatusBadRequest, badForm, errors.New("form can't be read"))
	}
	f, err := oneEach(values)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, badForm, err)
	}
	return f, nil
}

// signInID is the pending sign-in that a form names: its id, or the sealed text of one that is only started.
func signInID(f Fields) (string, error) {
	if id := f["s"]; handleText(id) {
		return id, nil
	}
	return "", refuse(http.StatusBadRequest, badLink, errNoSignIn)
}

// linkedID is the pending sign-in that a link names: a sealed text is none of a link's.
func linkedID(f Fields) (string, error) {
	if id := f["s"]; tokenText(id) {
		return id, nil
	}
	return "", refuse(http.StatusBadRequest, badLink, errNoSignIn)
}

// loginPath shows a pending sign-in. The sealed text of a started one never stands in it.
func loginPath(handle string) string {
	id, _, sealed := strings.Cut(handle, ".")
	if sealed {
		return startedPath(id)
	}
	return "/login?s=" + url.QueryEscape(id)
}
