package admin_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// The typed errors of the rooms below become the field at fault, a sentence and the act that fixes it.
func TestErrorsOfTheRooms(t *testing.T) {
	inner := errors.New("ldap: 10.0.0.7:636 said 0x31")
	for _, c := range []struct {
		name  string
		err   error
		kind  admin.Kind
		field string
		text  string
		act   admin.Act
	}{
		{"a rule of the roll-over", fmt.Errorf("retire key 4f2a: %w", certs.ErrKeyInUse), admin.Input, "key",
			"retire key 4f2a: the key is in use", admin.PromoteOther},
		{"a field", &idp.FieldError{Field: "acs[0].url", Value: "x", Fault: "it is no URI", Fix: "write one"}, admin.Input,
			"acs[0].url", `acs[0].url "x": it is no URI`, admin.NoAct},
		{"two fields", errors.Join(&provisioning.InputError{Field: "role", Fault: "missing", Fix: "give one"},
			fmt.Errorf("check: %w", &provisioning.InputError{Field: "group", Fault: "missing"})),
			admin.Input, "", "2 values can't be used\n  role: missing: give one\n  group: missing", admin.NoAct},
		{"metadata", &metadata.Error{Faults: []metadata.Fault{{Line: 3, Fault: "no key", Fix: "add one"}}}, admin.Input,
			"metadata", "metadata: line 3: no key: add one", admin.NoAct},
		{"the directory is down", fmt.Errorf("find: %w", &directory.Error{Problem: directory.Unavailable, Op: "dial",
			Err: inner}), admin.Outside, "", "the directory does not answer", admin.RunCheck},
		{"nobody there", &directory.Error{Problem: directory.BadData, Op: "find", Err: directory.ErrNotFound}, admin.Missing,
			"", "the directory has no entry of that name", admin.NoAct},
		{"Constant Contact refuses data", &partnerapi.Error{Kind: partnerapi.BadRequest, Op: "create",
			Message: "email is bad", Err: inner}, admin.Outside, "", "Constant Contact refused the data: email is bad",
			admin.NoAct},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, ok := admin.AsError(c.err)
			if !ok || e.Kind != c.kind || e.Field != c.field || e.Text() != c.text || e.Act != c.act {
				t.Fatalf("%+v, %v", e, ok)
			}
			if strings.Contains(e.Line(), "10.0.0.7") {
				t.Errorf("the text for a page holds the cause: %s", e.Line())
			}
			if !errors.Is(e, errors.Unwrap(e)) || e.Err == nil {
				t.Errorf("the cause is lost: %+v", e)
			}
		})
	}
	if _, ok := admin.AsError(inner); ok {
		t.Error("a failure of ours is shown as a fault of the administrator")
	}
	if again, ok := admin.AsError(fmt.Errorf("wrapped: %w", &admin.Error{Fault: "as it is"})); !ok ||
		again.Fault != "as it is" {
		t.Errorf("an Error in a chain: %+v", again)
	}
}

// Default deny: a scope that nobody has filled in holds no account.
func TestScope(t *testing.T) {
	const mine, other = store.AccountID("a1"), store.AccountID("a2")
	for _, c := range []struct {
		name  string
		scope admin.Scope
		mine  bool
		other bool
	}{{"zero", admin.Scope{}, false, false}, {"one", admin.Accounts(mine), true, false},
		{"everything", admin.Everything(), true, true}} {
		if got := c.scope.Includes(mine); got != c.mine {
			t.Errorf("%s: its own account: %v", c.name, got)
		}
		if got := c.scope.Includes(other); got != c.other {
			t.Errorf("%s: another account: %v", c.name, got)
		}
	}
}

// ofFaces is what only a face may say: flags, commands, buttons.
var ofFaces = regexp.MustCompile(
	`(^|[^-])--[a-z]|\bssobridge [a-z]+|\bsp (add|set|show|refresh|approve|release)\b|(?i)\b(click|button)\b|` +
		`\b(mapping|users|accounts|provision|admin|webhooks) (add|adopt|call|create|done|hold|import|invite|release|remove|retry)\b`)

// No text of this package names a flag, a command or a button; nor do the texts of the rooms below that both faces show
// as they are: why a sign-in was refused, what is wrong with a service provider's settings, and all that provisioning
// and the client of the partner API say.
func TestNoWordsOfAFace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, name := range []string{"reasontexts.go", "settings.go", "settinglists.go", "checkprovider.go",
		"factorenrol.go"} {
		files = append(files, filepath.Join("..", "..", "idp", name))
	}
	for _, room := range []string{"provisioning", filepath.Join("provisioning", "mapping"), "partnerapi"} {
		more, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil || len(more) < 5 {
			t.Fatal(room, more, err)
		}
		files = append(files, more...)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, imports := n.(*ast.ImportSpec); imports {
				return false
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if text == admin.ButtonRead { // a scope's name: the button is one of the partner's application
					return true
				}
				if err == nil && ofFaces.MatchString(text) {
					t.Errorf("%s: %q is for a face to say", set.Position(lit.Pos()), text)
				}
			}
			return true
		})
	}
}
