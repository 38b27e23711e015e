package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testCode are folders of code that serves tests alone, beside the test files.
var testCode = []string{"store/storetest", "idp/directory/directorytest"}

// anyRun are programs that make check may start: it needs them itself, the C compiler for cgo.
var anyRun = []string{`"go"`, `"git"`, `"cc"`, "self"}

// COST-60: each test is in exactly one of make check, make test and make acceptance. By name a test is of make
// acceptance or not. Of the others, one that starts a program says so in the function that starts it, by testkind: make
// check leaves it out there, and make test runs it.
func TestEachTestIsOfOneKind(t *testing.T) {
	pattern, packages := acceptanceRun(t)
	acceptance := regexp.MustCompile(pattern)
	pages, err := os.ReadFile("internal/e2e/acceptance_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests, starts, long, inspecting := 0, 0, 0, 0
	err = filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		folder := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(name), "../"))
		isTest := strings.HasSuffix(name, "_test.go")
		if d.IsDir() || !isTest && (!strings.HasSuffix(name, ".go") || !slices.Contains(testCode, folder)) {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if isTest && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
				tests++
				if acceptance.MatchString(f.Name.Name) {
					long++
					if !slices.Contains(packages, folder) {
						t.Errorf("%s: %s is in no run: make acceptance runs %s, and the others leave it out by its name", name,
							f.Name.Name, packages)
					}
				}
			}
			if f.Recv == nil && calls(f, "inspect") {
				inspecting++
				if !regexp.MustCompile(`:\s+` + f.Name.Name + `,\n`).Match(pages) {
					t.Errorf("%s: %s has axe look at pages and is not in pageTests, which make acceptance runs in every look (row "+
						"COST-72)", name, f.Name.Name)
				}
			}
			started, says := programs(f)
			starts += len(started)
			if len(started) > 0 && !says && folder != "cmd/internal/e2e" { // whose TestMain says it for all
				t.Errorf("%s: %s starts %s and does not call testkind.Starts", name, f.Name.Name, strings.Join(started, ", "))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tests < 500 || starts < 15 || long < 9 || inspecting < 15 {
		t.Errorf("found %d tests, %d of make acceptance, %d that inspect pages, and %d places that start programs: too few",
			tests, long, inspecting, starts)
	}
	main, err := os.ReadFile("internal/e2e/world_test.go")
	if err != nil || !strings.Contains(string(main), "if testkind.Check() {\n\t\treturn 0") {
		t.Errorf("the end-to-end tests run in make check, or say otherwise where this test does not look: %v", err)
	}
}

// calls tells whether a function calls a method of this name.
func calls(f *ast.FuncDecl, method string) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		found = found || ok && selector.Sel.Name == method
		return true
	})
	return found
}

// programs lists what a function starts, but for what may be started anywhere, and tells whether it says so.
func programs(f *ast.FuncDecl) (started []string, says bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		room, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		at := -1
		switch room.Name + "." + selector.Sel.Name {
		case "exec.Command", "os.StartProcess":
			at = 0
		case "exec.CommandContext":
			at = 1
		case "chromedp.NewExecAllocator":
			started = append(started, "a browser")
		case "testkind.Starts", "testkind.May":
			says = true
		}
		if at < 0 {
			return true
		}
		program := "a program"
		switch arg := call.Args[at].(type) {
		case *ast.BasicLit:
			program = arg.Value
		case *ast.Ident:
			program = arg.Name
		}
		if !slices.Contains(anyRun, program) {
			started = append(started, program)
		}
		return true
	})
	return started, says
}

// acceptanceRun is what the names of the tests of make acceptance match, and in which folders it runs them: the
// Makefile has each once, make acceptance runs what matches, and make check and make test what does not.
func acceptanceRun(t *testing.T) (pattern string, packages []string) {
	t.Helper()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^ACCEPTANCE\s+:= (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the Makefile has no ACCEPTANCE")
	}
	target := ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^([a-z]+):`).FindStringSubmatch(line); m != nil {
			target = m[1]
		}
		if _, rest, ok := strings.Cut(line, ".ci/acceptance '$(ACCEPTANCE)'"); ok {
			for _, folder := range strings.Fields(rest) {
				packages = append(packages, strings.TrimPrefix(folder, "./"))
			}
		}
		if !strings.Contains(line, "$(GO) test ") || target == "screenshots" { // for the pictures
			continue
		}
		if !strings.Contains(line, "-skip '$(ACCEPTANCE)'") {
			t.Errorf("make %s: %q does not leave the tests of make acceptance out", target, strings.TrimSpace(line))
		}
		kind := "SSOBRIDGE_TEST_RUN= " // whatever a shell has set: make test leaves nothing out
		if target == "check" {
			kind = "SSOBRIDGE_TEST_RUN=check "
		}
		if !strings.Contains(line, kind) {
			t.Errorf("make %s: %q lacks %s", target, strings.TrimSpace(line), kind)
		}
	}
	if len(packages) == 0 {
		t.Fatal("make acceptance runs no package")
	}
	return strings.ReplaceAll(string(found[1]), "$$", "$"), packages
}
