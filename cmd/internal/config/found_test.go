package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/cmd/internal/config"
)

// What Kubernetes and Docker put into the environment is passed over, whatever the Service is called; a variable of
// ours that somebody mistyped is not (REAL-75).
func TestVariablesOfTheCluster(t *testing.T) {
	folder := initFolder(t)
	for name, tc := range map[string]struct {
		variables string
		refused   string // the variable that is unknown
	}{
		"service ssobridge": {"SSOBRIDGE_PORT=tcp://10.0.0.7:8080 SSOBRIDGE_SERVICE_HOST=10.0.0.7 " +
			"SSOBRIDGE_SERVICE_PORT=8080 SSOBRIDGE_SERVICE_PORT_HTTP=8080 SSOBRIDGE_PORT_8080_TCP=tcp://10.0.0.7:8080 " +
			"SSOBRIDGE_PORT_8080_TCP_PROTO=tcp SSOBRIDGE_PORT_8080_TCP_PORT=8080 " +
			"SSOBRIDGE_PORT_8080_TCP_ADDR=10.0.0.7", ""},
		"service ssobridge-metrics": {"SSOBRIDGE_METRICS_PORT=tcp://10.0.0.7:9090 SSOBRIDGE_METRICS_SERVICE_HOST=10.0.0.7 " +
			"SSOBRIDGE_METRICS_SERVICE_PORT=9090 SSOBRIDGE_METRICS_SERVICE_PORT_METRICS=9090 " +
			"SSOBRIDGE_METRICS_PORT_9090_TCP=tcp://10.0.0.7:9090", ""},
		"service ssobridge-directory, IPv6": {"SSOBRIDGE_DIRECTORY_PORT=tcp://[fd00::7]:636 " +
			"SSOBRIDGE_DIRECTORY_SERVICE_HOST=fd00::7 SSOBRIDGE_DIRECTORY_PORT_636_TCP_ADDR=fd00::7", ""},
		"UDP and SCTP":    {"SSOBRIDGE_X_PORT=udp://10.0.0.7:53 SSOBRIDGE_X_PORT_53_SCTP=sctp://10.0.0.7:53", ""},
		"headless":        {"SSOBRIDGE_HEADLESS_SERVICE_HOST=None", ""},
		"link of Docker":  {"SSOBRIDGE_NAME=/app/ssobridge SSOBRIDGE_PORT_8080_TCP_START=tcp://172.17.0.2:8080", ""},
		"a port of ours":  {"SSOBRIDGE_PORT=8080", "SSOBRIDGE_PORT"},
		"a port, below":   {"SSOBRIDGE_METRICS_PORT=9090", "SSOBRIDGE_METRICS_PORT"},
		"a host of ours":  {"SSOBRIDGE_SERVICE_HOST=sso.example.com", "SSOBRIDGE_SERVICE_HOST"},
		"a mistyped name": {"SSOBRIDGE_FIRST_NAME=uid", "SSOBRIDGE_FIRST_NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadFolder(t, folder, strings.Fields(tc.variables)...)
			switch {
			case tc.refused == "" && err != nil:
				t.Error(err)
			case tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused+": unknown variable")):
				t.Errorf("got %v, want %s refused", err, tc.refused)
			}
		})
	}
	// A variable that names a key counts, whatever stands in it.
	cfg, err := loadFolder(t, folder, "SSOBRIDGE_METADATA_ORGANIZATION_NAME=/app/ssobridge",
		"SSOBRIDGE_METADATA_ORGANIZATION_DISPLAY_NAME=x", "SSOBRIDGE_METADATA_ORGANIZATION_URL=https://example.com")
	if err != nil || cfg.Metadata.OrganizationName != "/app/ssobridge" {
		t.Errorf("got %q, %v", cfg.Metadata.OrganizationName, err)
	}
}

