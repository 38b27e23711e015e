package cmd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// everywhere is what every package may import of ours: what names mean, how foreign texts are shown and how files are
// put in place, which must be the same for all.
var everywhere = []string{"idp/netname", "internal/plaintext", "internal/files"}

// allowed is the map of the rooms: what each package may import of ours beside that. Tests are
// outside of it, and so is what is pretended (see pretended).
var allowed = map[string][]string{
	"cmd/ssobridge": {"cmd/internal/cli"},
	"cmd/internal/cli": {"cmd/internal/backups", "cmd/internal/config", "cmd/internal/server", "web/admin",
		"idp", "idp/directory",
		"idp/fetch", "idp/metadata", "idp/mfa", "provisioning", "provisioning/mapping", "partnerapi", "store", "certs"},
	"cmd/internal/server": {"idp/claims", "cmd/internal/config", "cmd/internal/journal", "cmd/internal/tracing", "web",
		"web/admin", "web/api", "web/console", "web/notices",
		"idp", "idp/directory", "idp/fetch", "idp/metadata", "idp/mfa", "provisioning", "partnerapi", "store",
		"certs", "certs/pkcs11"},
	"cmd/internal/config": {"idp", "idp/claims", "idp/directory", "idp/metadata", "idp/mfa", "provisioning",
		"provisioning/mapping", "partnerapi", "store", "certs"},
	"cmd/internal/backups": {"store", "certs"},
	"cmd/internal/journal": {"store"},
	"cmd/internal/tracing": {},
	"web":                  {"web/texts", "idp", "idp/claims", "idp/mfa", "provisioning", "store"},
	"web/texts":            {},
	"web/console": {"web", "web/admin", "web/texts", "idp", "idp/directory", "idp/metadata", "idp/mfa", "provisioning",
		"provisioning/mapping", "store"},
	"web/api": {"web/admin", "idp", "idp/claims", "idp/directory", "provisioning", "provisioning/mapping", "store"},
	"web/admin": {"idp", "idp/claims", "idp/directory", "idp/fetch", "idp/metadata", "idp/mfa", "provisioning",
		"provisioning/mapping", "partnerapi", "store", "certs", "certs/pkcs11"},
	"web/notices": {"web/admin", "idp/fetch", "store"},
	"idp": {"idp/claims", "idp/directory", "idp/metadata", "idp/mfa", "idp/saml", "provisioning",
		"provisioning/mapping", "store", "certs"},
	"idp/claims":           {"idp/directory", "idp/fetch"},
	"idp/directory":        {},
	"idp/fetch":            {},
	"idp/metadata":         {"certs", "idp/fetch", "idp/saml", "store"},
	"idp/mfa":              {"store", "certs"},
	"idp/saml":             {"certs"},
	"idp/netname":          {},
	"internal/plaintext":   {},
	"internal/files":       {},
	"provisioning":         {"provisioning/mapping", "partnerapi", "store", "idp/directory"},
	"provisioning/mapping": {"store", "idp/directory"},
	"partnerapi":           {},
	"store":                {},
	"store/migrations":     {},
	"certs":                {},
	"certs/pkcs11":         {},
}

// pretended are the packages that no product code may link: they imitate what is
// outside, or serve tests, benchmarks, scans and releases.
var pretended = []string{
	"cmd/demo", "cmd/sandbox", "cmd/internal/sample", "cmd/internal/e2e",
	"cmd/internal/vuln", "cmd/internal/release", "cmd/internal/translations", "cmd/internal/documents",
	"partnerapi/sandbox", "store/storetest", "idp/directory/directorytest", "internal/testkind",
	"internal/plainenglish",
}

