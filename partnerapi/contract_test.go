package partnerapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

const tokenPath = "/partners/oauth2/default/v1/token"

// document reads openapi.yaml. origin stands in for both of Constant Contact's hosts.
func document(t testing.TB, origin string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Validation looks at the examples, too.
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: origin + "/v3"}}
	doc.Paths.Value(tokenPath).Servers = openapi3.Servers{{URL: origin}}
	return doc
}

// contract is a RoundTripper that holds what goes by against the document.
type contract struct {
	router routers.Router
	next   http.RoundTripper
	// answers must not have fields that the document has not: those of the sandbox, whose mistakes in a name would go
	// unseen
	closed bool

	mu     sync.Mutex
	broken []error
	seen   map[string]int // "operationId status", and how often
}

func newContract(t testing.TB, origin string, next http.RoundTripper) *contract {
	t.Helper()
	router, err := gorillamux.NewRouter(document(t, origin))
	if err != nil {
		t.Fatal(err)
	}
	return &contract{router: router, next: next, seen: map[string]int{}}
}

// take gives what was found since the last time.
func (c *contract) take() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.broken
	c.broken = nil
	return list
}

func (c *contract) count(operation string, status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[fmt.Sprintf("%s %d", operation, status)]
}

func (c *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	// The validator puts decoded values and its own body into what it looks at.
	looked, sent := r.Clone(r.Context()), r.Clone(r.Context())
	looked.Body, sent.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	if r.Body == nil {
		looked.Body, sent.Body = nil, nil
	}
	in, err := c.request(looked, body)
	if err != nil {
		c.note(fmt.Errorf("request %s %s: %w", r.Method, r.URL.Path, err))
	}
	a, failed := c.next.RoundTrip(sent)
	if failed != nil || in == nil {
		return a, failed
	}
	answer, err := io.ReadAll(a.Body)
	a.Body.Close()
	a.Body = io.NopCloser(bytes.NewReader(answer))
	if err != nil {
		return nil, err
	}
	if err := c.answer(in, a, answer); err != nil {
		c.note(fmt.Errorf("answer %d to %s %s: %w", a.StatusCode, r.Method, r.URL.Path, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprintf("%s %d", in.Route.Operation.OperationID, a.StatusCode)]++
	return a, nil
}

func (c *contract) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, err)
}

// request checks a request. in is nil where the document has no such call.
func (c *contract) request(r *http.Request, body []byte) (in *openapi3filter.RequestValidationInput, err error) {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		return nil, err
	}
	in = &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: authentication, IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true,
			SkipSettingDefaults: true,
		}}
	// The validator does not mind parameters that it does not know, nor a body whose length is not told.
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil {
			return in, fmt.Errorf("the document has no query parameter %q", name)
		}
	}
	if len(body) > 0 && route.Operation.RequestBody == nil {
		return in, errors.New("the document has no body for it")
	}
	return in, openapi3filter.ValidateRequest(r.Context(), in)
}

// answer checks an answer.
func (c *contract) answer(in *openapi3filter.RequestValidationInput, a *http.Response, body []byte) error {
	declared := in.Route.Operation.Responses.Status(a.StatusCode)
	if declared != nil && declared.Value != nil {
		// The validator has no notion of a body that can be left out, and does not look where there is to be none.
		optional, _ := declared.Value.Extensions["x-body-optional"].(bool)
		switch {
		case len(body) == 0 && (optional || len(declared.Value.Content) == 0):
			return nil
		case len(declared.Value.Content) == 0:
			return errors.New("the document has no body for it")
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.StatusCode, Header: a.Header,
		Options: in.Options}
	out.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil || !c.closed {
		return err
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return undocumented(declared.Value.Content.Get(a.Header.Get("Content-Type")).Schema.Value, value)
}

// undocumented names a field that a schema does not have. One without any properties says nothing of them.
func undocumented(s *openapi3.Schema, value any) error {
	if len(s.AnyOf) > 0 {
		var err error
		for _, one := range s.AnyOf {
			if one.Value.VisitJSON(value) == nil {
				if err = undocumented(one.Value, value); err == nil {
					return nil
				}
			}
		}
		return err
	}
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			if s.Items != nil {
				if err := undocumented(s.Items.Value, item); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		for name, item := range value {
			switch property := s.Properties[name]; {
			case len(s.Properties) == 0:
			case property == nil:
				return fmt.Errorf("the document has no field %q", name)
			default:
				if err := undocumented(property.Value, item); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// authentication looks whether a request carries what a security scheme asks for. Whether it is right is for the other
// side to say.
func authentication(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	header := in.RequestValidationInput.Request.Header
	want, value := "", header.Get("Authorization")
	switch s := in.SecurityScheme; {
	case s.Type == "apiKey" && s.In == "header":
		value = header.Get(s.Name)
	case s.Type == "http" && s.Scheme == "bearer":
		want = "Bearer "
	case s.Type == "http" && s.Scheme == "basic":
		want = "Basic "
	default:
		return fmt.Errorf("security scheme %s is none that this check knows", in.SecuritySchemeName)
	}
	if rest, ok := strings.CutPrefix(value, want); !ok || rest == "" {
		return fmt.Errorf("no credentials for %s", in.SecuritySchemeName)
	}
	return nil
}

// wantKept fails where the contract was broken.
func wantKept(t testing.TB, c *contract) {
	t.Helper()
	for _, err := range c.take() {
		t.Errorf("contract broken: %.2000v", err)
	}
}
