package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
)

// A sign-in that is only started is kept by the browser: idp names it by its id, a dot and a sealed text. The text
// stands in a hidden field of each page of it. A short one stands in a cookie too, so that its page has an address
// (/login?t=ID), and reload, back and tabs work. It never stands in an address: addresses get into logs and into the
// Referer.

// startCookie and the sign-in's id are the name of the cookie of a started sign-in.
const startCookie = "__Host-ssobridge_start_"

const (
	// maxStartText is the longest sealed text that goes into a cookie.
	maxStartText = idp.MaxStartedText
	// maxHandle bounds what a form may name; idp has the exact bound.
	maxHandle = 60 << 10
	// maxCookies bounds all cookies of ours together, names included: proxies refuse requests with headers of more than 8
	// KB.
	maxCookies = 6000
	// otherCookies is room for those of the session and the browser, and for what the browser remembers: language, login
	// name, accounts, source.
	otherCookies = 820
	// maxDropped bounds the cookies that one answer drops: proxies refuse answers with long headers, too.
	maxDropped = 12
	// blindLife is how long a cookie lives that was set without seeing what others there are. Its page sets it for longer,
	// and drops others. So a site that makes a browser post here again and again, and lets none of its pages come, fills
	// its cookies for two minutes and no longer.
	blindLife = 2 * time.Minute
)

// startedCookie is what a cookie of a started sign-in holds.
type startedCookie struct {
	id   string
	at   int64  // when it was made, in seconds
	own  string // the token that binds the sign-in to this browser; "": the browser's own cookie does
	text string // sealed; "": it was too long, and stands in the form alone
	size int    // of name and value
}

func (k startedCookie) value() string {
	return strconv.FormatInt(k.at, 36) + "." + k.own + "." + k.text
}

// startedCookies are those of a request. What is none of our making counts as the oldest.
func startedCookies(r *http.Request) []startedCookie {
	var all []startedCookie
	for _, c := range r.Cookies() {
		id, ours := strings.CutPrefix(c.Name, startCookie)
		if !ours || !tokenText(id) {
			continue
		}
		k := startedCookie{id: id, size: len(c.Name) + len(c.Value) + 3}
		if part := strings.Split(c.Value, "."); len(part) == 3 && (part[1] == "" || tokenText(part[1])) && (part[2] == "" ||
			sealedText(part[2])) {
			if at, err := strconv.ParseInt(part[0], 36, 64); err == nil {
				k.at, k.own, k.text = at, part[1], part[2]
			}
		}
		all = append(all, k)
	}
	return all
}

// startedOf is the cookie of one started sign-in.
func startedOf(r *http.Request, id string) (startedCookie, bool) {
	all := startedCookies(r)
	i := slices.IndexFunc(all, func(k startedCookie) bool { return k.id == id })
	if i < 0 {
		return startedCookie{}, false
	}
	return all[i], true
}

// keepStarted sets the cookie of a started sign-in, and drops the oldest others where there would be too many: their
// pages go on by their field.
func (s *Server) keepStarted(c echo.Context, k startedCookie, life time.Duration) {
	k.at = s.now().Unix()
	value := k.value()
	c.SetCookie(cookie(startCookie+k.id, value, life))
	room := maxCookies - otherCookies - len(startCookie+k.id) - len(value) - 3
	others := slices.DeleteFunc(startedCookies(c.Request()), func(other startedCookie) bool { return other.id == k.id })
	slices.SortStableFunc(others, func(a, b startedCookie) int { return cmp.Compare(b.at, a.at) }) // the youngest first
	dropped := 0
	for _, other := range others {
		if room -= other.size; room < 0 && dropped < maxDropped {
			c.SetCookie(cleared(startCookie + other.id))
			dropped++
		}
	}
}

