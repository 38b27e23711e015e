package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// The cookies of the bridge.
const (
	sessionCookie = "__Host-ssobridge_session"
	browserCookie = "__Host-ssobridge_browser"
)

// visitor is a person at a browser that knows nothing of the bridge yet.
type visitor struct {
	br               *bridge
	c                *conn
	address          string // of X-Forwarded-For; "" for none
	browser, session string // cookies
	request          []byte // is made anew for each request, in the same memory
}

// errWaits says that the bridge showed a page that waits for a new SSO user.
var errWaits = errors.New("the bridge waits for the person's SSO user")

// signIn goes the whole way of a fresh sign-in: launch, login page, password,
// Response. The answer is the page that delivers the Response.
func (v *visitor) signIn(login string) (answer, error) {
	v.browser, v.session = "", ""
	a, err := v.send("GET", "/launch/"+account, "")
	if err != nil {
		return a, err
	}
	page, err := v.logIn(a, login)
	if err != nil {
		return a, err
	}
	if a, err = v.send("GET", page, ""); err != nil {
		return a, err
	}
	return a, delivered(a)
}

// logIn fills in the login page that is the answer to a first request, and returns where the bridge leads from there.
func (v *visitor) logIn(a answer, login string) (string, error) {
	a, err := v.try(a, login, directorytest.Password)
	if err != nil {
		return "", err
	}
	to := string(field(a.head, "Location: "))
	if v.session = a.setCookie(sessionCookie); a.status != 303 || v.session == "" || to == "" {
		return "", fmt.Errorf("log in as %s: got status %d, want 303 and a session", login, a.status)
	}
	return to, nil
}

// try fills in the login page that is the answer to a first request, with any password.
func (v *visitor) try(a answer, login, password string) (answer, error) {
	started, csrf := a.between(`name="s" value="`, `"`), a.between(`name="csrf" value="`, `"`)
	if v.browser = a.setCookie(browserCookie); a.status != 200 || started == nil || csrf == nil || v.browser == "" {
		return a, fmt.Errorf("first request: got status %d, want the login page and a cookie", a.status)
	}
	form := url.Values{
		"s": {html.UnescapeString(string(started))}, "csrf": {html.UnescapeString(string(csrf))},
		"login": {login}, "password": {password},
	}
	return v.send("POST", "/login", form.Encode())
}

// mistake comes with an empty browser and a wrong password, and is refused.
func (v *visitor) mistake(login string) error {
	v.browser, v.session = "", ""
	a, err := v.send("GET", "/launch/"+account, "")
	if err == nil {
		a, err = v.try(a, login, "wrong")
	}
	if err == nil && (a.status != 422 || a.setCookie(sessionCookie) != "") {
		err = fmt.Errorf("log in with a wrong password: got status %d, want 422 and no session", a.status)
	}
	return err
}

// launch goes to the client account with the session that the visitor has.
func (v *visitor) launch() (answer, error) {
	a, err := v.send("GET", "/launch/"+account, "")
	if err != nil {
		return a, err
	}
	return a, delivered(a)
}

// launchAgain is a launch of somebody whose SSO user may be missing still: then the bridge leads to the page that
// waits.
func (v *visitor) launchAgain() (answer, error) {
	a, err := v.send("GET", "/launch/"+account, "")
	if to := string(field(a.head, "Location: ")); err == nil && a.status == 303 && strings.HasPrefix(to, "/login") {
		a, err = v.send("GET", to, "")
	}
	if err != nil {
		return a, err
	}
	return a, delivered(a)
}

// delivered checks that an answer is the page that delivers a Response.
func delivered(a answer) error {
	switch {
	case a.status == 200 && bytes.Contains(a.body, []byte(`name="SAMLResponse" value="`)):
		return nil
	case a.status == 200:
		return errWaits
	}
	return fmt.Errorf("got status %d, want the page that delivers the Response", a.status)
}

