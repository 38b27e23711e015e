package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/internal/plaintext"
)

// Logout is about signing out at all services at once (SAML single logout).
type Logout struct {
	// Serve single logout at /saml/slo and name it in the metadata: service providers
	// with a logout address can sign people out here and at each other, and the page
	// /logout offers to sign out everywhere. Messages must be signed both ways, so
	// each such service provider needs its signing certificate on record. Off, people
	// sign out here alone.
	// Default false.
	// Example: true
	Enabled bool `yaml:"enabled"`
}

// Branding is what the pages show of the partner.
type Branding struct {
	// The partner's name.
	// Default Single sign-on.
	// Example: Example Marketing
	Name string `yaml:"name"`

	// A picture: PNG, JPEG, WebP or SVG, at most 256 KiB.
	// Default none.
	// Example: /etc/ssobridge/logo.svg
	Logo string `yaml:"logo"`

	// The picture for people whose browser wants dark pages, beside logo. Without it,
	// logo stands on white there.
	// Default none.
	// Example: /etc/ssobridge/logo-dark.svg
	LogoDark string `yaml:"logo_dark"`

	// The colour of buttons and links: # and six hexadecimal digits.
	// Default #1856ed.
	// Example: "#1856ed"
	Color string `yaml:"color"`

	// The ground of light pages, around the card with the form: # and six hexadecimal
	// digits. Text on it is black or white, whichever reads better.
	// Default none: that of the pages.
	// Example: "#eef2ff"
	Background string `yaml:"background"`

	// Where people find help: https, or mailto.
	// Default none.
	// Example: https://help.example.com/sso
	HelpURL string `yaml:"help_url"`

	// Where people set a new password: https.
	// Default none.
	// Example: https://password.example.com
	ForgottenPasswordURL string `yaml:"forgotten_password_url"`
}

func checkPages(c *Config, f *faults) {
	b := &c.Branding
	if n := utf8.RuneCountInString(b.Name); n < 1 || n > 80 {
		f.add("branding.name", fmt.Sprintf("has %d characters", n), "write 1 to 80")
	}
	for _, logo := range []struct{ key, file string }{{"logo", b.Logo}, {"logo_dark", b.LogoDark}} {
		if logo.file == "" {
			continue
		}
		if _, _, err := ReadLogo(logo.file); err != nil {
			f.add("branding."+logo.key, "can't be used: "+err.Error(),
				"give a PNG, JPEG, WebP or SVG file of at most 256 KiB")
		}
	}
	if b.LogoDark != "" && b.Logo == "" {
		f.add("branding.logo_dark", "stands without branding.logo", "give a picture for light pages too")
	}
	if b.Background != "" && !colorPattern.MatchString(b.Background) {
		f.add("branding.background", plaintext.Quote(b.Background)+" is not a colour",
			`write # and six hexadecimal digits, in quotes: "#eef2ff"`)
	}
	if !colorPattern.MatchString(b.Color) {
		f.add("branding.color", plaintext.Quote(b.Color)+" is not a colour",
			`write # and six hexadecimal digits, in quotes: "#1856ed"`)
	}
	checkLink("branding.help_url", b.HelpURL, true, f)
	checkLink("branding.forgotten_password_url", b.ForgottenPasswordURL, false, f)
	if !slices.Contains([]string{"json", "text"}, c.Log.Format) {
		f.add("log.format", plaintext.Quote(c.Log.Format)+" is unknown", "write json or text")
	}
	for key, dn := range map[string]string{
		"console.viewer_group": c.Console.ViewerGroup, "console.operator_group": c.Console.OperatorGroup,
		"console.admin_group": c.Console.AdminGroup,
	} {
		if _, err := directory.NormalDN(dn); dn != "" && err != nil {
			f.add(key, plaintext.Quote(dn)+" is not a DN",
				"write the group's DN, such as cn=sso-admins,ou=groups,dc=example,dc=com")
		}
	}
	for key, policy := range map[string]string{"second_factor.console": c.SecondFactor.Console,
		"second_factor.people": c.SecondFactor.People} {
		if _, err := mfa.ParsePolicy(policy); err != nil {
			f.add(key, plaintext.Quote(policy)+" is no policy for second factors", "write off, offered or required")
		}
	}
	if d := c.SecondFactor.ConfirmAfter; d < time.Minute || d > 30*24*time.Hour {
		f.add("second_factor.confirm_after", d.String()+" is not from 1m to 720h",
			"write how long its owner has to notice a factor that somebody else has added, such as 24h")
	}
	if class := c.SecondFactor.AuthnContext; len(class) > 256 || !strings.Contains(class, ":") ||
		strings.ContainsFunc(class, unicode.IsSpace) {
		f.add("second_factor.authn_context", plaintext.Quote(class)+" is not a URI",
			"write the class that the service providers know, such as "+idp.DefaultSecondFactorClass)
	}
	if !slices.Contains([]string{libcryptoAuto, LibcryptoOff}, c.Signing.Libcrypto) {
		f.add("signing.libcrypto", plaintext.Quote(c.Signing.Libcrypto)+" is unknown", "write auto or off")
	}
	if _, ok := logLevels[c.Log.Level]; !ok {
		f.add("log.level", plaintext.Quote(c.Log.Level)+" is unknown", "write debug, info, warn or error")
	}
}

// checkLink accepts https, and mailto where mail is. The link stands on pages, so
// javascript: and its like must never pass.
func checkLink(key, value string, mail bool, f *faults) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	if err == nil && (u.Scheme == "https" && u.Host != "" || mail && u.Scheme == "mailto" && u.Opaque != "") {
		return
	}
	fix := "write an https:// address"
	if mail {
		fix += " or mailto:"
	}
	f.add(key, plaintext.Quote(value)+" is not such a link", fix)
}