// goOn leads to the page of a pending sign-in.
func (s *Server) goOn(c echo.Context, v *visit, p idp.GoOn) error {
	id, text, sealed := strings.Cut(p.SignIn, ".")
	if !sealed {
		if _, kept := startedOf(c.Request(), id); kept { // it is stored from now on
			c.SetCookie(cleared(startCookie + id))
		}
		return c.Redirect(http.StatusSeeOther, loginPath(id))
	}
	life := s.startLife
	if v.browser == "" {
		life = blindLife
	}
	if len(text) <= maxStartText {
		s.keepStarted(c, startedCookie{id: id, own: p.Own, text: text}, life)
		return c.Redirect(http.StatusSeeOther, loginPath(p.SignIn))
	}
	if p.Own != "" {
		s.keepStarted(c, startedCookie{id: id, own: p.Own}, life)
	}
	// The form comes from a page of ours, so that the next request carries our cookies (row WEB-03). Without a script
	// its button does the same.
	return s.show(c, http.StatusOK, "goon", policy{script: true}, goOnView{SignIn: p.SignIn})
}

// goOnView leads on by itself: by a form, or to a path of ours.
type goOnView struct{ SignIn, On string }

// renewStarted sets the cookie of the sign-in that a page is shown of anew, where it was set without seeing the others:
// for longer, and bound to the browser's own cookie like the page.
func (s *Server) renewStarted(c echo.Context, handle string) {
	id, text, sealed := strings.Cut(handle, ".")
	if !sealed {
		return
	}
	k, kept := startedOf(c.Request(), id)
	if !kept || k.own == "" {
		return
	}
	if k.text != "" {
		if len(text) > maxStartText {
			return
		}
		k.own, k.text = "", text
	}
	// A long one keeps its own token: a reload sends its first form again.
	s.keepStarted(c, k, s.startLife)
}

// resumeStarted shows a sign-in that may not be stored, by its cookie. way is what the person has chosen to sign in
// with, "" for nothing.
func (s *Server) resumeStarted(c echo.Context, id, way string) error {
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	handle := id // without the cookie it may be stored by now
	if k, kept := startedOf(c.Request(), id); kept && k.text != "" {
		handle, v.own = id+"."+k.text, k.own
	}
	return s.goOnBy(c, v, handle, way, startedPath(id))
}

// started takes the form of a started sign-in and shows its page. It does what the page's address does for a short one,
// so it takes no more than that: who posts it must be on a page of ours, and the sealed text belongs to a cookie of
// this browser.
func (s *Server) started(c echo.Context) error {
	if err := navigated(c); err != nil {
		return err
	}
	f, err := s.readForm(c, maxForm)
	if err != nil {
		return err
	}
	id, err := signInID(f)
	if err != nil {
		return err
	}
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	v.own = ownToken(c.Request(), id)
	a, err := s.idp.Resume(c.Request().Context(), id, v.visitor())
	if err != nil {
		return fmt.Errorf("go on with a started sign-in: %w", err)
	}
	return s.answer(c, v, a, "")
}

// ownToken is the token of the cookie that a started sign-in has for itself.
func ownToken(r *http.Request, handle string) string {
	id, _, sealed := strings.Cut(handle, ".")
	if !sealed {
		return ""
	}
	k, _ := startedOf(r, id)
	return k.own
}

// startedTexts finds the sealed text of a started sign-in that a request's cookies keep.
func startedTexts(r *http.Request) func(id string) string {
	return func(id string) string {
		k, _ := startedOf(r, id)
		return k.text
	}
}

// startedPath shows a started sign-in.
func startedPath(id string) string { return "/login?t=" + id }

// handleText tells whether a text can name a pending sign-in: an id, or an id, a dot and a sealed text.
func handleText(v string) bool {
	id, text, sealed := strings.Cut(v, ".")
	return tokenText(id) && (!sealed || sealedText(text))
}

// sealedText tells whether a text is of the base64url alphabet and of a length that can be.
func sealedText(v string) bool {
	if v == "" || len(v) > maxHandle {
		return false
	}
	for piece := range slices.Chunk([]byte(v), maxTokenText) {
		if !tokenText(string(piece)) {
			return false
		}
	}
	return true
}

var errNoSignIn = errors.New("no sign-in named")