// homes says in which room each third-party library lives.
var homes = map[string][]string{
	"github.com/alecthomas/kong":                    {"cmd/internal/cli"},
	"github.com/prometheus/client_golang":           {"cmd/internal/server"},
	"github.com/schollz/progressbar/v3":             {"cmd/internal/cli"},
	"go.yaml.in/yaml/v3":                            {"cmd/internal/config", "provisioning/mapping"},
	"github.com/labstack/echo/v4":                   {"web"},
	"github.com/beevik/etree":                       {"idp", "idp/metadata", "idp/saml"},
	"github.com/crewjam/saml":                       {}, // of tests: the other implementation that ours is compared with
	"github.com/golang-jwt/jwt/v5":                  {}, // of tests, likewise
	"github.com/go-webauthn/webauthn":               {"idp/mfa"},
	"github.com/pquerna/otp":                        {"idp/mfa"},
	"github.com/mattermost/xml-roundtrip-validator": {"idp/saml"},
	"github.com/russellhaering/goxmldsig":           {"idp/saml"},
	"github.com/go-ldap/ldap/v3":                    {"idp/directory"},
	"github.com/go-asn1-ber/asn1-ber":               {"idp/directory"},
	"github.com/coreos/go-oidc/v3":                  {"idp/claims"},
	"golang.org/x/oauth2":                           {"idp/claims"},
	"github.com/jackc/pgx/v5":                       {"store"},
	"github.com/mattn/go-sqlite3":                   {"store"},
	"github.com/pressly/goose/v3":                   {"store"},
	"github.com/ThalesGroup/crypto11":               {"certs/pkcs11"},
	"github.com/miekg/pkcs11":                       {"certs/pkcs11"},
	"software.sslmate.com/src/go-pkcs12":            {"certs"},
	"filippo.io/age":                                {"cmd/internal/backups"},
	"github.com/wneessen/go-mail":                   {"web/notices"},
	// Small extensions of the standard library may be used anywhere.
	"golang.org/x/sync": nil, "golang.org/x/text": nil, "golang.org/x/net": nil, "golang.org/x/sys": nil,
	"golang.org/x/crypto": nil, "golang.org/x/term": nil,
}

// topLevel is everything that may stand at the top of the project.
var topLevel = []string{
	"go.mod", "go.sum", "cmd", "idp", "provisioning", "partnerapi", "store", "web", "certs", "internal", "docs",
	"docker-compose.yml", "README.md", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "VERSION",
	"LICENSE", // the owner's to write
	".ci", ".git", ".gitignore", ".gitattributes", ".dockerignore", ".golangci.yml", ".go-toolchain",
	// git-ignored: tools, pictures, and what make build and make release write
	".tools", ".screenshots", "ssobridge", "dist",
}

// maxModules is what the product needs, and no more: who adds one, removes one or says here what for. Two are
// for second factors, passkeys and authenticator apps; one reads PKCS #12, the form in which other identity providers
// give their keys away; one seals backups in a format that other programs read; one turns off the echo of a terminal;
// one sends mail; two are for upstream OpenID Connect.
const maxModules = 24

// module is the path of this module in imports.
const module = "ssobridge/"

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct {
		Path string
		Main bool
	}
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps,Module"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var list []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

// TestImportMap holds every package's imports against the map of the rooms.
func TestImportMap(t *testing.T) {
	for _, p := range goList(t, "ssobridge/...") {
		room := strings.TrimPrefix(p.ImportPath, module)
		if slices.Contains(pretended, room) || room == "cmd" {
			continue
		}
		may, known := allowed[room]
		if !known {
			t.Errorf("package %s is not on the map: give it a room, or a line in allowed", room)
			continue
		}
		for _, i := range p.Imports {
			ours, isOurs := strings.CutPrefix(i, module)
			if isOurs && !slices.Contains(everywhere, ours) && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s; it may import %v", room, ours, may)
			}
		}
	}
}

