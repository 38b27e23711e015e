package config_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"ssobridge/cmd/internal/config"
)

var update = flag.Bool("update", false, "rewrite generated documents and golden files")

// TestConfigurationDocuments keeps the operator's manual and the file that init
// writes in step with the comments of Config.
func TestConfigurationDocuments(t *testing.T) {
	doc := readConfigComments(t)
	for name, want := range map[string]string{
		"config.example.yaml":            doc.example(),
		"../../../docs/configuration.md": doc.manual(),
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the comments of Config say; run go test ./cmd/internal/config -run "+
				"ConfigurationDocuments -update\n%s", name, diff)
		}
	}
}

// TestConfigurationCommentsTellDefaults holds each "Default …" against Defaults.
func TestConfigurationCommentsTellDefaults(t *testing.T) {
	doc := readConfigComments(t)
	defaults := config.Defaults()
	for _, f := range doc.fields {
		if f.section || f.named {
			continue
		}
		value := fieldValue(reflect.ValueOf(defaults), f.path)
		text := strings.Join(f.text, "\n")
		var want string
		switch v := value.Interface().(type) {
		case config.Secret:
			continue
		case time.Duration:
			want = "Default " + strings.TrimSuffix(strings.TrimSuffix(v.String(), "0s"), "0m")
		case []string:
			if len(v) > 0 {
				want = "Default [" + strings.Join(v, ", ") + "]"
			}
		default:
			if value.IsZero() {
				want = "" // "Default none.", "Default: …" or "Required."
			} else {
				want = fmt.Sprintf("Default %v", v)
			}
		}
		switch {
		case want != "" && !strings.Contains(text, want):
			t.Errorf("%s: its comment does not say %q", f.path, want)
		case !strings.Contains(text, "Default") && !strings.Contains(text, "Required"):
			t.Errorf("%s: its comment says neither a default nor that it is required", f.path)
		case f.example == "":
			t.Errorf("%s: its comment has no example", f.path)
		}
	}
}

// TestConfigurationExamples: each example of the manual is a value that its key can have.
func TestConfigurationExamples(t *testing.T) {
	for _, f := range readConfigComments(t).fields {
		if f.section || f.secret || f.named {
			continue
		}
		parts := strings.Split(f.path, ".")
		text := ""
		for i, part := range parts {
			text += strings.Repeat("  ", i) + part + ":"
			if i == len(parts)-1 {
				text += " " + f.example
			}
			text += "\n"
		}
		dec := yaml.NewDecoder(strings.NewReader(text))
		dec.KnownFields(true)
		var cfg config.Config
		if err := dec.Decode(&cfg); err != nil {
			t.Errorf("the example of %s: %v", f.path, err)
		} else if fieldValue(reflect.ValueOf(cfg), f.path).IsZero() && f.example != "false" {
			t.Errorf("the example of %s sets nothing", f.path)
		}
	}
}

type configDoc struct {
	fields []configField
}

type configField struct {
	path    string
	depth   int
	section bool
	secret  bool
	named   bool     // below a section whose keys are free
	text    []string // the comment without its example
	example string
}

