package console

import (
	"net/http"
	"strings"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

func (k *Console) settingsRoutes() []route {
	return []route{
		get("/admin/settings", idp.Viewer, k.settings),
		get(brandingPath, idp.Viewer, k.branding),
		get(brandingPath+"/:page", idp.Viewer, k.brandedPage),
	}
}

// defaultSource is the source of a setting that nobody has set.
const defaultSource = "default"

// settings shows the configuration as it is in effect. It can't be changed here: it
// belongs to the file and the environment of the program.
func (k *Console) settings(r *request) error {
	type group struct {
		Name          string
		Set, Defaults []admin.Setting
	}
	var groups []group
	set := 0
	place := map[string]int{}
	for _, s := range k.Settings {
		name := section(s.Key)
		if _, ok := place[name]; !ok {
			place[name] = len(groups)
			groups = append(groups, group{Name: name})
		}
		g := &groups[place[name]]
		if s.Source == defaultSource {
			g.Defaults = append(g.Defaults, s)
			continue
		}
		g.Set = append(g.Set, s)
		set++
	}
	return r.show(http.StatusOK, "settings", r.text("area.settings"), struct {
		Groups   []group
		Set, All int
	}{groups, set, len(k.Settings)})
}

// section of a key is its first part, "" where it has one alone.
func section(key string) string {
	if name, _, ok := strings.Cut(key, "."); ok {
		return name
	}
	return ""
}
