package documents_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ssobridge/cmd/internal/cli"
	"ssobridge/cmd/internal/config"
)

// documented is a command of ours in a document.
type documented struct{ where, line string }

var (
	inline   = regexp.MustCompile("`(ssobridge [^`]*)`")
	inSpan   = regexp.MustCompile(`(?:^|[|;&(] *|-- )(ssobridge [^|;&>]*)`)
	notTyped = regexp.MustCompile(`[…\\|]|\[|COMMAND|NUMBER| --ref$`) // a choice, or something left out
)

// commandsOf lists the commands of ours in a document: in blocks of shell and in the text.
func commandsOf(t *testing.T, name string) (found []documented) {
	t.Helper()
	text := readPage(t, name)
	list, _ := blocks(name, text)
	for _, b := range list {
		if b.language != "sh" {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " # ")
			for _, m := range inSpan.FindAllStringSubmatch(line, -1) {
				found = append(found, documented{b.String(), m[1]})
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(strings.ReplaceAll(text, "\n", " "), -1) {
		if !notTyped.MatchString(m[1]) {
			line, _, _ := strings.Cut(m[1], " > ")
			found = append(found, documented{name, line})
		}
	}
	return found
}

// fields splits a line as a shell does, as far as documents need it.
func fields(line string) (words []string) {
	var word strings.Builder
	var quote rune
	open := false
	for _, r := range line + " " {
		switch {
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case r == quote:
			quote = 0
		case quote == 0 && r == ' ':
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
		}
	}
	return words
}

// TestDocumentedCommands: each command of ours that a document names is there, with its flags (row DOC-02).
func TestDocumentedCommands(t *testing.T) {
	seen := 0
	for _, name := range pages(t) {
		for _, c := range commandsOf(t, name) {
			seen++
			if fault := unknownCommand(t, c.line); fault != "" {
				t.Errorf("%s: %s\n%s", c.where, c.line, fault)
			}
		}
	}
	if seen < 150 {
		t.Errorf("found %d commands: too few", seen)
	}
	for _, line := range []string{"ssobridge sp ad FILE", "ssobridge sp add --nosuch FILE", "ssobridge serve now"} {
		if unknownCommand(t, line) == "" {
			t.Errorf("%q passes as a command", line)
		}
	}
}

// unknownCommand says why the program does not know a command. Asked for its help, it reads the whole line first.
func unknownCommand(t *testing.T, line string) string {
	t.Helper()
	var out, errs bytes.Buffer
	args := append(fields(line)[1:], "--help")
	if code := cli.Main(t.Context(), args, nil, strings.NewReader(""), &out, &errs); code != 0 {
		return errs.String()
	}
	return ""
}

// TestDocumentedSettings: each block of configuration has keys and values that the program takes (row DOC-02).
func TestDocumentedSettings(t *testing.T) {
	values, err := config.InitialValues(t.TempDir(), "https://sso.example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	example, err := config.FillExample(values)
	if err != nil {
		t.Fatal(err)
	}
	base := map[string]any{}
	if err := yaml.Unmarshal([]byte(example), &base); err != nil {
		t.Fatal(err)
	}
	sections := append(slices.Collect(maps.Keys(base)), "listen", "trusted_proxies", "secret_keys", "state_dir")
	const rest = `
trusted_proxies: [127.0.0.1]
directory:
  preset: openldap
  urls: ["ldaps://ldap1.example.com"]
  bind_dn: "cn=ssobridge,dc=example,dc=com"
  base_dn: "dc=example,dc=com"
constant_contact: {partner_client_id: 0oa1partnerid, external_provider: example_partner}
console: {admin_group: "cn=admins,dc=example,dc=com"}
`
	seen := 0
	for _, name := range pages(t) {
		found, _ := blocks(name, readPage(t, name))
		for _, b := range found {
			var block map[string]any
			if b.language != "yaml" || yaml.Unmarshal([]byte(b.text), &block) != nil {
				continue
			}
			ours := true
			for key := range block {
				ours = ours && slices.Contains(sections, key)
			}
			if !ours {
				continue // of Kubernetes, Prometheus and others
			}
			seen++
			if err := loads(t, example, rest, b.text); err != nil {
				t.Errorf("%s:\n%s\n%v", b, b.text, err)
			}
		}
	}
	if seen < 5 {
		t.Errorf("found %d blocks of configuration: too few", seen)
	}
	for _, text := range []string{"tls: {certificate: a.pem}", "listen: 8443", "console: {idle: 15}"} {
		if loads(t, example, rest, text) == nil {
			t.Errorf("%q passes as configuration", text)
		}
	}
}

// loads reads a configuration out of several texts, of which later ones win.
func loads(t *testing.T, texts ...string) error {
	t.Helper()
	all := map[string]any{}
	for _, text := range texts {
		var more map[string]any
		if err := yaml.Unmarshal([]byte(text), &more); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		mergeSections(all, more)
	}
	data, err := yaml.Marshal(all)
	if err != nil {
		return err
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ssobridge.yaml": string(data), "secret_key": strings.Repeat("A", 43) + "=\n",
		"bind_password": "a\n", "partner_secret": "a\n", "api_key": "a\n", "webhook_secret": strings.Repeat("0", 32) + "\n",
		"pkcs11_pin": "1234\n", "store_dsn": "postgres://ssobridge@/ssobridge?host=/run/postgresql\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = config.Load(filepath.Join(dir, "ssobridge.yaml"), nil)
	if err == nil {
		return nil
	}
	var faults []string
	for line := range strings.Lines(err.Error()) {
		if strings.Contains(line, ".yaml:") && !ofThisMachine.MatchString(line) {
			faults = append(faults, line)
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, ""))
	}
	return nil
}

// ofThisMachine are faults of a file or folder that only the reader's machine has.
var ofThisMachine = regexp.MustCompile(`no such file or directory|does not exist; make it`)

// mergeSections puts the sections of one configuration into another.
func mergeSections(into, more map[string]any) {
	for section, values := range more {
		in, isMap := values.(map[string]any)
		if out, ok := into[section].(map[string]any); ok && isMap {
			maps.Copy(out, in)
			continue
		}
		if values != nil {
			into[section] = values
		}
	}
}

// TestKubernetesConfiguration: the bridge takes the configuration that the Helm chart brings (row DOC-06).
func TestKubernetesConfiguration(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/kubernetes/manifests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var object struct {
			Kind string            `yaml:"kind"`
			Data map[string]string `yaml:"data"`
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if object.Kind != "ConfigMap" {
			continue
		}
		seen++
		mine := strings.ReplaceAll(object.Data["ssobridge.yaml"], "/run/secrets/ssobridge/", "")
		if err := loads(t, mine); err != nil {
			t.Error(err)
		}
		if loads(t, mine, "{directory: {base_nd: a}}") == nil {
			t.Error("a mistyped key passes")
		}
	}
	if seen != 1 {
		t.Errorf("%d ConfigMaps in the manifests, want one", seen)
	}
}
