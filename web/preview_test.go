package web_test

import (
	"testing"

	"ssobridge/web"
)

// The contrast of what a partner's colours change is said as it is, and what can be made readable was made so.
func TestContrasts(t *testing.T) {
	for name, c := range map[string]struct {
		branding web.Branding
		weak     map[string]bool
		changed  map[string]bool
	}{
		"default": {web.Branding{}, nil, map[string]bool{"link-dark": true, "edge-dark": true}},
		"yellow": {web.Branding{Color: "#ffcc00", Background: "#777777"}, nil,
			map[string]bool{"link": true, "edge": true}},
		"middling grey": {web.Branding{Color: "#757575", Background: "#000000"}, nil,
			map[string]bool{"link": true, "edge": true, "link-dark": true, "edge-dark": true}},
	} {
		all, err := c.branding.Contrasts()
		if err != nil {
			t.Fatal(err)
		}
		want := 5
		if c.branding.Background != "" {
			want++
		}
		if len(all) != want {
			t.Errorf("%s: %d pairs, want %d", name, len(all), want)
		}
		for _, pair := range all {
			if pair.OK() == c.weak[pair.What] || pair.Changed != c.changed[pair.What] || pair.Ratio < 1 || pair.Ratio > 21 {
				t.Errorf("%s: %+v", name, pair)
			}
		}
	}
	for _, wrong := range []web.Branding{{Color: "red"}, {Background: "#fff"}} {
		if _, err := wrong.Contrasts(); err == nil {
			t.Errorf("%+v has contrasts", wrong)
		}
	}
}
