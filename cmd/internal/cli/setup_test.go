package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/internal/testkind"
	"ssobridge/partnerapi/sandbox"
)

// terminal is a person at a terminal, with a program that runs there.
type terminal struct {
	t    *testing.T
	pty  *os.File
	done chan error
	cmd  *exec.Cmd

	mu   sync.Mutex
	seen bytes.Buffer
	read int // of seen, up to what was waited for
}

// openPTY opens a pair of a terminal and the program's side of it (pty(7)).
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	control := func(request uintptr, value *int32) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request,
			uintptr(unsafe.Pointer(value))); errno != 0 { //nolint:gosec // ioctl takes a pointer
			t.Fatal(errno)
		}
	}
	var unlock, number int32
	control(syscall.TIOCSPTLCK, &unlock)
	control(syscall.TIOCGPTN, &number)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// atTerminal runs the program there.
func atTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	testkind.Starts(t, "ssobridge")
	master, slave := openPTY(t)
	ctx, stop := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(stop)
	tt := &terminal{t: t, pty: master, done: make(chan error, 1), cmd: exec.CommandContext(ctx, "ssobridge", args...)}
	for _, e := range env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			tt.cmd.Path = filepath.Join(strings.Split(path, ":")[0], "ssobridge")
			tt.cmd.Err = nil
		}
	}
	tt.cmd.Env, tt.cmd.Stdin, tt.cmd.Stdout, tt.cmd.Stderr = env, slave, slave, slave
	tt.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := tt.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			tt.mu.Lock()
			tt.seen.Write(buf[:n])
			tt.mu.Unlock()
			if err != nil {
				return // the program has ended
			}
		}
	}()
	go func() { tt.done <- tt.cmd.Wait() }()
	return tt
}

// all is what stands on the terminal.
func (tt *terminal) all() string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.seen.String()
}

// asks waits for a text behind the one that was waited for before.
func (tt *terminal) asks(text string) *terminal {
	tt.t.Helper()
	end := time.NewTimer(30 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		all := tt.all()
		if i := strings.Index(all[tt.read:], text); i >= 0 {
			tt.read += i + len(text)
			return tt
		}
		select {
		case <-tick.C:
		case <-end.C:
			tt.t.Fatalf("the terminal does not show %q:\n%s", text, all)
		}
	}
}

// types answers.
func (tt *terminal) types(text string) *terminal {
	tt.t.Helper()
	if _, err := tt.pty.WriteString(text); err != nil {
		tt.t.Fatal(err)
	}
	return tt
}

// ends waits for the program's end, with this exit code.
func (tt *terminal) ends(code int) {
	tt.t.Helper()
	<-tt.done
	if got := tt.cmd.ProcessState.ExitCode(); got != code {
		tt.t.Fatalf("exit code %d, want %d:\n%s", got, code, tt.all())
	}
}

