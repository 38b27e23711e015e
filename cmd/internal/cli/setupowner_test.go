package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/internal/testkind"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/store/storetest"
)

// answers are those of somebody without a terminal.
func answers(slapd *directorytest.Slapd) []string {
	return []string{
		"SSOBRIDGE_DIRECTORY_BIND_PASSWORD=" + slapd.BindPassword,
		"SSOBRIDGE_CONSTANT_CONTACT_PARTNER_SECRET=" + sandbox.DefaultClientSecret,
		"SSOBRIDGE_CONSTANT_CONTACT_API_KEY=" + sandbox.DefaultAPIKey,
	}
}

// open lets everybody read a file or folder of the test, and pass those above it.
func open(t *testing.T, path string) {
	t.Helper()
	for ; strings.HasPrefix(path, os.TempDir()+"/"); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // the test's own folders
			t.Fatal(err)
		}
	}
}

// userArgs set the bridge up for user nobody.
func userArgs(slapd *directorytest.Slapd) []string {
	return []string{
		"setup", "--user", "nobody", "--no-console", "--algorithm", "p-256",
		"--public-url", "http://localhost:8080",
		"--set", "directory.preset=openldap", "--set", "directory.urls=" + slapd.URL(),
		"--set", "directory.ca_file=" + slapd.CAFile(), "--set", "directory.bind_dn=" + slapd.BindDN,
		"--set", "directory.base_dn=" + slapd.BaseDN, "--set", "constant_contact.external_provider=provider",
		"--set", "constant_contact.partner_client_id=" + sandbox.DefaultClientID,
	}
}

// SET-07: a file that is there keeps what setup does not change: the link that leads to it, its comments.
func TestSetupKeepsFile(t *testing.T) {
	folder, env, slapd := setupWorld(t)
	env = append(env, answers(slapd)...)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(folder, "mine.yaml")
	if err := os.WriteFile(mine, []byte("# ours\npublic_url: http://localhost:9999 # by name\ndata_dir: data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("mine.yaml", filepath.Join(folder, "ssobridge.yaml")); err != nil {
		t.Fatal(err)
	}
	args := slices.DeleteFunc(userArgs(slapd), func(a string) bool { return a == "--user" || a == "nobody" })
	if code, out, errs := command(t, env, args...); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	if to, err := os.Readlink(filepath.Join(folder, "ssobridge.yaml")); err != nil || to != "mine.yaml" {
		t.Errorf("the link was replaced: %q, %v", to, err)
	}
	want := "# ours\npublic_url: http://localhost:8080 # by name\n"
	if text := read(t, folder, "mine.yaml"); !strings.Contains(text, want) {
		t.Errorf("got\n%s", text)
	}
}

// SET-07: somebody who may not write there hears so before anything is asked or tested.
func TestSetupNotWritable(t *testing.T) {
	testkind.Starts(t, "ssobridge")
	folder := t.TempDir()
	open(t, folder)
	env := programEnv(t)
	path := ""
	for _, e := range env {
		if list, ok := strings.CutPrefix(e, "PATH="); ok {
			path = filepath.Join(strings.Split(list, ":")[0], "ssobridge")
		}
	}
	open(t, path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		open(t, real)
	}
	cmd := exec.CommandContext(t.Context(), path, "setup", "--config", filepath.Join(folder, "new", "ssobridge.yaml"))
	cmd.Env = env
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(folder, 0o500); err != nil { //nolint:gosec // the test's own folder
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), "make a file in "+folder+
		": permission denied\nhint: run it as root") {
		t.Errorf("exit code %d, %v\n%s", code, err, out)
	}
}

// SET-07: a variable that is set to nothing is named: no answer could change it.
func TestSetupEmptyVariable(t *testing.T) {
	_, env, slapd := setupWorld(t)
	for _, key := range []string{"PUBLIC_URL", "DIRECTORY_URLS", "DIRECTORY_BIND_PASSWORD"} {
		name := "SSOBRIDGE_" + key
		with := slices.DeleteFunc(append(slices.Clone(env), answers(slapd)...), func(e string) bool {
			return strings.HasPrefix(e, name+"=")
		})
		args := slices.DeleteFunc(userArgs(slapd), func(a string) bool { return a == "--user" || a == "nobody" })
		tt := atTerminal(t, append(with, name+"="), args...)
		tt.asks(name + " is set to nothing").asks("nothing was written").ends(2)
	}
}

