package web

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"ssobridge/provisioning"
	"ssobridge/store"
)

// What a browser remembers for the person in front of it, beside its sessions. None says who is signed in, and
// none is believed: a login name is only filled in, an account or a source only shown first among those that there are.
const (
	loginCookie   = "__Host-ssobridge_login"
	accountCookie = "__Host-ssobridge_account"
	wayCookie     = "__Host-ssobridge_source"
)

// maxRemembered is the longest login name that is remembered. The bound of all cookies leaves room for it.
const maxRemembered = 128

// rememberLogin keeps the name of a login that went well, or forgets the one that is kept. Browsers ask for it by a box
// that is shown where the configuration says so.
func rememberLogin(c echo.Context, login string, wanted bool) {
	if wanted && login != "" && len(login) <= maxRemembered {
		c.SetCookie(cookie(loginCookie, base64.RawURLEncoding.EncodeToString([]byte(login)), browserLife))
		return
	}
	if readCookie(c.Request(), loginCookie) != "" {
		c.SetCookie(cleared(loginCookie))
	}
}

// rememberedLogin is the login name that this browser keeps, "" for none.
func rememberedLogin(r *http.Request) string {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(readCookie(r, loginCookie))
	if err != nil || len(raw) > maxRemembered || !utf8.Valid(raw) ||
		strings.ContainsFunc(string(raw), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return string(raw)
}

// keepWay keeps who signed somebody in last in this browser. It only says which button stands first: a browser that
// several people share must not send the next one to the sign-in of the one before.
func keepWay(c echo.Context, way string) { c.SetCookie(cookie(wayCookie, way, browserLife)) }

// rememberedWay is what this browser keeps of that, "" for nothing.
func rememberedWay(r *http.Request) string {
	if way := readCookie(r, wayCookie); wayText(way) {
		return way
	}
	return ""
}

// keptAccounts is how many accounts that were chosen last are remembered.
const keptAccounts = 3

// recentAccounts are the ids of the accounts that were chosen last in this browser, the last one first.
func recentAccounts(r *http.Request) (ids []string) {
	value := readCookie(r, accountCookie)
	if value == "" {
		return nil
	}
	for _, text := range strings.Split(value, ".") {
		if id, err := store.ParseAccountID(text); err == nil && len(ids) < keptAccounts {
			ids = append(ids, string(id))
		}
	}
	return ids
}

// keepRecent puts a chosen account first among those.
func keepRecent(c echo.Context, id string) {
	others := slices.DeleteFunc(recentAccounts(c.Request()), func(other string) bool { return other == id })
	ids := append([]string{id}, others...)
	value := strings.Join(ids[:min(keptAccounts, len(ids))], ".")
	if len(value) > maxTokenText { // ids are short; what is longer is not worth a cookie
		return
	}
	c.SetCookie(cookie(accountCookie, value, browserLife))
}

// recentFirst puts the accounts that were chosen last before the others, which keep their order.
func recentFirst(all []provisioning.Assignment, recent []string) []provisioning.Assignment {
	if len(recent) == 0 {
		return all
	}
	place := func(a provisioning.Assignment) int {
		if i := slices.Index(recent, string(a.Account)); i >= 0 {
			return i
		}
		return len(recent)
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b provisioning.Assignment) int { return place(a) - place(b) })
	return sorted
}

// stepPath is the address of a form that goes on with a stored sign-in. It names the sign-in, for whoever asks for that
// address without the form; the form itself says it in its field. A sealed one never stands in an address.
func stepPath(path, handle string) string {
	if !tokenText(handle) {
		return path
	}
	return path + "?s=" + url.QueryEscape(handle)
}
