package documents_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const root = "../../.."

// block is a fenced block of a document.
type block struct {
	file     string
	line     int // of the opening fence
	language string
	text     string
	section  string // the anchor of its heading of the second level
	kind     string // run, checked, shown; "": it has no mark
	about    string // what stands behind the kind
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// inBackground is the act of commands that go on while others run.
const inBackground = "in the background"

// machine names the machine that runs the block, and what is done with it there: "" for a shell, write or edit a file.
func (b block) machine() (name, act, file string) {
	name, rest, _ := strings.Cut(b.about, "; ")
	if rest == inBackground {
		return name, rest, ""
	}
	act, file, _ = strings.Cut(rest, " ")
	return name, act, file
}

var (
	markLine  = regexp.MustCompile(`^ *<!-- (run|checked|shown): (.+) -->$`)
	wholePage = regexp.MustCompile(`(?m)^<!-- all blocks checked: (Test\w+) -->$`)
	fence     = regexp.MustCompile("^( *)```(\\w*)$")
	listItem  = regexp.MustCompile(`^( *(?:[-*]|\d+\.) +)\S`)
	testName  = regexp.MustCompile(`^Test\w+$`)
)

// blocks reads a document. An indented block is reported: marks stand before fences.
func blocks(file, text string) (found []block, faults []string) {
	lines := strings.Split(text, "\n")
	list := 0 // where the text of the list's item begins
	section := ""
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		indent := len(line) - len(strings.TrimLeft(line, " "))
		blank := i == 0 || strings.TrimSpace(lines[i-1]) == ""
		if m := fence.FindStringSubmatch(line); m != nil {
			b := block{file: file, line: i + 1, language: m[2], section: section}
			if i > 0 {
				if mark := markLine.FindStringSubmatch(lines[i-1]); mark != nil {
					b.kind, b.about = mark[1], mark[2]
				}
			}
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
				b.text += strings.TrimPrefix(lines[i], m[1]) + "\n"
			}
			if i == len(lines) {
				faults = append(faults, b.String()+": the fence is not closed")
			}
			found = append(found, b)
			continue
		}
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = anchor(title)
		}
		if strings.Contains(line, "```") {
			faults = append(faults, fmt.Sprintf("%s:%d: a fence that is not understood: %s", file, i+1, line))
		}
		if m := listItem.FindStringSubmatch(line); m != nil && len(m[1])-list < 6 {
			list = len(m[1])
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if blank && indent < list {
			list = 0
		}
		if blank && indent >= list+4 {
			faults = append(faults, fmt.Sprintf("%s:%d: an indented block: put a fence around it, and a mark before it",
				file, i+1))
			code := strings.Repeat(" ", list+4)
			for i+1 < len(lines) && (strings.TrimSpace(lines[i+1]) == "" || strings.HasPrefix(lines[i+1], code)) {
				i++
			}
		}
	}
	return found, faults
}

// in tells whether a block belongs to a step of a machine: a page, or one section of it.
func (b block) in(step string) bool {
	file, section, one := strings.Cut(step, "#")
	return b.file == file && (!one || b.section == section)
}

// anchor is what links call a heading.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}