// SET-01, SET-07: what root sets up for the bridge's user can be read by that user, and written where it has to be.
func TestSetupForUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who gives files away")
	}
	other, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody here")
	}
	uid, err := strconv.Atoi(other.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(other.Gid)
	if err != nil {
		t.Fatal(err)
	}
	folder, env, slapd := setupWorld(t)
	env = append(env, answers(slapd)...)
	open(t, filepath.Dir(folder))
	open(t, slapd.CAFile())
	args := userArgs(slapd)
	// Folders and files that are there, and that root alone can use, are found before anything is written.
	bindFile := filepath.Join(folder, "bind_password")
	for _, one := range []struct {
		name string
		make func() error
		want string
	}{
		{"a folder of root's", func() error { return os.MkdirAll(filepath.Join(folder, "data"), 0o755) },
			"write " + folder + "/data"},
		{"a closed folder", func() error { return os.Mkdir(folder, 0o700) }, "enter the folder " + folder},
		{"a secret of root's", func() error {
			return errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(bindFile, []byte(slapd.BindPassword), 0o600))
		}, "read " + bindFile},
	} {
		with := slices.Clone(env)
		if strings.HasPrefix(one.want, "read") {
			with = slices.DeleteFunc(with, func(e string) bool { return strings.Contains(e, "BIND_PASSWORD") })
		}
		if err := one.make(); err != nil {
			t.Fatal(err)
		}
		code, _, errs := command(t, with, append(args, "--set", "directory.bind_password_file=bind_password")...)
		if code != 2 || !strings.Contains(errs, "the bridge runs as user nobody, who can't "+one.want) {
			t.Errorf("%s: exit code %d\n%s", one.name, code, errs)
		}
		if _, err := os.Stat(filepath.Join(folder, "ssobridge.yaml")); err == nil {
			t.Errorf("%s: something was written", one.name)
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever the umask of root's shell is.
	defer syscall.Umask(syscall.Umask(0o077))
	deep := filepath.Join(folder, "deep")
	code, out, errs := command(t, env, append(args, "--config", filepath.Join(deep, "ssobridge.yaml"))...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	seen := map[string]string{}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the folder above: %v, %v", info.Mode(), err)
	}
	err = filepath.WalkDir(deep, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t) // this is a Unix system
		name, _ := filepath.Rel(deep, path)
		seen[name] = fmt.Sprintf("%d:%d %04o", owner.Uid, owner.Gid, info.Mode().Perm())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	byGroup := fmt.Sprintf("0:%d ", gid)
	own := fmt.Sprintf("%d:%d ", uid, gid)
	for name, want := range map[string]string{
		".": byGroup + "0750", "ssobridge.yaml": byGroup + "0640", "secret_key": byGroup + "0640",
		"data": own + "0700", "data/ssobridge.db": own + "0600",
	} {
		if seen[name] != want {
			t.Errorf("%s is %s, want %s", name, seen[name], want)
		}
	}
	for name, is := range seen {
		if strings.HasPrefix(name, "data/") && !strings.HasPrefix(is, own) {
			t.Errorf("%s is %s, which the bridge's user can't write", name, is)
		}
	}
}

// SET-06: on Active Directory the domain's threshold and those of fine-grained policies count, as far as the service
// account sees them: setup stays below them, and check says where a setting does not.
func TestSetupActiveDirectory(t *testing.T) {
	samba := directorytest.StartSamba(t)
	folder, env, _ := setupWorld(t)
	env = append(env, "SSOBRIDGE_CONSTANT_CONTACT_PARTNER_SECRET="+sandbox.DefaultClientSecret,
		"SSOBRIDGE_CONSTANT_CONTACT_API_KEY="+sandbox.DefaultAPIKey)
	setup := func(dn, password, preset string) (code int, out string) {
		t.Helper()
		code, out, errs := command(t, append(env, "SSOBRIDGE_DIRECTORY_BIND_PASSWORD="+password), "setup", "--algorithm",
			"p-256", "--public-url", "http://localhost:8080", "--set", "directory.preset="+preset,
			"--set", "directory.urls="+samba.URL(), "--set", "directory.ca_file="+samba.CAFile(), "--set",
			"directory.bind_dn="+dn, "--set", "directory.base_dn="+samba.BaseDN,
			"--set", "console.admin_group="+samba.GroupDN("emea"), "--set", "constant_contact.external_provider=provider",
			"--set", "constant_contact.partner_client_id="+sandbox.DefaultClientID)
		return code, out + errs
	}
	if code, out := setup(samba.BindDN, "wrong-password", "samba"); code != 1 || !strings.Contains(out,
		"FAIL  directory: service bind") {
		t.Errorf("a wrong password: exit code %d\n%s", code, out)
	}
	if code, out := setup(samba.BindDN, samba.BindPassword, "openldap"); code != 1 ||
		!strings.Contains(out, "FAIL") {
		t.Errorf("the wrong kind: exit code %d\n%s", code, out)
	}
	code, out := setup(samba.AdminDN, samba.AdminPassword, "samba")
	if code != 0 || !strings.Contains(out, "ok    people: ") || !strings.Contains(out, "administrators: CN=emea,") ||
		!strings.Contains(out, "sign_in.login_failures: set to 2, below the limit") ||
		!strings.Contains(out, "sign_in.login_window: set to 30m") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	// What the administrator's account sees, and what a service account sees.
	for account, wants := range map[string][]string{
		samba.AdminDN + "\x00" + samba.AdminPassword: {"locks an account at 3 wrong passwords",
			"locks an account at 10 wrong passwords"},
		samba.BindDN + "\x00" + samba.BindPassword: {"FAIL  directory: lockout: " + samba.BaseDN + " locks an account at 10"},
	} {
		dn, password, _ := strings.Cut(account, "\x00")
		_, out, _ := command(t, append(env, "SSOBRIDGE_DIRECTORY_BIND_PASSWORD="+password, "SSOBRIDGE_DIRECTORY_BIND_DN="+dn,
			"SSOBRIDGE_SIGN_IN_LOGIN_FAILURES=10"), "check")
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("check as %s in %s does not say %q:\n%s", dn, folder, want, out)
			}
		}
	}
}

