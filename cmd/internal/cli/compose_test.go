package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/testkind"
	"ssobridge/store"
)

const root = "../../.."

// composeFile is what the bridge's compose file uses of the compose specification.
// Decoding it with KnownFields refuses a mistyped key.
type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
	} `yaml:"networks"`
	Volumes map[string]struct{} `yaml:"volumes"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type composeService struct {
	Build struct {
		Context    string            `yaml:"context"`
		Dockerfile string            `yaml:"dockerfile"`
		Target     string            `yaml:"target"`
		Args       map[string]string `yaml:"args"`
	} `yaml:"build"`
	Image       string   `yaml:"image"`
	Entrypoint  []string `yaml:"entrypoint"`
	Command     []string `yaml:"command"`
	ReadOnly    bool     `yaml:"read_only"`
	Volumes     []string `yaml:"volumes"`
	Secrets     []string `yaml:"secrets"`
	Networks    []string `yaml:"networks"`
	Ports       []string `yaml:"ports"`
	Restart     string   `yaml:"restart"`
	GracePeriod string   `yaml:"stop_grace_period"`
	HealthCheck struct {
		Disable  bool     `yaml:"disable"`
		Test     []string `yaml:"test"`
		Interval string   `yaml:"interval"`
		Timeout  string   `yaml:"timeout"`
		Retries  int      `yaml:"retries"`
	} `yaml:"healthcheck"`
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
}

// TestComposeFile checks that everything that the compose file names is there.
func TestComposeFile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var c composeFile
	if err := dec.Decode(&c); err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	for _, name := range []string{"bridge", "sandbox", "openldap"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("service %s is missing", name)
		}
	}
	exists := func(what, file string) {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, s := range c.Services {
		dockerfile := filepath.Join(s.Build.Context, "Dockerfile")
		if s.Build.Dockerfile != "" {
			dockerfile = s.Build.Dockerfile
		}
		checkDockerfile(t, filepath.Join(root, dockerfile), s.Build.Target)
		if !s.HealthCheck.Disable && len(s.HealthCheck.Test) == 0 {
			t.Errorf("service %s has no health check", name)
		}
		if !s.ReadOnly {
			t.Errorf("service %s can write its image", name)
		}
		for on, d := range s.DependsOn {
			other, ok := c.Services[on]
			if !ok || d.Condition == "service_healthy" && other.HealthCheck.Disable {
				t.Errorf("service %s waits for %s, which is not there or has no health", name, on)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[source]; strings.HasPrefix(source, "./") {
				exists("service "+name, source)
			} else if !named {
				t.Errorf("service %s: volume %s is not declared", name, source)
			}
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("service %s: network %s is not declared", name, n)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("service %s: secret %s is not declared", name, secret)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("service %s: port %s is open to others than this machine", name, p)
			}
		}
	}
	for name, s := range c.Secrets {
		exists("secret "+name, s.File)
	}
}

// checkDockerfile wants pinned images, a user that is not root, and the target.
func checkDockerfile(t *testing.T, file, target string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	var stages []string
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)(?: AS (\S+))?$`).FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(stages, from[1]) && !regexp.MustCompile(`:\d+\.\d+`).MatchString(from[1]) {
			t.Errorf("%s: image %s has no exact version", file, from[1])
		}
		stages = append(stages, from[2])
	}
	if target != "" && !slices.Contains(stages, target) {
		t.Errorf("%s has no stage %s", file, target)
	}
	if users := regexp.MustCompile(`(?m)^USER (\d+):\d+$`).FindAllStringSubmatch(string(text), -1); len(users) == 0 ||
		users[len(users)-1][1] == "0" {
		t.Errorf("%s runs as root", file)
	}
}

// startComposeDirectory starts the compose file's directory by its own script. The file is the bridge's configuration
// of the compose file, with nothing but addresses and folders changed, in a new folder.
func startComposeDirectory(t *testing.T) (folder, file string, log *buffer) {
	t.Helper()
	testkind.Starts(t, "slapd")
	folder = t.TempDir()
	for _, name := range []string{"run", "pki", "data"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	compose := filepath.Join(root, "cmd/ssobridge/compose")
	cmd := exec.Command("sh", filepath.Join(compose, "openldap/start.sh"))
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "RUN="+folder+"/run", "PKI="+folder+"/pki", "SAMPLE="+filepath.Join(compose,
		"sample.ldif"), "LISTEN=ldaps://"+address)
	log = new(buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("stop the compose directory: %v", err)
		}
	})
	waitFor(t, "the compose directory", func() bool {
		_, err := os.Stat(filepath.Join(folder, "run/ready"))
		return err == nil
	})

	text, err := os.ReadFile(filepath.Join(compose, "ssobridge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := filepath.Abs(filepath.Join(compose, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("/run/secrets", secrets, "/pki", folder+"/pki", "/var/lib/ssobridge", folder+"/data",
		"openldap:1636", address).Replace(string(text))
	file = filepath.Join(folder, "ssobridge.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder, file, log
}

// TestComposeDirectoryAndConfiguration reads people through the bridge's configuration of the compose file.
func TestComposeDirectoryAndConfiguration(t *testing.T) {
	_, file, log := startComposeDirectory(t)
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := server.OpenOrCreate(t.Context(), cfg, server.NewLogger(cfg.Log, log))
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	for _, step := range parts.Directory.Check(t.Context()) {
		if step.Err != nil {
			t.Errorf("%s: %v\n%s", step.Name, step.Err, log.String())
		}
	}
	bob, err := parts.Directory.Authenticate(t.Context(), "bob", "bob-password")
	if err != nil {
		t.Fatal(err)
	}
	if len(bob.Groups) != 3 || bob.ID == "" {
		t.Errorf("bob is %+v, want an id and three groups", bob)
	}
}

// TestComposeSetupScript runs setup.sh with the directory and the configuration of the compose file.
func TestComposeSetupScript(t *testing.T) {
	testkind.Starts(t, "sh")
	text, err := os.ReadFile(filepath.Join(root, "cmd/ssobridge/compose/setup.sh"))
	if err != nil {
		t.Fatal(err)
	}
	folder, file, _ := startComposeDirectory(t)
	script := strings.NewReplacer("/var/lib/ssobridge", folder+"/data", "/metadata/", folder+"/").Replace(string(text))
	for range 2 { // a second start changes nothing
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = append(programEnv(t), "SSOBRIDGE_CONFIG="+file)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("setup.sh: %v\n%s", err, out)
		}
	}
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(cfg.DataDir, "ssobridge.db"),
		Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mappings, err := db.Mappings().List(t.Context())
	if err != nil || len(mappings) != 1 || mappings[0].GroupDN != "ou=groups,dc=example,dc=test" {
		t.Errorf("mappings: %+v, %v; want one, with a group base of its own", mappings, err)
	}
	if data, err := os.ReadFile(filepath.Join(folder, "idp.xml")); err != nil || !bytes.Contains(data,
		[]byte("EntityDescriptor")) {
		t.Errorf("idp.xml: %v, %.200s", err, data)
	}
}
