package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
)

// admit lets a request through to its handler if the reader may do this: signed in,
// in the directory's group for the role, with a young login where that is asked for;
// a form besides with our token, and not sent before.
func (k *console) admit(area string, route consoleRoute) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := visitOf(c)
		if err := k.ensureBrowser(c, v); err != nil {
			return err
		}
		ctx := c.Request().Context()
		admin, in, err := k.entry.Administrator(ctx, v.visitor())
		if err != nil {
			return fmt.Errorf("look who uses the console: %w", err)
		}
		if !in || route.fresh && !admin.Fresh {
			return k.bringIn(c, v, route, in)
		}
		if route.role == idp.NoConsole || admin.Role < route.role {
			return k.deny(c, v, admin, route)
		}
		r := &consoleRequest{Context: c, k: k, area: area, visit: v, admin: admin, role: route.role}
		if route.method == http.MethodPost {
			if r.form, err = k.takeForm(c, v, route.long); err != nil {
				return err
			}
		}
		if k.counts(c.Request(), route) {
			if err := k.entry.UsedConsole(ctx, admin); err != nil {
				return err
			}
		}
		return route.handle(r)
	}
}

// counts tells whether a request is a use of the console, which its idle limit counts from: a form, or a page that
// somebody went to. What scripts ask for (live pages, searches as one types, parts that load by themselves) keeps no
// console open that nobody sits at, nor does a page that loads itself again.
func (k *console) counts(r *http.Request, route consoleRoute) bool {
	return route.method == http.MethodPost || !route.stream && !byScript(r) && !r.URL.Query().Has(byItself)
}

// byScript tells whether a page's script asks, as far as the browser says so.
func byScript(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Header.Get("HX-Request") != "" || mode != "" && mode != "navigate"
}

// bringIn leads to the login and back to the page. What a form would have done is
// not done: a form from before a login is not to be repeated unseen.
func (k *console) bringIn(c echo.Context, v *visit, route consoleRoute, again bool) error {
	if route.stream || route.method != http.MethodGet || byScript(c.Request()) {
		if byScript(c.Request()) {
			c.Response().Header().Set("HX-Refresh", "true") // the page itself then leads to the login, and back to it
		}
		r := refuse(http.StatusForbidden, consoleSession,
			errors.New("no session that may use the console, or not fresh enough"))
		r.again = freshPath + "?" + url.Values{"to": {referringPage(c.Request())}}.Encode()
		return r
	}
	answer, err := k.entry.EnterConsole(c.Request().Context(), consolePath(c.Request()), again, v.visitor())
	if err != nil {
		return fmt.Errorf("enter the console: %w", err)
	}
	return k.answer(c, v, answer, "")
}

// freshPath leads by a new login to a page of the console.
const freshPath = "/admin/fresh"

// freshened goes on to the page that a login was asked for.
func (k *console) freshened(r *consoleRequest) error {
	to := ownPath(cut(r.QueryParam("to"), 2048))
	if !strings.HasPrefix(to, consoleHome) || strings.HasPrefix(to, freshPath) {
		to = consoleHome
	}
	return r.Redirect(http.StatusSeeOther, to)
}

// referringPage is the page of the console that a form was sent from, as far as the
// browser says so.
func referringPage(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return consoleHome
	}
	to := ownPath(u.RequestURI())
	if !strings.HasPrefix(to, consoleHome) || len(to) > 2048 {
		return consoleHome
	}
	return to
}

// consolePath is the path and query of a page of the console. It comes from the
// request's own line, and leads nowhere else: the router matched it under /admin/.
func consolePath(r *http.Request) string {
	path := ownPath(r.URL.RequestURI())
	if !strings.HasPrefix(path, consoleHome) || len(path) > 2048 {
		return consoleHome
	}
	return path
}

// deny refuses somebody whose role does not reach, and writes it down: somebody
// tried what the pages do not offer them.
func (k *console) deny(c echo.Context, v *visit, admin idp.Administrator, route consoleRoute) error {
	err := k.Store.Audit().Add(c.Request().Context(), store.Event{
		At: k.now(), Ref: v.ref, Actor: string(admin.Person), Action: "console-refusal", Subject: route.method +
			" " + route.path,
		Address: v.address, Outcome: "refused", Reason: "console_role",
	})
	if err != nil {
		return fmt.Errorf("record a refusal in the console: %w", err)
	}
	r := refuse(http.StatusForbidden, consoleRole, fmt.Errorf("%s may not use %s, which needs %s", admin.Role,
		route.path, route.role))
	r.again = consoleHome
	return r
}

// takeForm reads a form and takes it once. Its random id is the page's, drawn anew
// each time the form is shown.
func (k *console) takeForm(c echo.Context, v *visit, long bool) (fields, error) {
	most := int64(maxConsoleForm)
	if long {
		most = maxConsoleFile
	}
	f, err := k.formUpTo(c, v, most)
	if err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = consoleHome
		}
		return nil, err
	}
	if !tokenText(f["once"]) {
		return nil, refuse(http.StatusBadRequest, badForm, errors.New("form without its id"))
	}
	first, err := k.Store.Forms().Use(c.Request().Context(), f["once"])
	if err != nil {
		return nil, fmt.Errorf("take a form: %w", err)
	}
	if !first {
		r := refuse(http.StatusConflict, consoleTwice, errors.New("form was sent before"))
		r.again = consoleHome
		return nil, r
	}
	return f, nil
}