// SET-02: with PostgreSQL the store is made there, and a database that is gone is not taken for a first start.
func TestSetupPostgres(t *testing.T) {
	fresh := storetest.Postgres(t)
	dsn := fresh(t).DSN
	folder, env, slapd := setupWorld(t)
	env = append(append(env, answers(slapd)...), "SSOBRIDGE_STORE_DSN="+dsn)
	args := []string{
		"setup", "--no-console", "--algorithm", "p-256", "--public-url", "http://localhost:8080",
		"--set", "directory.preset=openldap", "--set", "directory.urls=" + slapd.URL(),
		"--set", "directory.ca_file=" + slapd.CAFile(), "--set", "directory.bind_dn=" + slapd.BindDN,
		"--set", "directory.base_dn=" + slapd.BaseDN, "--set", "constant_contact.external_provider=provider",
		"--set", "constant_contact.partner_client_id=" + sandbox.DefaultClientID,
	}
	if code, out, errs := command(t, append(env, "SSOBRIDGE_STORE_DSN=postgres://nobody@127.0.0.1:1/nowhere"),
		args...); code != 1 || !strings.Contains(errs, "open the store") {
		t.Errorf("a server that is not there: exit code %d\n%s\n%s", code, out, errs)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("something was written")
	}
	for _, want := range []string{"ok    API key: accepted", "nothing was changed"} { // the first time, and once more
		if code, out, errs := command(t, env, args...); code != 0 || !strings.Contains(out, want) {
			t.Fatalf("exit code %d, want 0 and %q\n%s\n%s", code, want, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "data")); err == nil {
		t.Error("a folder for SQLite was made")
	}
	if strings.Contains(read(t, folder, "ssobridge.yaml"), dsn) {
		t.Error("the DSN of the environment stands in the file")
	}
	other := fresh(t).DSN
	if code, _, errs := command(t, append(env, "SSOBRIDGE_STORE_DSN="+other), args...); code != 2 ||
		!strings.Contains(errs, "where did the database go") {
		t.Errorf("another database: exit code %d\n%s", code, errs)
	}
}