// pages are all documents that readers run commands of, by their path in the project.
func pages(t *testing.T) (names []string) {
	t.Helper()
	names = []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".md") {
			names = append(names, filepath.ToSlash(strings.TrimPrefix(name, root+"/")))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBlocksAreMarked: each block of each document says how it is held to the program (row DOC-01).
func TestBlocksAreMarked(t *testing.T) {
	tests := testsOfProject(t)
	kinds := map[string]int{}
	for _, name := range pages(t) {
		text := readPage(t, name)
		if m := wholePage.FindStringSubmatch(text); m != nil {
			if !tests[m[1]] {
				t.Errorf("%s is checked by %s, which does not exist", name, m[1])
			}
			continue
		}
		found, faults := blocks(name, text)
		for _, fault := range faults {
			t.Error(fault)
		}
		for _, b := range found {
			kinds[b.kind]++
			if fault := b.fault(tests); fault != "" {
				t.Errorf("%s: %s", b, fault)
			}
		}
	}
	if kinds["run"] < 20 || kinds["checked"] == 0 || kinds["shown"] == 0 {
		t.Errorf("found %v: blocks are not read", kinds)
	}
}

// fault says what is wrong with a block's mark.
func (b block) fault(tests map[string]bool) string {
	switch b.kind {
	case "run":
		name, act, file := b.machine()
		i := slices.IndexFunc(machines, func(s story) bool { return s.name == name })
		switch {
		case i < 0:
			return fmt.Sprintf("there is no machine %q to run it", name)
		case !slices.ContainsFunc(machines[i].steps, b.in):
			return fmt.Sprintf("machine %s does not run this part of the page", name)
		case act == "" || act == inBackground:
		case act != "write" && act != "edit" && act != "when" || !filepath.IsAbs(file):
			return fmt.Sprintf("%q is no act: write /FILE, edit /FILE, when /FILE or in the background", b.about)
		}
	case "checked":
		if !testName.MatchString(b.about) {
			return fmt.Sprintf("checked names a test, not %q", b.about)
		}
		if !tests[b.about] {
			return b.about + " does not exist"
		}
	case "shown":
		if len(strings.Fields(b.about)) < 3 {
			return fmt.Sprintf("%q is no reason why it is not run", b.about)
		}
	default:
		return "has no mark: <!-- run: MACHINE -->, <!-- checked: TestName --> or <!-- shown: reason --> stands in the " +
			"line before the fence"
	}
	return ""
}

// testsOfProject are the names of all tests.
func testsOfProject(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestUnmarkedBlocksAreFound: what a document must not have is found.
func TestUnmarkedBlocksAreFound(t *testing.T) {
	const fenced = "```sh\nssobridge serve\n```\n"
	for name, c := range map[string]struct {
		text string
		want string // in the fault; "": none
	}{
		"no mark":                {"Text.\n\n" + fenced, "has no mark"},
		"a mark elsewhere":       {"<!-- shown: it goes on for ever -->\n\n" + fenced, "has no mark"},
		"another word":           {"<!-- tried: by hand once -->\n" + fenced, "has no mark"},
		"shown":                  {"<!-- shown: it goes on for ever -->\n" + fenced, ""},
		"shown without a reason": {"<!-- shown: example -->\n" + fenced, "no reason"},
		"checked":                {"<!-- checked: TestThere -->\n" + fenced, ""},
		"checked by nothing":     {"<!-- checked: TestNowhere -->\n" + fenced, "does not exist"},
		"checked by somebody":    {"<!-- checked: by hand, often -->\n" + fenced, "names a test"},
		"run nowhere":            {"<!-- run: no such machine -->\n" + fenced, "there is no machine"},
		"run of another page":    {"<!-- run: " + machines[0].name + " -->\n" + fenced, "does not run this part"},
		"indented":               {"Text:\n\n    ssobridge serve\n", "an indented block"},
		"indented in a list":     {"1. Text:\n\n        ssobridge serve\n", "an indented block"},
		"more of a list":         {"1. Text:\n\n   - More\n     of it.\n\n   Text of the list.\n", ""},
		"in a list": {"1. Text:\n\n   <!-- shown: it goes on for ever -->\n   ```sh\n   ssobridge serve\n   ```\n",
			""},
		"in a list, without mark": {"1. Text:\n\n   ```sh\n   ssobridge serve\n   ```\n", "has no mark"},
		"not closed":              {"<!-- shown: it goes on for ever -->\n```sh\nssobridge serve\n", "not closed"},
		"fence of four":           {"````sh\nssobridge serve\n````\n", "not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			found, faults := blocks("docs/page.md", c.text)
			for _, b := range found {
				if fault := b.fault(map[string]bool{"TestThere": true}); fault != "" {
					faults = append(faults, fault)
				}
				if strings.TrimSpace(b.text) != "ssobridge serve" {
					t.Errorf("the block is %q", b.text)
				}
			}
			if got := strings.Join(faults, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
