package config_test

import (
	"strings"
	"testing"

	"ssobridge/cmd/internal/config"
)

// TestManualHasEverySetting: whoever looks at a setting reads what it is for, and what its default is.
func TestManualHasEverySetting(t *testing.T) {
	cfg, manual := config.Defaults(), config.Manual()
	for _, s := range cfg.Settings() {
		if text := manual[s.Key]; !strings.Contains(text, "Default") && !strings.Contains(text, "Required") {
			t.Errorf("%s: got %q, want what it is for and its default", s.Key, text)
		}
	}
	if got := manual["listen"]; got != "Address and port to listen on. Default 127.0.0.1:8080." {
		t.Errorf("listen: got %q", got)
	}
	if text, there := manual["nothing.of_that_name"]; there {
		t.Errorf("a key that is none: %q", text)
	}
}
