package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// account is the client account that everybody launches into. The directory's people
// for load are in the group that names it.
const account = "a07e1lxqqqo0"

// bridge is one set-up of the real program in a folder of its own, and the process
// while it runs. It has a sandbox of its own too, since two set-ups would take each
// other's login names there.
type bridge struct {
	bench   *bench
	binary  string // the program; it is set up by the bench's
	dir     string
	address string // host:port to connect to
	host    string // as browsers see it
	box     *sandbox.Sandbox
	env     []string // of the server, on top of this process's
	cmd     *exec.Cmd
	ended   chan error // of the process: one, then it is closed
	control *os.File   // only under the profiler
}

// errEnded says that a process is gone, which none does by itself while it is measured.
var errEnded = errors.New("the process has ended")

// set are the settings that differ between set-ups.
type set map[string]string

// place is what a bridge is set up between.
type place struct {
	slapd   *directorytest.Slapd // nil: the one that most parts share
	sandbox sandbox.Options
	// database is a file of SQLite that the bridge begins with; "" for none. It stays as it is.
	database string
}

// newBridge sets the program up by its own commands, as an admin would, with a sandbox that has no limits.
func (b *bench) newBridge(ctx context.Context, name, algorithm string, more set) (*bridge, error) {
	return b.newBridgeAt(ctx, place{sandbox: sandbox.Options{PerSecond: sandbox.Unlimited, PerDay: sandbox.Unlimited}},
		name, algorithm, more)
}

// newBridgeAt sets it up at a place of its own.
func (b *bench) newBridgeAt(ctx context.Context, at place, name, algorithm string, more set) (*bridge, error) {
	slapd := cmp.Or(at.slapd, b.slapd)
	if slapd == nil {
		return nil, errNoSlapd
	}
	at.sandbox.Accounts = []sandbox.Account{{ID: account, OrganizationName: "Harbour Books"}}
	at.sandbox.TokensPerSecond = sandbox.Unlimited
	box, err := sandbox.Start("127.0.0.1:0", at.sandbox)
	if err != nil {
		return nil, err
	}
	b.cleanup(box.Close)
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	br := &bridge{
		bench: b, binary: b.binary, dir: filepath.Join(b.dir, name), box: box,
		address: "127.0.0.1:" + port, host: "localhost:" + port,
	}
	b.cleanup(br.stop)
	settings := set{
		"listen":           br.address,
		"directory.preset": "openldap", "directory.urls": slapd.URL(), "directory.ca_file": slapd.CAFile(),
		"directory.bind_dn": slapd.BindDN, "directory.base_dn": slapd.BaseDN, "directory.bind_password_file": "bind_password",
		"constant_contact.base_url": box.BaseURL(), "constant_contact.token_url": box.TokenURL(),
		"constant_contact.partner_client_id":   box.TokenOptions().ClientID,
		"constant_contact.partner_secret_file": "partner_secret", "constant_contact.api_key_file": "api_key",
		"constant_contact.external_provider": box.ExternalProvider(),
		"metadata.allow_loopback_http":       "true",
		// So that everybody's SSO user is made in seconds, before anything is measured.
		"constant_contact.limits.per_second": "1000", "constant_contact.limits.per_day": "1000000",
	}
	maps.Copy(settings, more)
	args := []string{"init", br.dir, "--public-url", "http://" + br.host, "--algorithm", algorithm}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--set", key+"="+settings[key])
	}
	if at.database != "" {
		if err := os.MkdirAll(filepath.Dir(br.database()), 0o700); err != nil {
			return nil, fmt.Errorf("copy the store: %w", err)
		}
		if err := runQuietly(exec.CommandContext(ctx, "cp", "--reflink=auto", at.database, br.database())); err != nil {
			return nil, fmt.Errorf("copy the store: %w", err)
		}
	}
	if _, err := b.program(ctx, args...); err != nil {
		return nil, err
	}
	for name, secret := range map[string]string{
		"bind_password": slapd.BindPassword, "partner_secret": box.TokenOptions().ClientSecret,
		"api_key": sandbox.DefaultAPIKey,
	} {
		if err := os.WriteFile(filepath.Join(br.dir, name), []byte(secret+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write a secret of the set-up: %w", err)
		}
	}
	if _, err := br.command(ctx, "sp", "add-constant-contact", "--entity-id", box.EntityID(), "--acs",
		box.ACS()); err != nil {
		return nil, err
	}
	if _, err := br.command(ctx, "mapping", "add", "--group-pattern", "ctct-{account}-{role}", "--group-base",
		"ou=groups,"+slapd.BaseDN); err != nil {
		return nil, err
	}
	return br, br.trust(ctx)
}

