package partnerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of an Operation, none of which is published.
const (
	MaxOperationURL     = 2000
	MaxOperationPayload = 256 << 10 // bytes
	MaxOperationParams  = 50        // of each kind
	maxParamKey         = 100
	maxParamValue       = 2000
)

// Param is a named value of an Operation.
type Param struct{ Key, Value string }

// Operation is a V3 call that Constant Contact makes on behalf of a client account.
type Operation struct {
	Method  string // GET, POST, PUT, PATCH, DELETE
	URL     string // path of the V3 API with its placeholders: "/contacts/{contact_id}"
	Payload string // JSON, sent as a text
	Query   []Param
	Path    []Param // a value for each placeholder
	Headers []Param
}

var (
	operationMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	// operationPath has no host, query, escape or empty segment in it, so that it is what it looks like.
	operationPath = regexp.MustCompile(`^(/([A-Za-z0-9_.~@+-]+|\{[A-Za-z0-9_-]+\}))+$`)
	placeholder   = regexp.MustCompile(`\{([A-Za-z0-9_-]+)\}`)
	// pathValue keeps a value within its segment: who allows /contacts/{id} has not allowed what lies above it.
	pathValue  = regexp.MustCompile(`^[A-Za-z0-9_.~@+:=,-]+$`)
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // a token by RFC 9110 5.6.2
	// ownHeaders are Constant Contact's to set. With them a call could be made as somebody else.
	ownHeaders = []string{"authorization", "connection", "content-length", "cookie", "host",
		"transfer-encoding", "x-api-key"}
)

// Validate checks method, path, the payload's form and all keys and values. All faults are joined, each a *FieldError;
// none of them quotes a value.
func (o Operation) Validate() error {
	var f faults
	if !slices.Contains(operationMethods, o.Method) {
		f.add("account_operation_method", "is none of GET, POST, PUT, PATCH, DELETE")
	}
	switch {
	case len(o.URL) > MaxOperationURL:
		f.add("account_operation_url", fmt.Sprintf("longer than %d characters", MaxOperationURL))
	case !operationPath.MatchString(o.URL):
		f.add("account_operation_url", "is no path such as /contacts/{contact_id}, without host, query, escapes and empty "+
			"parts")
	case dotSegments(o.URL):
		f.add("account_operation_url", "has the part . or ..")
	}
	switch {
	case o.Payload == "":
	case o.Method == http.MethodGet:
		f.add("account_operation_payload", "is not for GET")
	case len(o.Payload) > MaxOperationPayload:
		f.add("account_operation_payload", fmt.Sprintf("longer than %d bytes", MaxOperationPayload))
	case !utf8.ValidString(o.Payload) || !json.Valid([]byte(o.Payload)):
		f.add("account_operation_payload", "is not JSON")
	}
	f.params("query_parameters", o.Query, func(Param) string { return "" })
	f.params("headers", o.Headers, func(p Param) string {
		switch {
		case !headerName.MatchString(p.Key):
			return "has no name of a header"
		case slices.Contains(ownHeaders, strings.ToLower(p.Key)):
			return "is a header that Constant Contact sets itself"
		}
		return ""
	})
	given := map[string]bool{}
	f.params("path_parameters", o.Path, func(p Param) string {
		switch {
		case given[p.Key]:
			return "is given twice"
		case !strings.Contains(o.URL, "{"+p.Key+"}"):
			return "is no placeholder of the path"
		case !pathValue.MatchString(p.Value) || p.Value == "." || p.Value == "..":
			return "has a value that is not one part of a path"
		}
		given[p.Key] = true
		return ""
	})
	for _, name := range placeholder.FindAllStringSubmatch(o.URL, MaxOperationParams+1) {
		if !slices.ContainsFunc(o.Path, func(p Param) bool { return p.Key == name[1] }) {
			f.add("account_operation_path_parameters", fmt.Sprintf("no value for {%.100s}", name[1]))
		}
	}
	return f.err()
}

// dotSegments tells whether a path climbs, or could be read as if it did.
func dotSegments(path string) bool {
	return strings.Contains(path+"/", "/./") || strings.Contains(path+"/", "/../")
}

// params checks the entries of a list.
func (f *faults) params(list string, entries []Param, more func(Param) string) {
	list = "account_operation_" + list
	if len(entries) > MaxOperationParams {
		f.add(list, fmt.Sprintf("more than %d entries", MaxOperationParams))
		return
	}
	for i, p := range entries {
		fault := ""
		switch {
		case textFault(p.Key, 1, maxParamKey, true) != "":
			fault = "the key " + textFault(p.Key, 1, maxParamKey, true)
		case p.Value != "" && textFault("x"+p.Value, 1, maxParamValue+1, false) != "": // a value of spaces is one, too
			fault = "the value is too long or has characters that must not be"
		default:
			fault = more(p)
		}
		f.add(fmt.Sprintf("%s[%d]", list, i), fault)
	}
}

// The lists of an Operation on the wire.
type (
	queryParam struct {
		Key   string `json:"query_param_key"`
		Value string `json:"query_param_value"`
	}
	pathParam struct {
		Key   string `json:"path_param_key"`
		Value string `json:"path_param_value"`
	}
	headerParam struct {
		Key   string `json:"header_key"`
		Value string `json:"header_value"`
	}
)

// operation is an Operation on the wire.
type operation struct {
	URL     string        `json:"account_operation_url"`
	Method  string        `json:"account_operation_method"`
	Payload string        `json:"account_operation_payload,omitempty"`
	Query   []queryParam  `json:"account_operation_query_parameters,omitempty"`
	Path    []pathParam   `json:"account_operation_path_parameters,omitempty"`
	Headers []headerParam `json:"account_operation_headers,omitempty"`
}

// Operate makes the call and returns what came back, at most 1 MiB. It is whatever the V3 call answered, and can be
// empty.
func (c *Client) Operate(ctx context.Context, class, account string, o Operation) ([]byte, error) {
	k := call{op: "make a call on behalf of client account", class: class, method: http.MethodPost, want: http.StatusOK}
	if err := c.inAccount(&k, account, "account_operations", "sync"); err != nil {
		return nil, err
	}
	out := operation{URL: o.URL, Method: o.Method, Payload: o.Payload}
	for _, p := range o.Query {
		out.Query = append(out.Query, queryParam(p))
	}
	for _, p := range o.Path {
		out.Path = append(out.Path, pathParam(p))
	}
	for _, p := range o.Headers {
		out.Headers = append(out.Headers, headerParam(p))
	}
	if err := k.setBody(out, o.Validate()); err != nil {
		return nil, err
	}
	return c.do(ctx, k)
}
