package main

import (
	"context"
	"debug/buildinfo"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is something that the program links or embeds.
type module struct {
	Path, Version string
}

// linked reads from the program itself which modules it consists of.
func linked(program string) ([]module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read which modules the program links: %w", err)
	}
	var modules []module
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, module{m.Path, m.Version})
	}
	if len(modules) == 0 {
		return nil, errors.New("read which modules the program links: it names none")
	}
	return modules, nil
}

//go:embed licences/htmx.org.txt
var htmxLicence []byte

//go:embed licences/lucide-static.txt
var lucideLicence []byte

// embedded is a file of others that stands in this project.
type embedded struct {
	module
	file, sha256 string
	licence      []byte
	spdx         string
}

// others are the files of others that the program embeds. The sum ties the version to the file: a test compares it.
var others = []embedded{{
	module: module{"htmx.org", "4.0.1"}, file: "web/assets/htmx.min.js",
	sha256:  "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
	licence: htmxLicence, spdx: "0BSD",
}, {
	module: module{"lucide-static", "1.62.0"}, file: "web/console/icons/lucide.svg",
	sha256:  "414094c3b3a2d340379ae9f0302654e4c67254ff58dbcdccdc00ff4b79a27819",
	licence: lucideLicence, spdx: "ISC",
}}

var licencePattern = regexp.MustCompile(
	`(?i)^((un)?licen[cs]e|copying|copyright|notice|patents|third.?party.*|authors)([.-].*)?$`)

// licences collects the licences of all that the program links: for each module those at its top, and in each folder
// between there and a package that is linked. A module without one fails the release.
func licences(ctx context.Context, o options, p program) ([]file, error) {
	folders, err := packageFolders(ctx, o, p.target)
	if err != nil {
		return nil, err
	}
	var files []file
	var index strings.Builder
	fmt.Fprintf(&index, "What ssobridge %s consists of beside its own code, and the licences of each.\n\n", o.version)
	add := func(m module, name string, data []byte) {
		stands := "LICENSES/" + m.Path + "@" + m.Version + "/" + name
		files = append(files, file{name: stands, data: data})
		fmt.Fprintf(&index, "%s %s: %s\n", m.Path, m.Version, strings.TrimPrefix(stands, "LICENSES/"))
	}
	toolchain, err := command(ctx, o.root, p.environment(), "go", "env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	goroot, goversion, _ := strings.Cut(toolchain, "\n")
	for _, name := range []string{"LICENSE", "PATENTS"} {
		data, err := os.ReadFile(filepath.Join(goroot, name))
		if err != nil {
			return nil, fmt.Errorf("read the licence of Go's standard library: %w", err)
		}
		add(module{"std", goversion}, name, data)
	}
	for _, m := range p.modules {
		texts, err := licencesOf(m, folders[m])
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			add(m, text.name, text.data)
		}
	}
	for _, e := range others {
		add(e.module, "LICENSE", e.licence)
	}
	index.WriteString("\nSQLite, which github.com/mattn/go-sqlite3 contains, is in the public domain.\n")
	return append(files, file{name: "LICENSES/INDEX.txt", data: []byte(index.String())}), nil
}

// moduleFolders is where a module's files are: its own folder and those of its packages that are linked.
type moduleFolders struct {
	folder   string
	packages []string
}

// packageFolders asks which folders the program is made of.
func packageFolders(ctx context.Context, o options, t target) (map[module]moduleFolders, error) {
	out, err := command(ctx, o.root, t.environment(), "go", "list", "-mod=readonly", "-deps", "-json=Dir,Module",
		"./cmd/ssobridge")
	if err != nil {
		return nil, fmt.Errorf("list the packages that the program links: %w", err)
	}
	folders := map[module]moduleFolders{}
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
				Replace            *struct{ Path, Version, Dir string }
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, fmt.Errorf("list the packages that the program links: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		key, folder := module{p.Module.Path, p.Module.Version}, p.Module.Dir
		if r := p.Module.Replace; r != nil {
			key, folder = module{r.Path, r.Version}, r.Dir
		}
		s := folders[key]
		s.folder, s.packages = folder, append(s.packages, p.Dir)
		folders[key] = s
	}
}

// licencesOf reads the licences of one module.
func licencesOf(m module, s moduleFolders) ([]file, error) {
	if s.folder == "" {
		return nil, fmt.Errorf("find the licence of %s %s: its files are not there", m.Path, m.Version)
	}
	look := map[string]bool{s.folder: true}
	for _, folder := range s.packages {
		for strings.HasPrefix(folder, s.folder+string(filepath.Separator)) {
			look[folder] = true
			folder = filepath.Dir(folder)
		}
	}
	var files []file
	for folder := range look {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("find the licence of %s %s: %w", m.Path, m.Version, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !licencePattern.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("read the licence of %s %s: %w", m.Path, m.Version, err)
			}
			name, err := filepath.Rel(s.folder, filepath.Join(folder, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("read the licence of %s %s: %w", m.Path, m.Version, err)
			}
			files = append(files, file{name: filepath.ToSlash(name), data: data})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	if len(files) == 0 {
		return nil, fmt.Errorf("%s %s has no licence: it may not be handed out", m.Path, m.Version)
	}
	return files, nil
}