func (v *visitor) send(method, path, form string) (answer, error) {
	v.request = v.head(v.request[:0], method, path)
	if form != "" {
		v.request = fmt.Appendf(v.request, "Origin: http://%s\r\nContent-Type: "+
			"application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", v.br.host, len(form))
	}
	v.request = append(v.request, "\r\n"...)
	v.request = append(v.request, form...)
	a, err := v.c.do(v.request)
	if err != nil {
		return a, fmt.Errorf("%s %s: %w", method, strings.SplitN(path, "?", 2)[0], err)
	}
	return a, nil
}

// head is the beginning of a request as a browser writes it, without the empty line.
func (v *visitor) head(to []byte, method, path string) []byte {
	to = append(to, method...)
	to = append(to, ' ')
	to = append(to, path...)
	to = append(to, " HTTP/1.1\r\nHost: "...)
	to = append(to, v.br.host...)
	to = append(to, "\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) bench\r\nAccept: text/html,application/xhtml+xml\r\n"+
		"Accept-Language: en\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"...)
	if v.address != "" {
		to = append(to, "X-Forwarded-For: "...)
		to = append(to, v.address...)
		to = append(to, "\r\n"...)
	}
	if v.browser != "" {
		to = append(to, "Cookie: "+browserCookie+"="...)
		to = append(to, v.browser...)
		if v.session != "" {
			to = append(to, "; "+sessionCookie+"="...)
			to = append(to, v.session...)
		}
		to = append(to, "\r\n"...)
	}
	return to
}

// launchRequest is the whole request of a launch with the visitor's session.
func (v *visitor) launchRequest() []byte {
	return append(v.head(nil, "GET", "/launch/"+account), "\r\n"...)
}

// accepted gives the Response of a page to the sandbox, a service provider that
// verifies it: what is fast must be right too.
func (br *bridge) accepted(ctx context.Context, a answer) error {
	value := a.between(`name="SAMLResponse" value="`, `"`)
	form := url.Values{"SAMLResponse": {html.UnescapeString(string(value))}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, br.box.ACS(), strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{
		Timeout: patience, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("deliver a Response to the sandbox: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 3 {
		page, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what is missing is only a worse message
		why := answer{body: page}.between(`id="detail">`, "<")
		return fmt.Errorf("the sandbox refuses the Response with status %d: %s", res.StatusCode, why)
	}
	return nil
}

// introduce signs people in for the first time, so that each has an SSO user when it
// counts, and has the sandbox verify the first Response.
func (br *bridge) introduce(ctx context.Context, people int, verify bool) error {
	return br.each(ctx, people, func(v *visitor, i int) error {
		a, err := v.signIn(directorytest.LoadLogin(i))
		for deadline := time.Now().Add(patience); errors.Is(err, errWaits) && time.Now().Before(deadline); {
			if err := pause(ctx, 100*time.Millisecond, nil); err != nil {
				return err
			}
			a, err = v.launchAgain()
		}
		if err == nil && i == 0 && verify {
			err = br.accepted(ctx, a)
		}
		return err
	})
}

// sessions signs people in and returns a launch request for each, whose session is
// live and whose reading of the directory is fresh for a minute from now.
func (br *bridge) sessions(ctx context.Context, people int) ([][]byte, error) {
	requests := make([][]byte, people)
	err := br.each(ctx, people, func(v *visitor, i int) error {
		_, err := v.signIn(directorytest.LoadLogin(i))
		requests[i] = v.launchRequest()
		return err
	})
	return requests, err
}

// each does something for a number of people, over the usual connections.
func (br *bridge) each(ctx context.Context, people int, do func(v *visitor, i int) error) error {
	var next counter
	failed := make(chan error, connections)
	for range connections {
		go func() {
			c, err := dial(ctx, br.address)
			if err != nil {
				failed <- err
				return
			}
			defer c.close()
			v := &visitor{br: br, c: c}
			for i := next.next(); i < people && err == nil && ctx.Err() == nil; i = next.next() {
				err = do(v, i)
			}
			failed <- err
		}()
	}
	var errs []error
	for range connections {
		errs = append(errs, <-failed)
	}
	return errors.Join(append(errs, ctx.Err())...)
}
