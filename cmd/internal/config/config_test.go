package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/cmd/internal/config"
)

// loadFolder loads the configuration of a folder that init made, with lines added.
func loadFolder(t *testing.T, folder string, environ ...string) (config.Config, error) {
	t.Helper()
	return config.Load(filepath.Join(folder, "ssobridge.yaml"), environ)
}

func TestInitConfigurationLoads(t *testing.T) {
	cfg, err := loadFolder(t, initFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Defaults()
	if cfg.Sessions != want.Sessions || cfg.SignIn != want.SignIn || cfg.Log != want.Log ||
		cfg.Provisioning != want.Provisioning {
		t.Errorf("defaults are not kept: %+v", cfg)
	}
	if !filepath.IsAbs(cfg.DataDir) || cfg.Directory.BindPassword != "secret-bind_password" {
		t.Errorf("data_dir %q, bind password read %v", cfg.DataDir, cfg.Directory.BindPassword != "")
	}
}

// TestExampleUncommented reads the example with every line counting: each key is
// known, and each example has the right kind.
func TestExampleUncommented(t *testing.T) {
	text, err := os.ReadFile("config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`).ReplaceAllString(string(text), "$1$2")
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = config.Load(file, nil)
	for _, wrong := range []string{"unknown key", "is not a time", "is not a number", "is not a whole number",
		"neither true nor false", "want a list", "want one value", "yaml"} {
		for line := range strings.Lines(fmt.Sprint(err)) {
			if strings.Contains(strings.ReplaceAll(line, "all.yaml", ""), wrong) {
				t.Errorf("the example has a fault: %s", line)
			}
		}
	}
}

func TestEnvironmentOverlay(t *testing.T) {
	folder := initFolder(t)
	if err := os.Remove(filepath.Join(folder, "api_key")); err != nil {
		t.Fatal(err)
	}
	remove := func(line string) {
		file := filepath.Join(folder, "ssobridge.yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(data), line, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := loadFolder(t, folder, "SSOBRIDGE_CONSTANT_CONTACT_API_KEY=from-env"); err == nil ||
		!strings.Contains(err.Error(), "comes twice") {
		t.Errorf("a secret by file and variable: got %v, want a fault", err)
	}
	remove("  api_key_file: api_key\n")
	cfg, err := loadFolder(t, folder,
		"SSOBRIDGE_CONSTANT_CONTACT_API_KEY=from-env",
		"SSOBRIDGE_DIRECTORY_URLS=ldaps://a.example.com, ldaps://b.example.com",
		"SSOBRIDGE_SESSIONS_IDLE=20m", "SSOBRIDGE_SIGN_IN_LOGIN_FAILURES=3", "SSOBRIDGE_CONSTANT_CONTACT_LIMITS_RESERVE=0.5",
		"SSOBRIDGE_SERVICE_HOST=10.0.0.1", "SSOBRIDGE_PORT=tcp://10.0.0.1:80", "SSOBRIDGE_TEST_POSTGRES=start", "UNRELATED=1")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.ConstantContact.APIKey != "from-env" || len(cfg.Directory.URLs) != 2 ||
		cfg.Directory.URLs[1] != "ldaps://b.example.com" ||
		cfg.Sessions.Idle.Minutes() != 20 || cfg.SignIn.LoginFailures != 3 || cfg.ConstantContact.Limits.Reserve != 0.5 {
		t.Errorf("the variables are not all heeded: %+v", cfg)
	}
}

// TestConfigurationRefusals has one fault in each case, laid over a good configuration.
func TestConfigurationRefusals(t *testing.T) {
	folder := initFolder(t)
	for name, tc := range map[string]struct {
		variable string
		want     string
	}{
		"http for others": {"PUBLIC_URL=http://sso.example.com",
			"public_url: is http for a host that others reach"},
		"http for a look-alike": {"PUBLIC_URL=http://localhost.example.com", "public_url: is http for a host"},
		"path":                  {"PUBLIC_URL=https://sso.example.com/saml", "more than scheme, host and port"},
		"user":                  {"PUBLIC_URL=https://u:p@sso.example.com", "more than scheme, host and port"},
		"other scheme":          {"PUBLIC_URL=ftp://sso.example.com", "is not the address of a web site"},
		"port with a zero":      {"PUBLIC_URL=http://localhost:08080", "is not the address of a web site"},
		"port beyond all":       {"PUBLIC_URL=https://sso.example.com:99999", "is not the address of a web site"},
		"https without TLS":     {"PUBLIC_URL=https://sso.example.com", "neither tls.cert nor a proxy"},
		"one half of TLS":       {"TLS_CERT=/nonexistent", "cert and key belong together"},
		"entity id":             {"ENTITY_ID=two words", "entity_id: \"two words\" is not a URI"},
		"metadata too large":    {"METADATA_MAX_MIB=2000", "metadata.max_mib: is 2000; write a number from 1 to 1024"},
		"a scope too wide":      {"METADATA_SCOPES=[com]", `metadata.scopes: "com" is not a domain in lower case`},
		"a scope as a pattern":  {"METADATA_SCOPES=[\".*example.com\"]", "is not a domain in lower case"},
		"a scope in capitals":   {"METADATA_SCOPES=[Example.com]", `"Example.com" is not a domain in lower case`},
		"a scope twice":         {"METADATA_SCOPES=[a.example, a.example]", `metadata.scopes: "a.example" is there twice`},
		"no metadata at all":    {"METADATA_MAX_MIB=0", "metadata.max_mib: is 0; write a number from 1 to 1024"},
		"long entity id":        {"ENTITY_ID=https://e/" + strings.Repeat("x", 300), "entity_id: has 310 characters"},
		"listen":                {"LISTEN=localhost", "listen: \"localhost\" is not an address"},
		"proxy":                 {"TRUSTED_PROXIES=10.0.0.1,proxy", "trusted_proxies: \"proxy\" is neither"},
		"plain LDAP":            {"DIRECTORY_URLS=ldap://ldap.example.com", "directory.urls: "},
		"preset":                {"DIRECTORY_PRESET=novell", "directory.preset: "},
		"base DN":               {"DIRECTORY_BASE_DN=example", "directory.base_dn: "},
		"CA file":               {"DIRECTORY_CA_FILE=/nonexistent", "directory.ca_file: "},
		"plain partner API": {"CONSTANT_CONTACT_BASE_URL=http://api.example.com/v3",
			"constant_contact.base_url: is http"},
		"rate":         {"CONSTANT_CONTACT_LIMITS_PER_SECOND=0", "limits.per_second: 0 is out of range"},
		"not a number": {"CONSTANT_CONTACT_LIMITS_PER_SECOND=NaN", "is not a number"},
		"reserve":      {"CONSTANT_CONTACT_LIMITS_RESERVE=1", "limits.reserve: 1 is out of range"},
		"provider": {"CONSTANT_CONTACT_EXTERNAL_PROVIDER=" + strings.Repeat("x", 81),
			"more than 80 characters"},
		"login name too long":        {"PROVISIONING_LOGIN_NAME={person_id}-{account}-{key}", "provisioning.login_name: "},
		"login name not unique":      {"PROVISIONING_LOGIN_NAME={first_name}", "provisioning.login_name: "},
		"external id not unique":     {"PROVISIONING_EXTERNAL_ID={person_id}", "provisioning.external_id: "},
		"unknown placeholder":        {"PROVISIONING_CONTACT_EMAIL={email}", "provisioning.contact_email: "},
		"idle longer than life":      {"SESSIONS_IDLE=11h", "sessions.idle: is longer than sessions.life"},
		"max_stale shorter than ttl": {"DIRECTORY_CACHE_MAX_STALE=10s", "directory_cache.max_stale: is shorter"},
		"former variable": {"READINGS_FRESH=10s",
			"SSOBRIDGE_READINGS_FRESH: is called SSOBRIDGE_DIRECTORY_CACHE_TTL now"},
		"sign-in shorter than replays": {"SIGN_IN_LIFE=5m", "sign_in.life: 5m is out of range; write a time from 15m to 24h"},
		"patience":                     {"SIGN_IN_PATIENCE=1m", "sign_in.patience: 1m is out of range"},
		"caps":                         {"SIGN_IN_PENDING_TOTAL=10", "sign_in.pending_total: 10 is out of range"},
		"colour":                       {"BRANDING_COLOR=red", "branding.color: \"red\" is not a colour"},
		"script as link":               {"BRANDING_HELP_URL=javascript:alert(1)", "branding.help_url: "},
		"logo":                         {"BRANDING_LOGO=/nonexistent", "branding.logo: can't be used"},
		"level":                        {"LOG_LEVEL=loud", "log.level: \"loud\" is unknown"},
		"store":                        {"STORE_DSN=mysql://x", "store.dsn: is neither sqlite: nor postgres://"},
		"secret key":                   {"SECRET_KEY_FILE=bind_password", "secret_key: can't be used"},
		"no secret key":                {"SECRET_KEY_FILE=nothing", "secret_key_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadFolder(t, folder, "SSOBRIDGE_"+tc.variable)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v\nwant %s", err, tc.want)
			}
			variable, _, _ := strings.Cut(tc.variable, "=")
			if strings.Contains(tc.want, ":") && name != "one half of TLS" && name != "secret key" &&
				!strings.Contains(err.Error(), "SSOBRIDGE_"+variable) {
				t.Errorf("the fault does not name SSOBRIDGE_%s: %v", variable, err)
			}
		})
	}
}

func TestPasswordInDSN(t *testing.T) {
	folder := initFolder(t)
	const dsn = "postgres://app:hunter2@db.example.com/app"
	if _, err := loadFolder(t, folder, "SSOBRIDGE_STORE_DSN="+dsn); err != nil {
		t.Errorf("by variable: %v", err)
	}
	file := filepath.Join(folder, "ssobridge.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "\nstore:\n", "\nstore:\n  dsn: "+dsn+"\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = loadFolder(t, folder)
	if err == nil || !strings.Contains(err.Error(), "store.dsn: holds a password") ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("in the file: got %v, want a refusal that does not show it", err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	cfg, err := loadFolder(t, initFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for how, text := range map[string]string{"%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", cfg),
		"%#v": fmt.Sprintf("%#v", cfg), "String": cfg.ConstantContact.APIKey.String(),
		"%q": fmt.Sprintf("%q", cfg.ConstantContact.APIKey), "%x": fmt.Sprintf("%x", cfg.ConstantContact.APIKey),
		"JSON": string(encoded)} {
		if strings.Contains(text, "secret-api_key") || strings.Contains(text, fmt.Sprintf("%x", "secret-api_key")) {
			t.Errorf("%s shows a secret: %s", how, text)
		}
	}
}

// TestVariablesAreDistinct: two keys must not share a variable.
func TestVariablesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, key := range config.Paths() {
		name := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		if other, twice := seen[name]; twice {
			t.Errorf("%s and %s share the variable SSOBRIDGE_%s", key, other, name)
		}
		seen[name] = key
	}
}

// People who wait for a switch must still have their sign-in when it is over; half a token is none.
func TestKeyConfigurationFaults(t *testing.T) {
	cfg, err := loadFolder(t, initFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"longer than a sign-in", func(c *config.Config) {
			c.Keys.SwitchBefore, c.Keys.SwitchAfter, c.SignIn.Life = 10*time.Minute, 10*time.Minute, 20*time.Minute
		}, "keys.switch_after"},
		{"too long", func(c *config.Config) { c.Keys.SwitchBefore = 31 * time.Minute }, "keys.switch_before"},
		{"none", func(c *config.Config) { c.Keys.SwitchAfter = 0 }, "keys.switch_after"},
		{"module that is not there", func(c *config.Config) {
			c.PKCS11 = config.PKCS11{Module: "/nowhere.so", TokenLabel: "x", PIN: "1"}
		}, "pkcs11.module"},
		{"label alone", func(c *config.Config) { c.PKCS11.TokenLabel = "x" }, "pkcs11.module"},
		{"PIN alone", func(c *config.Config) { c.PKCS11.PIN = "1234-Pin" }, "pkcs11.module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := cfg
			c.change(&changed)
			if err := changed.Check(); err == nil || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "1234-Pin") {
				t.Errorf("%v, want a fault of %s", err, c.want)
			}
		})
	}
}

// A key that has another name now is refused with that name, wherever it stands.
func TestRenamedKeys(t *testing.T) {
	folder := initFolder(t)
	file := filepath.Join(folder, "ssobridge.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data) + "\nreadings:\n  fresh: 30s\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = loadFolder(t, folder, "SSOBRIDGE_READINGS_STALE=1h")
	for _, want := range []string{"readings: is called directory_cache now",
		"SSOBRIDGE_READINGS_STALE: is called SSOBRIDGE_DIRECTORY_CACHE_MAX_STALE now"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func FuzzConfiguration(f *testing.F) {
	example, err := os.ReadFile("config.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("public_url: [a"))
	f.Add([]byte("a: &a [*a]\nstore: *a\n"))
	f.Add([]byte("directory: {urls: {x: y}, pool_size: 9999999999999999999}"))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(folder, "fuzz.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		// Without secrets nothing is complete: whatever the file says, it is refused and never panics.
		if _, err := config.Load(file, nil); err == nil {
			t.Errorf("a configuration without secrets is accepted:\n%s", data)
		}
	})
}
