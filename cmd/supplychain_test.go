package cmd_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ssobridge/internal/testkind"
)

// TestOneToolchain: plain go commands need Go 1.26 alone, and the toolchain of tests and releases stands in one file.
// ID-23
func TestOneToolchain(t *testing.T) {
	mod := readFile(t, "go.mod")
	// 1.26.0 is what the go command writes where a dependency says so.
	if !regexp.MustCompile(`(?m)^go 1\.26(\.0)?$`).MatchString(mod) {
		t.Error("go.mod asks for more than Go 1.26")
	}
	if regexp.MustCompile(`(?m)^toolchain `).MatchString(mod) {
		t.Error("go.mod has a toolchain line: plain go commands would download a toolchain where GOTOOLCHAIN is auto")
	}
	file := regexp.MustCompile(`(?m)^GOTOOLCHAIN \?= (go1\.\d+\.\d+)$`).FindStringSubmatch(readFile(t, ".go-toolchain"))
	if file == nil {
		t.Fatal(".go-toolchain names no toolchain")
	}
	for name, reads := range map[string]string{
		"Makefile":                 "include .go-toolchain",
		".ci/run":                  ".go-toolchain",
		"cmd/ssobridge/Dockerfile": "COPY .go-toolchain",
	} {
		if !strings.Contains(readFile(t, name), reads) {
			t.Errorf("%s does not read .go-toolchain", name)
		}
	}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // another test's, and gone again
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", ".tools", ".screenshots", "dist"}, d.Name()):
			return filepath.SkipDir
		case !d.Type().IsRegular() || d.Name() == ".go-toolchain":
			return nil
		case name == "../docs/benchmarks.md" || name == "../docs/benchmarks-history.md":
			return nil // what a run measured with, and true of it for ever
		}
		info, err := d.Info()
		if err != nil || info.Size() > 1<<20 { // a program that make build wrote
			return err
		}
		text, err := os.ReadFile(name)
		if strings.Contains(string(text), file[1]) {
			t.Errorf("%s names the toolchain %s too: it would be forgotten at the next change", name, file[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBuildUsesWhatTheDemoCompiled: make build and make demo take the toolchain and the flags of plain go commands, so
// that SQLite, which takes a minute, is compiled once for all three. Tests and releases take the one of .go-toolchain.
// COST-94
func TestBuildUsesWhatTheDemoCompiled(t *testing.T) {
	testkind.Starts(t, "make")
	tool := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\necho \"$GOTOOLCHAIN: $*\"\n"), 0o700); err != nil { //nolint:gosec // G306: it is run
		t.Fatal(err)
	}
	pinned := strings.TrimSpace(strings.SplitAfter(readFile(t, ".go-toolchain"), "?= ")[1])
	for _, c := range []struct{ target, set, want string }{
		{"build", "", "auto: build -o ssobridge ./cmd/ssobridge"},
		{"demo", "", "auto: run ./cmd/demo"},
		{"build", "local", "local: build -o ssobridge ./cmd/ssobridge"},
		{"vet", "", pinned + ": vet ./...\n" + pinned + ": vet -C cmd/internal/bench ./..."},
		{"vet", "local", "local: vet ./...\nlocal: vet -C cmd/internal/bench ./..."},
	} {
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "--silent", "-C", "..", c.target, "GO="+tool)
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "GOTOOLCHAIN=") && !strings.HasPrefix(v, "MAKE") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		if c.set != "" {
			cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+c.set)
		}
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("GOTOOLCHAIN=%s make %s runs %q, %v, want %q", c.set, c.target, got, err, c.want)
		}
	}
}

// readFile returns a file of the project.
func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEchoIsOnlyTheRouter: the program takes nothing of Echo's middleware, nor its opinion on who a client is.
// Exemptions of the scan for known vulnerabilities rest on it. ID-23
func TestEchoIsOnlyTheRouter(t *testing.T) {
	const library = "github.com/labstack/echo/v4"
	for _, d := range goList(t, "ssobridge/cmd/ssobridge")[0].Deps {
		if strings.HasPrefix(d, library+"/") {
			t.Errorf("ssobridge links %s", d)
		}
	}
	banned := []string{"RealIP", "IPExtractor", "Scheme", "Static", "StaticFS", "JSONP", "JSONPBlob"}
	files, err := filepath.Glob("../web/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("find web's files: %v, %v", files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		imports := slices.ContainsFunc(parsed.Imports,
			func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+library+`"` })
		ast.Inspect(parsed, func(n ast.Node) bool {
			// URL.Scheme is a field of the standard library: only calls count there.
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && imports && slices.Contains(banned, f.Sel.Name) {
					t.Errorf("%s calls %s of Echo", set.Position(n.Pos()), f.Sel.Name)
				}
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					if f, ok := left.(*ast.SelectorExpr); ok && f.Sel.Name == "IPExtractor" {
						t.Errorf("%s sets Echo's IPExtractor", set.Position(n.Pos()))
					}
				}
			}
			return true
		})
	}
}
