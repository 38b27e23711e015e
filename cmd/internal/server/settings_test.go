package server_test

import (
	"testing"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/web/console"
)

// TestSettingsAreTranslated: the console says what each setting is for in each of its languages (row WEB-11).
func TestSettingsAreTranslated(t *testing.T) {
	all := server.Settings(&config.Config{})
	if len(all) < 100 {
		t.Fatalf("%d settings", len(all))
	}
	for _, lacking := range console.Untranslated(all) {
		t.Errorf("the meaning of %s is in English", lacking)
	}
}
