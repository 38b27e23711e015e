package web

import (
	"strings"

	"ssobridge/internal/plaintext"
	"ssobridge/web/texts"
)

// Language is the place of the language of a request among those that a chooser has: what somebody chose in this
// browser, or what the browser asks for.
func (r *ConsoleRequest) Language(among *texts.Chooser) int {
	if i, ok := among.Named(readCookie(r.Request(), languageCookie)); ok {
		return i
	}
	return among.Accept(r.Request().Header.Get("Accept-Language"))
}

// ChooseLanguage remembers a language in this browser, for the console and the pages of people, and leads back to a
// page of the console.
func (r *ConsoleRequest) ChooseLanguage(lang, back string) error {
	r.c.SetCookie(cookie(languageCookie, lang, browserLife))
	back = ownPath(plaintext.Cut(back, 2048))
	if !strings.HasPrefix(back, ConsoleHome) {
		back = ConsoleHome
	}
	return r.Redirect(back)
}