// Secret files as editors, shells and copying leave them (REAL-76).
func TestSecretFiles(t *testing.T) {
	const right = "p-w0rd ä"
	for name, tc := range map[string]struct{ text, fault string }{
		"as it is":             {right, ""},
		"line end":             {right + "\n", ""},
		"of Windows":           {right + "\r\n", ""},
		"two line ends":        {right + "\n\n", ""},
		"two of Windows":       {right + "\r\n\r\n", ""},
		"BOM":                  {"\ufeff" + right + "\n", ""},
		"blank at the end":     {right + " \n", "ends with a blank"},
		"blank in front":       {" " + right, "begins with a blank"},
		"tab":                  {right + "\t", "ends with a tab"},
		"no-break space":       {right + "\u00a0\n", "ends with a no-break space (U+00A0)"},
		"zero-width space":     {right + "\u200b\n", "ends with a character that can't be seen (U+200B)"},
		"BOM at the end":       {right + "\ufeff", "ends with a character that can't be seen (U+FEFF)"},
		"escape":               {"\x1b[0m" + right, "begins with a character that can't be seen (U+001B)"},
		"two lines":            {right + "\nsecond\n", "has 2 lines"},
		"UTF-16":               {"\xff\xfep\x00w\x00", "is UTF-16 text"},
		"UTF-16, big-endian":   {"\xfe\xff\x00p\x00w", "is UTF-16 text"},
		"UTF-16 without mark":  {"p\x00w\x00", "holds zero bytes"},
		"empty":                {"", "is empty"},
		"only a mark and ends": {"\ufeff\r\n", "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := initFolder(t)
			file := filepath.Join(folder, "bind_password")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := loadFolder(t, folder)
			if tc.fault == "" {
				if err != nil || string(cfg.Directory.BindPassword) != right {
					t.Errorf("got %d bytes, %v", len(cfg.Directory.BindPassword), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), file+" "+tc.fault) {
				t.Fatalf("got %v, want %s", err, tc.fault)
			}
			if strings.Contains(err.Error(), "w0rd") || strings.Contains(err.Error(), "is missing") {
				t.Errorf("the fault shows the secret, or has another one behind it: %v", err)
			}
		})
	}
	t.Run("blanks around what is no password", func(t *testing.T) {
		folder := initFolder(t)
		file := filepath.Join(folder, "secret_key")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("\ufeff "+strings.TrimSpace(string(text))+" \r\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadFolder(t, folder); err != nil {
			t.Error(err)
		}
	})
	t.Run("variables", func(t *testing.T) {
		folder := initFolder(t)
		change(t, folder, "  bind_password_file: bind_password\n", "")
		cfg, err := loadFolder(t, folder, "SSOBRIDGE_DIRECTORY_BIND_PASSWORD=\ufeff"+right+" \n")
		if err != nil || string(cfg.Directory.BindPassword) != right+" " {
			t.Errorf("got %d bytes, %v: want the mark and the line end off, and the blank kept",
				len(cfg.Directory.BindPassword), err)
		}
	})
}

// A file that is no YAML has this one fault: what else could be said would be about a file that nobody wrote (REAL-77).
func TestYAMLFaultsHaveNoFollowers(t *testing.T) {
	for name, tc := range map[string]struct {
		old, text string
		want      string
	}{
		"tab":             {"directory:\n", "directory:\n\tpreset: openldap\n", "ssobridge.yaml: line "},
		"open quote":      {"public_url: ", "public_url: \"", "ssobridge.yaml: line "},
		"no blank":        {"public_url: ", "public_url:", "ssobridge.yaml: line "},
		"open list":       {"public_url: ", "trusted_proxies: [10.0.0.1\npublic_url: ", "ssobridge.yaml: line "},
		"control":         {"public_url: ", "public_url: \x01", "control characters are not allowed"},
		"second document": {"", "---\n\tx: y\n", "ssobridge.yaml: line "},
		"a section that is a text": {"directory:\n", "directory: openldap\nnothing:\n",
			"directory: want a section with keys, got \"openldap\""},
		"a file in UTF-16 without a mark": {"public_url: ", "p\x00u\x00b\x00", "save the file as text in UTF-8"},
		"a quotation mark left open":      {"public_url: http", "public_url: \"http", "close the quotation mark that line "},
		"a no-break space behind a colon": {"  base_dn: ", "  base_dn:\u00a0", "it has a no-break space (U+00A0)"},
		"a no-break space before a key": {"public_url: ", "\u00a0listen: x\npublic_url: ",
			"type the key anew: it has a no-break space"},
		"keys that are to be merged": {"tls:\n", "tls:\n  <<: {}\n", "tls.<<: unknown key; keys are not merged"},
		"a section misspelt": {
			"constant_contact:\n", "constant_contacts:\n", "constant_contacts: unknown key; did you mean constant_contact?"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := initFolder(t)
			if tc.old == "" {
				change(t, folder, "public_url: ", tc.text+"public_url: ")
			} else {
				change(t, folder, tc.old, tc.text)
			}
			_, err := loadFolder(t, folder)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %s", err, tc.want)
			}
			for _, follower := range []string{"is missing", "line ---", "directory.", "constant_contact."} {
				if strings.Contains(err.Error(), follower) {
					t.Errorf("a fault that follows from the first one: %v", err)
				}
			}
		})
	}
	t.Run("empty", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "empty.yaml")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file, nil); err == nil || !strings.Contains(err.Error(), "public_url: is missing") {
			t.Errorf("got %v", err)
		}
	})
}

