package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"ssobridge/web/admin"
	"ssobridge/web/api"
)

// caller is a program that calls the API of a world with a token.
type caller struct {
	t     testing.TB
	url   string
	id    string
	token string
	doc   *openapi3.T // every answer is checked against it
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// apiSetting is a world with the API switched on.
func apiSetting() setting { return setting{set: map[string]string{"api.enabled": "true"}} }

// allScopes are those that need nobody who vouches.
func allScopes() string {
	var all []string
	for _, s := range admin.TokenScopes() {
		if !s.Privileged {
			all = append(all, s.Name)
		}
	}
	return strings.Join(all, ",")
}

// caller makes a token by command, as an admin would.
func (w *world) caller(t testing.TB, scopes string, more ...string) *caller {
	t.Helper()
	args := []string{"tokens", "create", "test", "--scope", scopes, "--days", "1", "--json"}
	out := w.command(t, append(args, more...)...)
	var made struct{ ID, Token string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return &caller{t: t, url: w.url, id: made.ID, token: made.Token, doc: apiDocument(t)}
}

func apiDocument(t testing.TB) *openapi3.T {
	t.Helper()
	text, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// call makes one call. headers are names and values. A body that is no text is sent as JSON.
func (p *caller) call(method, path string, body any, headers ...string) reply {
	p.t.Helper()
	r, err := p.try(method, path, body, headers...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	p.conforms(method, path, r)
	return r
}

func (p *caller) try(method, path string, body any, headers ...string) (r reply, err error) {
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return r, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, p.url+"/api/v1"+path, in)
	if err != nil {
		return r, err
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c := &http.Client{Timeout: patience, Transport: direct}
	res, err := c.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	r = reply{status: res.StatusCode, header: res.Header}
	r.body, err = io.ReadAll(io.LimitReader(res.Body, 16<<20))
	return r, err
}

// operationOf finds the operation of a call in the document.
func (p *caller) operationOf(method, path string) (string, *openapi3.PathItem, *openapi3.Operation) {
	path, _, _ = strings.Cut(path, "?")
	given := strings.Split(path, "/")
	best, most := "", -1
	for pattern := range p.doc.Paths.Map() {
		parts := strings.Split(strings.TrimPrefix(pattern, "/api/v1"), "/")
		if len(parts) != len(given) {
			continue
		}
		same, fits := 0, true
		for i := range parts {
			switch {
			case parts[i] == given[i]:
				same++
			case !strings.HasPrefix(parts[i], "{"):
				fits = false
			}
		}
		if item := p.doc.Paths.Value(pattern); fits && same > most && item.GetOperation(method) != nil {
			best, most = pattern, same
		}
	}
	if best == "" {
		return "", nil, nil
	}
	item := p.doc.Paths.Value(best)
	return best, item, item.GetOperation(method)
}

// conforms checks an answer against the document, by another program's reading of it.
func (p *caller) conforms(method, path string, r reply) {
	p.t.Helper()
	pattern, item, operation := p.operationOf(method, path)
	if operation == nil || r.status == http.StatusNotModified {
		return
	}
	req, err := http.NewRequest(method, p.url+"/api/v1"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: &routers.Route{Spec: p.doc,
			Path: pattern, PathItem: item, Method: method, Operation: operation}},
		Status: r.status, Header: r.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	in.SetBodyBytes(r.body)
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		p.t.Errorf("%s %s: the answer is not as documented: %v\n%.2000s", method, path, err, r.body)
	}
	if r.status >= 400 && r.header.Get("Content-Type") != "application/problem+json" && pattern != "/api/v1/token" {
		p.t.Errorf("%s %s: %d as %s", method, path, r.status, r.header.Get("Content-Type"))
	}
	if r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Set-Cookie") != "" ||
		!strings.Contains(r.header.Get("Cache-Control"), "no-store") {
		p.t.Errorf("%s %s: headers %v", method, path, r.header)
	}
}

// get reads an answer of 200 into v.
func (p *caller) get(path string, v any) reply {
	p.t.Helper()
	r := p.call(http.MethodGet, path, nil)
	p.into(r, http.StatusOK, v)
	return r
}

func (p *caller) into(r reply, status int, v any) {
	p.t.Helper()
	if r.status != status {
		p.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		p.t.Fatalf("%v: %s", err, r.body)
	}
}

// refused checks a refusal: its status and code, and that it has a reference and says what to do.
func (p *caller) refused(what string, r reply, status int, code string) {
	p.t.Helper()
	var problem struct{ Code, Detail, Fix, Reference, Field string }
	if err := json.Unmarshal(r.body, &problem); err != nil || r.status != status || problem.Code != code ||
		problem.Detail == "" || problem.Reference == "" {
		p.t.Errorf("%s: %d %s, want %d %s", what, r.status, r.body, status, code)
	}
}

// route is an operation of the document with a path that can be called.
type apiRoute struct {
	method, path, id, scope string
	operation               *openapi3.Operation
}

// routes are all operations.
func (p *caller) routes() (all []apiRoute) {
	fill := strings.NewReplacer("{id}", "1", "{who}", "alice", "{kind}", "leaver", "{reference}", "ABCDEFGHJK",
		"{name}", "nosuch")
	for _, pattern := range slices.Sorted(maps.Keys(p.doc.Paths.Map())) {
		for method, o := range p.doc.Paths.Value(pattern).Operations() {
			if len(*o.Security) == 0 {
				continue // the token endpoint, which has tests of its own
			}
			path := strings.TrimPrefix(pattern, "/api/v1")
			if strings.HasPrefix(path, "/accounts/{id}") {
				path = strings.Replace(path, "{id}", books, 1)
			}
			path = fill.Replace(path)
			var query []string
			for _, one := range o.Parameters {
				if one.Value.In == "query" && one.Value.Required {
					query = append(query, one.Value.Name+"=x")
				}
			}
			if len(query) > 0 {
				path += "?" + strings.Join(query, "&")
			}
			all = append(all, apiRoute{method, path, o.OperationID, (*o.Security)[0]["token"][0], o})
		}
	}
	return all
}
