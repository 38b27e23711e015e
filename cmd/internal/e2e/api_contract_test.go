package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Every operation with valid, invalid and hostile input answers as the document says, and never with a failure of
// ours. REST-09
func TestAPIContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	_, _ = w.tryCommand("users", "create", "alice", books)
	p := w.caller(t, allScopes())
	hostile := []string{"'; DROP TABLE users; --", "<script>alert(1)</script>", "*)(uid=*", "../../etc/passwd", "%00",
		"\u202e\u0000", strings.Repeat("x", 5000), "${jndi:ldap://x}", "-1", "9223372036854775808", "1e9", "true", ""}
	for _, route := range p.routes() {
		bare, _, _ := strings.Cut(route.path, "?")
		fine := func(what string, r reply) {
			t.Helper()
			if r.status >= 500 && r.status != http.StatusBadGateway {
				t.Errorf("%s %s: %d %s", route.id, what, r.status, r.body)
			}
		}
		invalid := func(what string, r reply) {
			t.Helper()
			if r.status < 400 || r.status >= 500 {
				t.Errorf("%s %s: %d %s, want a refusal", route.id, what, r.status, r.body)
			}
		}
		if route.method == http.MethodGet {
			r := p.call(route.method, route.path, nil)
			fine("as it is", r)
			if r.header.Get("RateLimit") == "" || r.header.Get("RateLimit-Policy") == "" {
				t.Errorf("%s: no RateLimit: %v", route.id, r.header)
			}
			invalid("with a body", p.call(route.method, route.path, "{}"))
		}
		join := "?"
		if strings.Contains(route.path, "?") {
			join = "&"
		}
		invalid("with an unknown parameter", p.call(route.method, route.path+join+"nosuch=1", bodyOf(route)))
		for _, one := range route.operation.Parameters {
			for _, text := range hostile {
				switch v := one.Value; v.In {
				case "query":
					query := url.Values{}
					for _, other := range route.operation.Parameters {
						if other.Value.In == "query" && other.Value.Required {
							query.Set(other.Value.Name, "x")
						}
					}
					query.Set(v.Name, text)
					fine(v.Name+"="+text[:min(len(text), 20)], p.call(route.method, bare+"?"+query.Encode(), bodyOf(route)))
				case "header":
					if strings.ContainsAny(text, "\u0000\u202e") {
						continue
					}
					fine(v.Name, p.call(route.method, route.path, bodyOf(route), v.Name, text))
				}
			}
		}
		if route.operation.RequestBody == nil {
			continue
		}
		if route.operation.RequestBody.Value.Content["application/json"] == nil {
			invalid("with no YAML", p.call(route.method, route.path, "{]"))
			continue
		}
		for _, body := range []string{"", "null", "[]", "1", `"x"`, "{", `{"nosuch":1}`, `{} {}`, `{"owner":1,"OWNER":2}`,
			strings.Repeat("[", 10000), `{"a":` + strings.Repeat(`{"a":`, 5000), `{"who":"a","who":"b"}`, `{"name":"\u0000"}`,
			`{"owner":"` + strings.Repeat("x", 70000) + `"}`, "\xff\xfe", `{"settings":[{"name":1}]}`, `{"settings":{}}`,
			`{"who":["a"]}`, `{"priority":1e400}`, `{"account":` + `"<script>"` + `}`} {
			r, err := p.try(route.method, route.path, body, "If-Match", `"x"`)
			if err != nil && len(body) > 60000 {
				continue // cut off while it was still being sent
			} else if err != nil {
				t.Fatal(err)
			}
			p.conforms(route.method, route.path, r)
			invalid("with "+body[:min(len(body), 30)], r)
		}
		invalid("as a form", p.call(route.method, route.path, "{}", "Content-Type", "application/x-www-form-urlencoded"))
	}
}

// bodyOf is a body that can be read, where there has to be one.
func bodyOf(r apiRoute) any {
	if r.operation.RequestBody == nil {
		return nil
	}
	return "{}"
}