func readConfigComments(t *testing.T) configDoc {
	t.Helper()
	structs := map[string]*ast.StructType{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	var doc configDoc
	var walk func(name, path string, depth int, named bool)
	walk = func(name, path string, depth int, named bool) {
		for _, f := range structs[name].Fields.List {
			if f.Tag == nil {
				continue // not a key
			}
			tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
			field := configField{path: strings.TrimPrefix(path+"."+tag.Get("yaml"), "."), depth: depth, named: named}
			for line := range strings.Lines(f.Doc.Text()) {
				line = strings.TrimRight(line, "\n")
				if example, ok := strings.CutPrefix(line, "Example: "); ok {
					field.example = example
				} else {
					field.text = append(field.text, line)
				}
			}
			typeName := ""
			if id, ok := f.Type.(*ast.Ident); ok {
				typeName = id.Name
			}
			field.secret = typeName == "Secret"
			_, field.section = structs[typeName]
			if len(field.text) == 0 {
				t.Errorf("%s has no comment", field.path)
			}
			doc.fields = append(doc.fields, field)
			if field.section {
				walk(typeName, field.path, depth+1, named)
			}
			if free, ok := f.Type.(*ast.MapType); ok {
				if id, ok := free.Value.(*ast.Ident); ok && structs[id.Name] != nil {
					walk(id.Name, field.path+".NAME", depth+2, true)
				}
			}
		}
	}
	walk("Config", "", 0, false)
	return doc
}

func (f configField) key() string { return f.path[strings.LastIndexByte(f.path, '.')+1:] }

// example is the commented configuration file.
func (d configDoc) example() string {
	var b strings.Builder
	b.WriteString(`# Configuration of ssobridge.
#
# A key whose line begins with # has its default, or none if it is required. Times have a unit: 90s, 15m, 10h.
# File names are relative to the folder of this file. Unknown keys are refused.
# Each key can be overridden by a variable: SSOBRIDGE_ and its path in capitals, as
# SSOBRIDGE_DIRECTORY_BASE_DN. Secrets come by files of their own or by variables.
`)
	for _, f := range d.fields {
		if f.secret || f.named {
			continue
		}
		indent := strings.Repeat("  ", f.depth)
		b.WriteString("\n")
		for _, line := range f.text {
			b.WriteString(strings.TrimRight(indent+"# "+line, " ") + "\n")
		}
		switch {
		case f.section:
			b.WriteString(indent + f.key() + ":\n")
		default:
			b.WriteString(indent + "#" + f.key() + ": " + f.example + "\n")
		}
	}
	return b.String()
}

// manual is docs/configuration.md.
func (d configDoc) manual() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Made from the comments in cmd/internal/config; change those. -->
<!-- all blocks checked: TestConfigurationExamples -->

One YAML file, given by ` + "`--config`" + ` or the variable ` + "`SSOBRIDGE_CONFIG`" + `, else ` + "`/etc/ssobridge/ssobridge.yaml`" + `.
` + "`ssobridge setup`" + ` asks for what is needed and writes one; ` + "`ssobridge init`" + ` writes one with all of this in it, and ` + "`ssobridge check`" + ` tries it out.

- Unknown keys are refused. All faults are reported at once, each with its line, and nothing starts.
- Times have a unit: ` + "`90s`, `15m`, `10h`" + `. File names are relative to the folder of the configuration file.
- Each key can be overridden by an environment variable; lists are written there with commas between. A variable that begins with ` + "`SSOBRIDGE_`" + ` and
  names no key is refused too (what Kubernetes sets for services whose names begin with ssobridge is passed over).
- A secret never stands in the file: it comes by a file of its own or by its variable. A byte order mark in front and line breaks at the end of a secret do not count; blanks at an end of a file, several lines and UTF-16 are refused.
- Of any other value, blanks and line ends around it do not count. Characters that nobody sees, typographic quotation marks, and quotation marks that nothing took off a variable are refused, with their name.
`)
	for _, f := range d.fields {
		if f.secret {
			continue
		}
		if f.section {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", f.path, strings.Join(f.text, "\n"))
			continue
		}
		if f.depth == 0 && f.key() == "public_url" {
			b.WriteString("\n## Top level\n")
		}
		if f.depth == 0 && f.key() == "trusted_proxies" || f.depth == 0 && f.key() == "secret_key_file" {
			b.WriteString("\n## Top level, continued\n")
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n\n", f.path, strings.Join(f.text, "\n"))
		fmt.Fprintf(&b, "    %s: %s\n", f.key(), f.example)
		if !f.named && f.key() != "sources" {
			fmt.Fprintf(&b, "\nVariable: `%s`\n", "SSOBRIDGE_"+strings.ToUpper(strings.ReplaceAll(f.path, ".", "_")))
		}
	}
	return b.String()
}

func fieldValue(v reflect.Value, path string) reflect.Value {
	for part := range strings.SplitSeq(path, ".") {
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("yaml") == part {
				v = v.Field(i)
				break
			}
		}
	}
	return v
}