// change replaces a text in the configuration of a folder.
func change(t *testing.T, folder, old, text string) {
	t.Helper()
	file := filepath.Join(folder, "ssobridge.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%q is not in the configuration", old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), old, text, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What copying, editors, shells and --env-file leave around a value is taken off, and what they put into it is a fault
// that names it: with it, the value would be another one that nobody sees (REAL-77).
func TestValuesAsTheyComeAreOneValue(t *testing.T) {
	folder := initFolder(t)
	const provider = "CONSTANT_CONTACT_EXTERNAL_PROVIDER="
	for name, tc := range map[string]struct{ variable, fault string }{
		"blanks":             {provider + " acme \r\n", ""},
		"a mark":             {provider + "\ufeffacme", ""},
		"as it is":           {provider + "acme", ""},
		"plain quotes":       {provider + `"acme"`, "has quotation marks in it; write it without them"},
		"single quotes":      {provider + "'acme'", "has quotation marks in it"},
		"typographic quotes": {provider + "“acme”", "has typographic quotation marks"},
		"one of them":        {provider + "acme’", "has typographic quotation marks"},
		"a no-break space":   {provider + "ac\u00a0me", "has a no-break space (U+00A0)"},
		"one at the end":     {provider + "acme\u00a0", "has a no-break space (U+00A0)"},
		"a zero-width space": {provider + "ac\u200bme", "has a character that can't be seen (U+200B)"},
		"a line end":         {provider + "ac\nme", "has a character that can't be seen (U+000A)"},
		"quotes of a DN":     {"DIRECTORY_BASE_DN=“dc=example,dc=com”", "has typographic quotation marks"},
		"one of a list":      {"DIRECTORY_URLS=ldaps://a.example.com,ldaps://b.example.com\u200b", "can't be seen (U+200B)"},
		"quotes in a list": {"DIRECTORY_URLS=ldaps://a.example.com, “ldaps://b.example.com”,ldaps://c.example.com",
			"typographic"},
		"quotes of a list": {"DIRECTORY_URLS='ldaps://a.example.com',ldaps://b.example.com",
			"has quotation marks in it"},
		"a time":            {"SESSIONS_IDLE= 20m\n", ""},
		"a number":          {"DIRECTORY_POOL_SIZE=4 ", ""},
		"True":              {"METADATA_ALLOW_LOOPBACK_HTTP=True ", ""},
		"yes":               {"METADATA_ALLOW_LOOPBACK_HTTP=yes", "is neither true nor false"},
		"a name for people": {"BRANDING_NAME=“Best”\u00a0Co", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := loadFolder(t, folder, "SSOBRIDGE_"+tc.variable)
			switch {
			case tc.fault != "":
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Errorf("got %v, want %q", err, tc.fault)
				}
			case err != nil:
				t.Error(err)
			case strings.HasPrefix(tc.variable, provider) && cfg.ConstantContact.ExternalProvider != "acme":
				t.Errorf("got %q", cfg.ConstantContact.ExternalProvider)
			}
		})
	}
	cfg, err := loadFolder(t, folder, `SSOBRIDGE_DIRECTORY_URLS=["ldaps://a.example.com ", 'ldaps://b.example.com']`)
	if urls := cfg.Directory.URLs; err != nil || len(urls) != 2 || urls[0] != "ldaps://a.example.com" {
		t.Errorf("a list as in the file: %q, %v", urls, err)
	}
	file := initFolder(t)
	change(t, file, "public_url: ", "log: {level: \" debug \"}\nmetrics: {listen: “127.0.0.1:9090”}\npublic_url: ")
	if _, err := loadFolder(t, file); err == nil || !strings.Contains(err.Error(), "metrics.listen: has typographic") ||
		strings.Contains(err.Error(), "log.level: ") {
		t.Errorf("in the file: %v", err)
	}
}
