package documents_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser is somebody's on the machine: it keeps cookies, follows redirects and sends the forms that it finds.
type browser struct {
	t      *testing.T
	http   *http.Client
	header http.Header // of each request, beside those of a browser
}

// answer is a page with its first form.
type answer struct {
	at     *url.URL
	status int
	text   string
	action string
	fields url.Values
}

func (m *machine) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: patience, Transport: m.transport(t)}
	return &browser{t: t, header: http.Header{}, http: client}
}

func (m *machine) transport(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{DialContext: m.dial, TLSClientConfig: m.pki.client(), ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// send makes a request; with fields it posts them.
func (b *browser) send(address string, fields url.Values) (*answer, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if fields != nil {
		method, body = http.MethodPost, strings.NewReader(fields.Encode())
	}
	req, err := http.NewRequestWithContext(context.Background(), method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header = b.header.Clone()
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if fields != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	a := &answer{at: res.Request.URL, status: res.StatusCode, text: string(data), fields: url.Values{}}
	root, err := html.Parse(strings.NewReader(a.text))
	if err != nil {
		return nil, err
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		at := map[string]string{}
		for _, attr := range n.Attr {
			at[attr.Key] = attr.Val
		}
		switch {
		case n.Data == "form" && a.action == "":
			action, err := a.at.Parse(at["action"])
			if err != nil {
				return nil, err
			}
			a.action = action.String()
		case n.Data == "input" && at["name"] != "":
			a.fields.Set(at["name"], at["value"])
		}
	}
	return a, nil
}

func (b *browser) get(address string) *answer {
	b.t.Helper()
	a, err := b.send(address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// submit sends the form of a page.
func (b *browser) submit(a *answer, values ...string) *answer {
	b.t.Helper()
	for i := 0; i+1 < len(values); i += 2 {
		a.fields.Set(values[i], values[i+1])
	}
	next, err := b.send(a.action, a.fields)
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// signIn follows a launch link to the landing page at Constant Contact.
func (b *browser) signIn(m *machine, link, login, password string) {
	b.t.Helper()
	a := b.get(link)
	if !a.fields.Has("password") {
		b.t.Fatalf("%s shows no login page, but (status %d)\n%s", link, a.status, a.text)
	}
	a = b.submit(a, "login", login, "password", password)
	m.until("the user is there", func() error {
		if strings.Contains(a.text, "Setting up your access") {
			a = b.get(a.at.String())
			return errors.New("the page waits")
		}
		return nil
	})
	if !a.fields.Has("SAMLResponse") {
		b.t.Fatalf("after the login there is no Response, but (%s, status %d)\n%s", a.at, a.status, a.text)
	}
	if a = b.submit(a); a.status != http.StatusOK || !strings.Contains(a.text, account) {
		b.t.Fatalf("Constant Contact says (%s, status %d)\n%s", a.at, a.status, a.text)
	}
}

func (a *answer) String() string { return fmt.Sprintf("%s, status %d:\n%s", a.at, a.status, a.text) }
