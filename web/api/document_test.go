package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"ssobridge/web/admin"
	"ssobridge/web/api"
)

var (
	update   = flag.Bool("update", false, "write openapi.json anew")
	breaking = flag.Bool("breaking", false, "with -update: also where it breaks programs; for what was never released")
)

// The committed document is the one that the code makes, and a change of it breaks no program. REST-06
func TestDocument(t *testing.T) {
	made, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	const file = "openapi.json"
	was, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if len(was) > 0 {
		broken := breaks(tree(t, was), tree(t, made))
		for _, text := range broken {
			if !*breaking {
				t.Errorf("a program that was written for version 1 breaks: %s", text)
			}
		}
		if len(broken) > 0 && !*breaking {
			return
		}
	}
	if *update {
		if err := os.WriteFile(file, made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(was, made) {
		t.Errorf("%s is not what the code makes: go test ./web/api -run Document -update, and read the difference", file)
	}
}

// Another program than ours takes the document for one of OpenAPI 3.1; each operation has a scope of the closed list,
// and each scope an operation.
func TestDocumentIsOpenAPI(t *testing.T) {
	made, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(made)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	used := map[string]bool{}
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if ids[o.OperationID] || o.OperationID == "" {
				t.Errorf("%s %s: operation %q is there twice, or has no name", method, path, o.OperationID)
			}
			ids[o.OperationID] = true
			if path == api.Path+api.TokenPath {
				// Whoever calls it has no token yet.
				if o.Security == nil || len(*o.Security) != 0 || o.RequestBody == nil {
					t.Errorf("%s %s: security %v, want none, and a form", method, path, o.Security)
				}
				continue
			}
			scope := (*o.Security)[0]["token"][0]
			used[scope] = true
			if _, known := admin.FindTokenScope(scope); !known {
				t.Errorf("%s %s: scope %q is not in the list", method, path, scope)
			}
			if writes := method != "GET"; writes != strings.HasSuffix(scope, ":write") {
				t.Errorf("%s %s needs the scope %s", method, path, scope)
			}
			for _, p := range o.Parameters {
				if p.Value.Description == "" {
					t.Errorf("%s %s: parameter %s is not explained", method, path, p.Value.Name)
				}
			}
		}
	}
	for _, s := range admin.TokenScopes() {
		if !used[s.Name] {
			t.Errorf("no operation needs the scope %s", s.Name)
		}
	}
}

// A change that takes something away, or asks for more, is found.
func TestBreakingChangesAreFound(t *testing.T) {
	made, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(doc map[string]any){
		"a path goes":   func(d map[string]any) { delete(at(d, "paths"), "/api/v1/users") },
		"a method goes": func(d map[string]any) { delete(at(d, "paths", "/api/v1/users"), "get") },
		"another scope": func(d map[string]any) { at(d, "paths", "/api/v1/users", "get")["security"] = []any{} },
		"a member goes": func(d map[string]any) {
			delete(at(d, "components", "schemas", "SsoUser", "properties"), "state")
		},
		"a member may go": func(d map[string]any) { at(d, "components", "schemas", "SsoUser")["required"] = []any{} },
		"of another type": func(d map[string]any) {
			at(d, "components", "schemas", "SsoUser", "properties", "state")["type"] = "integer"
		},
		"a parameter goes": func(d map[string]any) { at(d, "paths", "/api/v1/users", "get")["parameters"] = []any{} },
		"a schema goes":    func(d map[string]any) { delete(at(d, "components", "schemas"), "SsoUser") },
		"another status":   func(d map[string]any) { delete(at(d, "paths", "/api/v1/users", "get", "responses"), "200") },
		"a parameter comes that is required": func(d map[string]any) {
			o := at(d, "paths", "/api/v1/users", "get")
			list, _ := o["parameters"].([]any)
			o["parameters"] = append(list, map[string]any{"name": "new", "in": "query", "required": true,
				"schema": map[string]any{}})
		},
	} {
		doc := tree(t, made)
		change(doc)
		if broken := breaks(tree(t, made), doc); len(broken) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	more := tree(t, made)
	at(more, "components", "schemas", "SsoUser", "properties")["new"] = map[string]any{"type": "string"}
	at(more, "paths")["/api/v1/new"] = map[string]any{}
	if broken := breaks(tree(t, made), more); len(broken) > 0 {
		t.Errorf("what only adds is called broken: %q", broken)
	}
}

func tree(t *testing.T, text []byte) (doc map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at is an object within the document.
func at(doc map[string]any, path ...string) map[string]any {
	for _, name := range path {
		doc, _ = doc[name].(map[string]any)
	}
	return doc
}

// breaks says what of a change a program would notice that was written before it.
func breaks(was, now map[string]any) (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, path := range slices.Sorted(maps.Keys(at(was, "paths"))) {
		for _, method := range slices.Sorted(maps.Keys(at(was, "paths", path))) {
			a, b := at(was, "paths", path, method), at(now, "paths", path, method)
			name := strings.ToUpper(method) + " " + path
			if b == nil {
				say("%s is gone", name)
				continue
			}
			if fmt.Sprint(a["operationId"], a["security"]) != fmt.Sprint(b["operationId"], b["security"]) {
				say("%s has another name or scope", name)
			}
			before, after := parameters(a), parameters(b)
			for _, p := range slices.Sorted(maps.Keys(before)) {
				if after[p] == nil || fmt.Sprint(schemaType(before[p])) != fmt.Sprint(schemaType(after[p])) {
					say("%s: parameter %s is gone or of another type", name, p)
				}
			}
			for p, parameter := range after {
				if parameter["required"] == true && (before[p] == nil || before[p]["required"] != true) {
					say("%s: parameter %s is required", name, p)
				}
			}
			for status := range at(a, "responses") {
				if at(b, "responses", status) == nil {
					say("%s does not answer %s any more", name, status)
				}
			}
			if (a["requestBody"] == nil) != (b["requestBody"] == nil) {
				say("%s has a body, or has none any more", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(at(was, "components", "schemas"))) {
		a, b := at(was, "components", "schemas", name), at(now, "components", "schemas", name)
		if b == nil {
			say("schema %s is gone", name)
			continue
		}
		before, after := at(a, "properties"), at(b, "properties")
		for member := range before {
			if after[member] == nil || fmt.Sprint(schemaType(at(a, "properties", member))) !=
				fmt.Sprint(schemaType(at(b, "properties", member))) {
				say("%s.%s is gone or of another type", name, member)
			}
		}
		input := strings.HasSuffix(name, "Input")
		for member := range after {
			was, is := listed(a["required"], member), listed(b["required"], member)
			switch {
			case input && is && !was:
				say("%s.%s is required", name, member)
			case !input && was && !is:
				say("%s.%s may be left out", name, member)
			}
		}
	}
	return all
}

func parameters(operation map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	list, _ := operation["parameters"].([]any)
	for _, one := range list {
		p, _ := one.(map[string]any)
		all[fmt.Sprint(p["in"], " ", p["name"])] = p
	}
	return all
}

// schemaType is what of a schema a program sees: its type, what it refers to, and the words that it may send.
func schemaType(p map[string]any) any {
	if s, ok := p["schema"].(map[string]any); ok {
		p = s
	}
	return []any{p["type"], p["$ref"], p["items"], p["enum"], p["format"]}
}

func listed(list any, name string) bool {
	all, _ := list.([]any)
	return slices.Contains(all, any(name))
}
