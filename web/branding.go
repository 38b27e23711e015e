package web

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Branding is how the pages carry the partner's looks. Every field is optional.
type Branding struct {
	// Name of the partner, shown where no logo is, and as the logo's text. At most 80
	// characters. Default: "Single sign-on".
	Name string
	// Logo is an image of LogoType, at most 512 KiB, served from our own host.
	Logo []byte
	// LogoType is image/png, image/jpeg, image/gif, image/webp or image/svg+xml.
	LogoType string
	// LogoDark is shown in place of Logo to people whose browser wants dark pages, with its type in LogoDarkType. Without
	// it Logo stands on white there. It needs Logo.
	LogoDark     []byte
	LogoDarkType string
	// Background is the ground of light pages, behind the card with the form, as #rrggbb. Text on it is black or white.
	// Default "": that of the style.
	Background string
	// Color of buttons and links, as #rrggbb. Text on it is black or white, whichever
	// reads better. Default: #1856ed.
	Color string
	// HelpURL is where people find help: https or mailto.
	HelpURL string
	// ForgotPasswordURL is where people reset their directory password: https.
	ForgotPasswordURL string
	// ProductName is what people sign in to. Default: "Constant Contact".
	ProductName string
}

const (
	maxLogo      = 512 << 10
	maxName      = 80
	defaultColor = "#1856ed"
)

var logoTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"}

func (b Branding) withDefaults() Branding {
	if b.Name == "" {
		b.Name = "Single sign-on"
	}
	if b.ProductName == "" {
		b.ProductName = "Constant Contact"
	}
	if b.Color == "" {
		b.Color = defaultColor
	}
	return b
}

// check names every fault.
func (b Branding) check() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("web: branding: "+format, args...))
	}

	for _, f := range []struct{ field, value string }{{"name", b.Name}, {"product name", b.ProductName}} {
		if !utf8.ValidString(f.value) || utf8.RuneCountInString(f.value) > maxName {
			fault("%s: want at most %d characters", f.field, maxName)
		}
	}
	for _, f := range []struct{ field, value string }{{"color", b.Color}, {"background", b.Background}} {
		if f.value == "" {
			continue
		}
		if _, err := parseColor(f.value); err != nil {
			fault("%s: %w", f.field, err)
		}
	}
	for _, f := range []struct {
		field, kind string
		data        []byte
	}{{"logo", b.LogoType, b.Logo}, {"dark logo", b.LogoDarkType, b.LogoDark}} {
		if len(f.data) > maxLogo {
			fault("%s: %d bytes: want at most %d", f.field, len(f.data), maxLogo)
		}
		if len(f.data) > 0 && !slices.Contains(logoTypes, f.kind) {
			fault("%s: type %.40q: want one of %s", f.field, f.kind, strings.Join(logoTypes, ", "))
		}
	}
	if len(b.LogoDark) > 0 && len(b.Logo) == 0 {
		fault("dark logo: want a logo beside it")
	}
	if err := checkLink(b.HelpURL, "https", "mailto"); err != nil {
		fault("help URL: %w", err)
	}
	if err := checkLink(b.ForgotPasswordURL, "https"); err != nil {
		fault("forgotten-password URL: %w", err)
	}
	return errors.Join(faults...)
}

// checkLink accepts "" and URLs of the given schemes. A javascript: link from a
// configuration that somebody else wrote would run as our page.
func checkLink(text string, schemes ...string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || (u.Host == "" && u.Scheme != "mailto") ||
		(u.Scheme == "mailto" && u.Opaque == "") {
		return fmt.Errorf("%.200q: want a %s address", text, strings.Join(schemes, " or "))
	}
	return nil
}