// setupWorld is a folder, and an environment in which the sandbox stands for Constant Contact.
func setupWorld(t *testing.T) (folder string, env []string, slapd *directorytest.Slapd) {
	t.Helper()
	slapd = directorytest.StartSlapd(t)
	box, err := sandbox.Start("127.0.0.1:0", sandbox.Options{
		Accounts:        []sandbox.Account{{ID: "a07e1lxqqqo0", OrganizationName: "Harbour Books", BillingStatus: "Open"}},
		TokensPerSecond: sandbox.Unlimited, PerSecond: sandbox.Unlimited,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	folder = filepath.Join(t.TempDir(), "conf")
	env = append(programEnv(t), "SSOBRIDGE_CONFIG="+folder+"/ssobridge.yaml",
		"SSOBRIDGE_CONSTANT_CONTACT_BASE_URL="+box.URL()+sandbox.APIPath,
		"SSOBRIDGE_CONSTANT_CONTACT_TOKEN_URL="+box.URL()+sandbox.TokenPath)
	return folder, env, slapd
}

// SET-01: somebody who errs wherever that is possible gets a configuration that is right in the end. No
// secret is ever shown.
func TestSetupAtTerminal(t *testing.T) {
	folder, env, slapd := setupWorld(t)
	tt := atTerminal(t, env, "setup", "--algorithm", "p-256")
	tt.asks("1. Public URL").asks("Public URL: ").types("\n").asks("An answer is needed here.").
		types("http://sso.example.com\n").asks("is http for a host that others reach").
		asks("Public URL [http://sso.example.com]: ").types("http://localhost:8080\n")

	plain := strings.Replace(slapd.URL(), "ldaps://", "ldap://", 1)
	tt.asks("2. Directory").asks("Kind, by its number: ").types("12\n").asks("Write a number from 1 to").types("1\n").
		asks("Address").types("ldaps://ldap.invalid\n").asks("can't be found in DNS").
		asks("Kind, by its number [openldap]: ").types("\n").asks("Address").types(plain + "\n").
		asks("(PEM) [none]: ").types(slapd.CAFile() + "\n").asks("FAIL").
		asks("Kind, by its number [openldap]: ").types("\n").asks("Address").types(slapd.URL() + "\n").
		asks("(PEM) [").types(slapd.CAFile() + "\n").asks("ok    directory: connect")

	tt.asks("3. Service account").asks("Its DN").types(slapd.BindDN + "\n").asks("(not shown): ").
		types("wrong-password\n").asks("FAIL").asks("Its DN, such as").asks("[" + slapd.BindDN + "]: ").types("\n").
		asks("(not shown): ").types("\n").asks("An answer is needed here.").asks("(not shown): ").
		types("pass\x1b[D\x1a\n").asks("such as an arrow").asks("(not shown): ").
		types(slapd.BindPassword + "\n").asks("ok    directory: service bind")

	tt.asks("4. Base").asks("Base DN [" + slapd.BaseDN + "]: ").types("dc=elsewhere\n").
		asks(`base_dn "dc=elsewhere" does not exist`).asks("Base DN [dc=elsewhere]: ").types(slapd.BaseDN + "\n").
		asks("ok    people: ").asks("alice").asks("ok    groups: ").
		asks("sign_in.login_failures: set to 2, below the limit")

	tt.asks("5. Constant Contact").asks("Partner client id: ").types(sandbox.DefaultClientID + "\n").
		asks("Partner secret (not shown): ").types("wrong-secret\n").asks("API key").types("wrong-key\n").
		asks("external provider: ").types("provider\n").asks("FAIL  partner token").
		asks("Partner client id [").types("\n").asks("(not shown): ").types(sandbox.DefaultClientSecret + "\n").
		asks("(not shown): ").types("wrong-key\n").asks("external provider [provider]: ").types("\n").asks("FAIL  API key").
		asks("Partner client id [").types("\n").asks("(not shown): ").types(sandbox.DefaultClientSecret + "\n").
		asks("(not shown): ").types(sandbox.DefaultAPIKey + "\n").asks("external provider [provider]: ").types("\n").
		asks("ok    API key: accepted")

	tt.asks("6. Administrators").asks("or its DN: ").types("x\n").asks("at least two characters").
		asks("or its DN: ").types("no-such-group\n").asks("No group's name has").
		asks("or its DN: ").types("ring\n").asks("1  cn=ring-").asks("0 to look for another one: ").types("0\n").
		asks("or its DN: ").types("emea\n").asks("1 direct member: heidi").asks("[1]: ").types("\n").
		asks("ok    administrators: cn=emea,").asks("Admin console: http://localhost:8080/admin/").ends(0)

	for _, secret := range []string{"wrong-password", "wrong-secret", "wrong-key", slapd.BindPassword,
		sandbox.DefaultClientSecret, sandbox.DefaultAPIKey} {
		if strings.Contains(tt.all(), secret) {
			t.Errorf("the terminal shows the secret %q", secret)
		}
	}
	for _, name := range []string{"ssobridge.yaml", "secret_key", "bind_password", "partner_secret", "api_key"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode().Perm())
		}
	}

	// Once more: what is right is kept. A refused password in its file is not replaced.
	before := read(t, folder, "ssobridge.yaml")
	tt = atTerminal(t, env, "setup")
	tt.asks("nothing was changed").ends(0)
	if after := read(t, folder, "ssobridge.yaml"); after != before {
		t.Errorf("the configuration was changed:\n%s", after)
	}
	if err := os.WriteFile(filepath.Join(folder, "bind_password"), []byte("old-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tt = atTerminal(t, env, "setup")
	tt.asks("FAIL  directory: service bind").asks("Its DN").types("\n").asks("is never replaced").
		asks("Press Enter to try again: ")
	if err := os.WriteFile(filepath.Join(folder, "bind_password"), []byte(slapd.BindPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tt.types("\n").asks("ok    directory: service bind").asks("nothing was changed").ends(0)

	// A key that is missing is asked for, and the rest of the file stays as it is.
	without := strings.Replace(before, "\n  admin_group: ", "\n  #admin_group: ", 1)
	if without == before {
		t.Fatal("the configuration has no admin_group")
	}
	if err := os.WriteFile(filepath.Join(folder, "ssobridge.yaml"), []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	tt = atTerminal(t, env, "setup")
	tt.asks("or its DN: ").types("emea\n").asks("[1]: ").types("\n").asks("wrote ").ends(0)
	if after := read(t, folder, "ssobridge.yaml"); after != before {
		t.Errorf("after the missing answer:\n%s", after)
	}
}

// SET-01: an end in the middle leaves nothing, and a terminal that shows what is typed.
func TestSetupStopped(t *testing.T) {
	folder, env, slapd := setupWorld(t)
	for name, end := range map[string]string{"^C": "\x03", "^D": "\x04"} {
		t.Run(name+" at a question", func(t *testing.T) {
			tt := atTerminal(t, env, "setup")
			tt.asks("Public URL: ").types(end).asks("nothing was written").ends(1)
			if _, err := os.Stat(folder); err == nil {
				t.Error("something was written")
			}
		})
		t.Run(name+" at a secret", func(t *testing.T) {
			tt := atTerminal(t, env, "setup", "--public-url", "http://localhost:8080", "--set", "directory.preset=openldap",
				"--set", "directory.urls="+slapd.URL(), "--set", "directory.ca_file="+slapd.CAFile(), "--set",
				"directory.bind_dn="+slapd.BindDN)
			tt.asks("Its DN").types("\n").asks("(not shown): ").types(end).asks("nothing was written").ends(1)
			if _, err := os.Stat(folder); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