// TestAdminHasNoFace: what an administrator can do knows no page, no HTTP and no terminal.
func TestAdminHasNoFace(t *testing.T) {
	for _, i := range goList(t, "ssobridge/web/admin")[0].Imports {
		switch i {
		case "html/template", "net/http", "text/tabwriter", "os", "github.com/labstack/echo/v4", "github.com/alecthomas/kong":
			t.Errorf("web/admin imports %s, which belongs to a face", i)
		}
	}
}

// TestLibrariesLiveInOneRoom keeps each third-party library in its room.
func TestLibrariesLiveInOneRoom(t *testing.T) {
	for _, p := range goList(t, "ssobridge/...") {
		room := strings.TrimPrefix(p.ImportPath, module)
		if slices.Contains(pretended, room) {
			continue
		}
		for _, i := range p.Imports {
			if first, _, _ := strings.Cut(i, "/"); !strings.Contains(first, ".") {
				continue // the standard library, or ours
			}
			home, rooms := home(i)
			switch {
			case home == "":
				t.Errorf("%s imports %s, which has no room yet: give it a line in homes", room, i)
			case rooms != nil && !slices.Contains(rooms, room):
				t.Errorf("%s imports %s, which lives in %v", room, i, rooms)
			}
		}
	}
}

// home finds the library that an import belongs to.
func home(importPath string) (library string, rooms []string) {
	for p := importPath; p != "." && p != "/"; p = path.Dir(p) {
		if rooms, ok := homes[p]; ok {
			return p, rooms
		}
	}
	return "", nil
}

// TestProductLinksNothingPretended looks at everything that ssobridge links.
func TestProductLinksNothingPretended(t *testing.T) {
	product := goList(t, "ssobridge/cmd/ssobridge")[0]
	for _, d := range product.Deps {
		if room, ours := strings.CutPrefix(d, module); ours && slices.Contains(pretended, room) {
			t.Errorf("ssobridge links %s", room)
		}
		for _, library := range []string{"github.com/jimlambrt/gldap", "github.com/stretchr/testify", "testing"} {
			if d == library {
				t.Errorf("ssobridge links %s", d)
			}
		}
	}
}

// TestProductLinksFewModules counts the modules that our own product code imports.
func TestProductLinksFewModules(t *testing.T) {
	list := goList(t, "-deps", "ssobridge/cmd/ssobridge")
	moduleOf := map[string]string{}
	for _, p := range list {
		if p.Module != nil && !p.Module.Main {
			moduleOf[p.ImportPath] = p.Module.Path
		}
	}
	direct := map[string]bool{}
	for _, p := range list {
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, i := range p.Imports {
			if m := moduleOf[i]; m != "" {
				direct[m] = true
			}
		}
	}
	if len(direct) > maxModules {
		t.Errorf("ssobridge links %d modules directly, want at most %d: %v", len(direct), maxModules, fmt.Sprint(direct))
	}
}

// TestDemoCompilesSQLiteFirst: go builds a package's imports in the order of their paths. What comes before SQLite in
// the demo is what SQLite needs too, so that its one C file, which takes a minute, is compiled beside everything else
// and not after it. COST-95
func TestDemoCompilesSQLiteFirst(t *testing.T) {
	const library = "github.com/mattn/go-sqlite3"
	needed := goList(t, library)[0].Deps
	imports := goList(t, "ssobridge/cmd/demo")[0].Imports
	if !slices.Contains(imports, library) || !slices.IsSorted(imports) {
		t.Fatalf("the demo does not import %s itself: %v", library, imports)
	}
	for _, p := range goList(t, imports[:slices.Index(imports, library)]...) {
		more := slices.DeleteFunc(append([]string{p.ImportPath}, p.Deps...),
			func(d string) bool { return slices.Contains(needed, d) })
		if len(more) > 3 {
			t.Errorf("the demo imports %s, which is built before SQLite with %v: let another package import it",
				p.ImportPath, more)
		}
	}
}

// TestNothingElseAtTheTop keeps the project's top level tidy.
func TestNothingElseAtTheTop(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s does not belong at the top of the project", e.Name())
		}
	}
}