var certificate = regexp.MustCompile(`<ds:X509Certificate>([^<]*)</ds:X509Certificate>`)

// trust hands our certificate to the sandbox, so that it checks what is delivered.
func (br *bridge) trust(ctx context.Context) error {
	metadata, err := br.command(ctx, "metadata")
	if err != nil {
		return err
	}
	found := certificate.FindStringSubmatch(metadata)
	if found == nil {
		return errors.New("the metadata of the bridge has no certificate")
	}
	der, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		return fmt.Errorf("certificate in the metadata of the bridge: %w", err)
	}
	site := "http://" + br.host
	if err := br.box.Trust(site+"/saml/metadata", [][]byte{der}, site+"/saml/sso", site+"/saml/sso"); err != nil {
		return fmt.Errorf("hand the certificate to the sandbox: %w", err)
	}
	return nil
}

func (br *bridge) config() string   { return filepath.Join(br.dir, "ssobridge.yaml") }
func (br *bridge) database() string { return filepath.Join(br.dir, "data", "ssobridge.db") }

// program runs a command of the program.
func (b *bench) program(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, b.binary, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ssobridge %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

func (br *bridge) command(ctx context.Context, args ...string) (string, error) {
	return br.bench.program(ctx, append(args, "--config", br.config())...)
}

// start starts the server and returns how long it took from there until /readyz said
// that sign-ins can be served. Its log goes to a file, as in life it goes to one of
// the service manager's.
func (br *bridge) start(ctx context.Context) (time.Duration, error) {
	log, err := os.OpenFile(filepath.Join(br.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, fmt.Errorf("log of the bridge: %w", err)
	}
	defer log.Close()
	args := []string{"serve", "--config", br.config()}
	program := br.binary
	profiler := br.bench.o.profile != "" && program == br.bench.binary // this process has Go's signer only
	if profiler {
		if program, err = os.Executable(); err != nil {
			return 0, fmt.Errorf("start the bridge under the profiler: %w", err)
		}
		args = append([]string{profiled, br.bench.o.profile}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), br.env...)
	if profiler {
		in, out, err := os.Pipe()
		if err != nil {
			return 0, fmt.Errorf("start the bridge under the profiler: %w", err)
		}
		defer in.Close()
		cmd.Stdin, br.control = in, out
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the bridge: %w", err)
	}
	br.cmd, br.ended = cmd, make(chan error, 1)
	go func(ended chan<- error) {
		ended <- errors.Join(cmd.Wait(), errEnded)
		close(ended) // so that a second reader does not wait for ever
	}(br.ended)
	request := []byte("GET /readyz HTTP/1.1\r\nHost: " + br.host + "\r\nConnection: close\r\n\r\n")
	for time.Since(began) < 30*time.Second {
		if br.ready(ctx, request) {
			return time.Since(began), nil
		}
		if err := pause(ctx, time.Millisecond, br.ended); err != nil {
			return 0, fmt.Errorf("the bridge ended before it was ready: %w; see %s", err, log.Name())
		}
	}
	return 0, errors.New("the bridge is not ready after 30 s")
}

func (br *bridge) ready(ctx context.Context, request []byte) bool {
	c, err := dial(ctx, br.address)
	if err != nil {
		return false
	}
	defer c.close()
	a, err := c.do(request)
	return err == nil && a.status == 200
}

// stop ends the process by its id, as a service manager does. It does nothing when
// none runs.
func (br *bridge) stop() error {
	if br.cmd == nil {
		return nil
	}
	cmd := br.cmd
	br.cmd = nil
	if br.control != nil {
		br.control.Close()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the bridge: %w", err)
	}
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case err := <-br.ended:
		if err != nil && cmd.ProcessState != nil && !cmd.ProcessState.Success() {
			return fmt.Errorf("the bridge ended with %w", err)
		}
		return nil
	case <-timer.C:
		return errors.Join(errors.New("the bridge did not stop within 20 s of SIGTERM"), cmd.Process.Kill(), <-br.ended)
	}
}

// memory is the resident memory of the process now and at its highest, in bytes.
func (br *bridge) memory() (now, most float64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", br.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read the memory of the bridge: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the memory of the bridge: %w", err)
		}
		if name == "VmRSS" {
			now = kb * 1024
		} else {
			most = kb * 1024
		}
	}
	if now == 0 {
		return 0, 0, errors.New("the kernel does not tell the memory of the bridge")
	}
	return now, most, nil
}

// size of the store in bytes: the database and its write-ahead log.
func (br *bridge) size() (float64, error) {
	var total int64
	for _, name := range []string{br.database(), br.database() + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			return 0, fmt.Errorf("size of the store: %w", err)
		}
		total += info.Size()
	}
	return float64(total), nil
}

func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
