package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// client is a plain HTTP client with a browser's manners: it keeps cookies,
// follows redirects, and submits the forms that it finds. It runs no script.
type client struct {
	patience time.Duration // for one answer; 0: the usual one
	t        testing.TB
	http     *http.Client
	// crossSite makes the next request one that another site caused.
	crossSite bool
	forwarded string // client address that a proxy names; "": none
	language  string // that it asks for; "": none
	// more are headers of the next request, in place of the usual ones.
	more http.Header
}

// page is an answer with its forms.
type page struct {
	t      testing.TB
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	Forms  []form
}

type form struct {
	Action string
	Method string
	Fields url.Values
	// Buttons are the submit buttons' name, value and text.
	Buttons []button
}

type button struct{ Name, Value, Text string }

func newClient(t testing.TB) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, http: &http.Client{
		Jar: jar, Timeout: patience,
		// No proxy of the machine may stand between the test and loopback.
		Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 16},
	}}
}

// with gives the next request a header.
func (c *client) with(name, value string) *client {
	if c.more == nil {
		c.more = http.Header{}
	}
	c.more.Set(name, value)
	return c
}

func (c *client) get(url string) *page {
	c.t.Helper()
	return c.send(http.MethodGet, url, nil)
}

func (c *client) post(url string, fields url.Values) *page {
	c.t.Helper()
	return c.send(http.MethodPost, url, fields)
}

func (c *client) send(method, target string, fields url.Values) *page {
	c.t.Helper()
	p, err := c.try(method, target, fields)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return p
}

func (c *client) try(method, target string, fields url.Values) (*page, error) {
	ctx, stop := context.WithTimeout(context.Background(), cmp.Or(c.patience, patience))
	defer stop()
	var body io.Reader
	if fields != nil {
		body = strings.NewReader(fields.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if fields != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	if c.crossSite {
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		c.crossSite = false
	}
	if c.forwarded != "" {
		req.Header.Set("X-Forwarded-For", c.forwarded)
	}
	if c.language != "" {
		req.Header.Set("Accept-Language", c.language)
	}
	if c.more != nil { // several goroutines share a client that sends no headers of its own
		maps.Copy(req.Header, c.more)
		if host := c.more.Get("Host"); host != "" {
			req.Host = host
		}
		c.more = nil
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	p := &page{t: c.t, URL: res.Request.URL, Status: res.StatusCode, Header: res.Header, Body: string(data)}
	if p.Forms, err = forms(p.Body); err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	return p, nil
}

// submit sends the form that has this field or button, with these values put in.
func (c *client) submit(p *page, has string, values ...string) *page {
	c.t.Helper()
	f := p.form(has)
	fields := url.Values{}
	for k, v := range f.Fields {
		fields[k] = slices.Clone(v)
	}
	for i := 0; i+1 < len(values); i += 2 {
		fields.Set(values[i], values[i+1])
	}
	return c.post(p.resolve(f.Action), fields)
}

// login fills the login form of this page.
func (c *client) login(p *page, name, password string) *page {
	c.t.Helper()
	return c.submit(p, "password", "login", name, "password", password)
}

// deliver submits the form with the Response to the SP.
func (c *client) deliver(p *page) *page {
	c.t.Helper()
	return c.submit(p, "SAMLResponse")
}

// delivers tells whether this page hands a Response over.
func (p *page) delivers() bool {
	return slices.ContainsFunc(p.Forms, func(f form) bool { return f.Fields.Has("SAMLResponse") })
}

func (p *page) form(has string) form {
	p.t.Helper()
	for _, f := range p.Forms {
		if f.Fields.Has(has) || slices.ContainsFunc(f.Buttons, func(b button) bool {
			return b.Name == has || strings.Contains(b.Text, has)
		}) {
			return f
		}
	}
	p.t.Fatalf("no form with %q at %s (status %d):\n%s", has, p.URL.Path, p.Status, p.text())
	return form{}
}

func (p *page) resolve(action string) string {
	u, err := p.URL.Parse(action)
	if err != nil {
		p.t.Fatalf("form action %q: %v", action, err)
	}
	return u.String()
}

// says fails unless the page shows each of the texts.
func (p *page) says(texts ...string) *page {
	p.t.Helper()
	got := p.text()
	for _, s := range texts {
		if !strings.Contains(got, s) {
			p.t.Fatalf("the page at %s (status %d) does not say %q, but:\n%s", p.URL.Path, p.Status, s, got)
		}
	}
	return p
}

// status fails unless the page has this HTTP status.
func (p *page) status(want int) *page {
	p.t.Helper()
	if p.Status != want {
		p.t.Fatalf("%s: got status %d, want %d:\n%s", p.URL.Path, p.Status, want, p.text())
	}
	return p
}

// text is the page's text without tags, white space folded.
func (p *page) text() string {
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return p.Body
	}
	var b strings.Builder
	walk(root, func(n *html.Node) bool {
		if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style" || n.Data == "noscript") {
			return false
		}
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		return true
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

func forms(body string) ([]form, error) {
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	var all []form
	walk(root, func(n *html.Node) bool {
		if n.Type != html.ElementNode || n.Data != "form" {
			return true
		}
		f := form{Action: attr(n, "action"), Method: attr(n, "method"), Fields: url.Values{}}
		walk(n, func(n *html.Node) bool {
			if n.Type != html.ElementNode {
				return true
			}
			switch {
			case n.Data == "button":
				var text strings.Builder
				walk(n, func(t *html.Node) bool {
					if t.Type == html.TextNode {
						text.WriteString(t.Data)
					}
					return true
				})
				f.Buttons = append(f.Buttons, button{attr(n, "name"), attr(n, "value"), strings.TrimSpace(text.String())})
			case n.Data == "textarea":
				f.Fields.Add(attr(n, "name"), text(n))
			case n.Data == "select":
				f.Fields.Add(attr(n, "name"), chosen(n))
			// sends nothing
			case n.Data == "input" && (attr(n, "type") == "checkbox" || attr(n, "type") == "radio") && !has(n, "checked"):
			case n.Data == "input" && attr(n, "type") != "submit" && attr(n, "name") != "":
				f.Fields.Add(attr(n, "name"), attr(n, "value"))
			}
			return true
		})
		all = append(all, f)
		return true
	})
	return all, nil
}

func walk(n *html.Node, visit func(*html.Node) bool) {
	if !visit(n) {
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

// text is what stands in an element.
func text(n *html.Node) string {
	var b strings.Builder
	walk(n, func(n *html.Node) bool {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		return true
	})
	return b.String()
}

// chosen is what a select sends: the option that is selected, or its first.
func chosen(n *html.Node) string {
	value, found, first := "", false, true
	walk(n, func(o *html.Node) bool {
		if o.Data == "option" && o.Type == html.ElementNode && (first || has(o, "selected") && !found) {
			value, first, found = text(o), false, has(o, "selected")
			if has(o, "value") {
				value = attr(o, "value")
			}
		}
		return true
	})
	return value
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
