package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
)

//go:embed assets
var assetFiles embed.FS

// asset is one file of ours, kept in memory.
type asset struct {
	data []byte
	kind string // Content-Type
	hash string // of the data; names the version in the URL
	csp  string // "" for none
}

// Assets are the files of ours by their names.
type Assets map[string]asset

// loadAssets reads the embedded files and makes those that come from the branding.
func loadAssets(b Branding) (Assets, error) {
	all := Assets{}
	add := func(name, kind, csp string, data []byte) {
		sum := sha256.Sum256(data)
		all[name] = asset{data: data, kind: kind, csp: csp, hash: base64.RawURLEncoding.EncodeToString(sum[:9])}
	}
	for name, kind := range map[string]string{
		"app.css":   "text/css; charset=utf-8",
		"wait.js":   "text/javascript; charset=utf-8",
		"factor.js": "text/javascript; charset=utf-8",
		"page.js":   "text/javascript; charset=utf-8",

		"console.css": "text/css; charset=utf-8",
		"console.js":  "text/javascript; charset=utf-8",
		"htmx.min.js": "text/javascript; charset=utf-8", // htmx.org 4.0.1, under the Zero-Clause BSD licence
	} {
		data, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("web: read embedded asset %s: %w", name, err)
		}
		add(name, kind, "", data)
	}
	style, err := brandStyle(b.Color, b.Background)
	if err != nil {
		return nil, err
	}
	add("brand.css", "text/css; charset=utf-8", "", []byte(style))
	for _, scheme := range []string{LightScheme, DarkScheme} {
		add("app-"+scheme+".css", "text/css; charset=utf-8", "", inScheme(all["app.css"].data, scheme))
		add("brand-"+scheme+".css", "text/css; charset=utf-8", "", inScheme([]byte(style), scheme))
	}
	icon, err := brandIcon(b.Color)
	if err != nil {
		return nil, err
	}
	add("icon.svg", "image/svg+xml", svgPolicy, []byte(icon))
	for _, logo := range []struct {
		name, kind string
		data       []byte
	}{{"logo", b.LogoType, b.Logo}, {"logo-dark", b.LogoDarkType, b.LogoDark}} {
		if len(logo.data) == 0 {
			continue
		}
		policy := "default-src 'none'"
		if logo.kind == "image/svg+xml" {
			policy = svgPolicy
		}
		add(logo.name, logo.kind, policy, logo.data)
	}
	return all, nil
}

// darkQuery is what stylesheets ask before all that is of the dark scheme.
const darkQuery = "@media (prefers-color-scheme: dark)"

// inScheme is a stylesheet of ours as a browser takes it that wants this scheme.
func inScheme(style []byte, scheme string) []byte {
	query := "@media not all"
	if scheme == DarkScheme {
		query = "@media all"
	}
	style = bytes.ReplaceAll(style, []byte(darkQuery), []byte(query))
	return bytes.ReplaceAll(style, []byte("color-scheme: light dark"), []byte("color-scheme: "+scheme))
}

// svgPolicy keeps an SVG harmless that somebody opens by its own address: there it
// is a document of our origin, and could run script. Inside <img> it never can.
const svgPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// brandIcon is the page icon: a door in the partner's colour.
func brandIcon(color string) (string, error) {
	c, err := parseColor(color)
	if err != nil {
		return "", fmt.Errorf("web: brand colour: %w", err)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">`+
		`<rect width="32" height="32" rx="7" fill="%s"/>`+
		`<path d="M17 8h6v16h-6M8 16h10m-4-4 4 4-4 4" fill="none" stroke="%s" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"/>`+
		`</svg>`, c, textOn(c)), nil
}

// URL of a file with its version, "" where there is none.
func (all Assets) URL(name string) string {
	a, ok := all[name]
	if !ok {
		return ""
	}
	return "/assets/" + name + "?v=" + a.hash
}

// asset serves one file. Under its own version it may be kept for ever. Under
// another it is checked each time: while an upgrade rolls, the page may come from
// one replica and the file from the other.
func (s *Server) asset(c echo.Context) error {
	a, ok := s.assets[c.Param("name")]
	if !ok {
		return echo.ErrNotFound
	}
	h := c.Response().Header()
	h.Del("Pragma")
	tag := strconv.Quote(a.hash)
	h.Set("ETag", tag)
	if c.QueryParam("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if a.csp != "" {
		h.Set("Content-Security-Policy", a.csp)
	}
	if c.Request().Header.Get("If-None-Match") == tag {
		return c.NoContent(http.StatusNotModified)
	}
	if c.Request().Method == http.MethodHead {
		h.Set("Content-Type", a.kind)
		return c.NoContent(http.StatusOK)
	}
	return c.Blob(http.StatusOK, a.kind, a.data)
}
