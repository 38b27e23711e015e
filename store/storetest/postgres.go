package storetest

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", for making databases

	"ssobridge/internal/testkind"
	"ssobridge/store"
)

// PostgresVariable names the environment variable that says where PostgreSQL
// is: "start" for a server that the test starts and stops, or the URL of one on
// which databases may be created.
const PostgresVariable = "SSOBRIDGE_TEST_POSTGRES"

// Postgres returns a maker of fresh, empty databases. Without the variable the test is skipped.
func Postgres(tb testing.TB) func(testing.TB) store.Options {
	tb.Helper()
	admin := os.Getenv(PostgresVariable)
	switch admin {
	case "":
		tb.Skipf("no PostgreSQL: set %s=start to start one (needs postgresql-15), or to the URL of one", PostgresVariable)
	case "start":
		admin = StartPostgres(tb)
	}
	return func(tb testing.TB) store.Options {
		tb.Helper()
		return store.Options{DSN: createDatabase(tb, admin, ""), Voucher: Voucher("key of the tests")}
	}
}

var databases atomic.Int64

// createDatabase makes a database that goes with the test: an empty one, or a copy of template, which nobody uses meanwhile.
func createDatabase(tb testing.TB, admin, template string) string {
	tb.Helper()
	name := fmt.Sprintf("ssobridge_test_%d_%d", os.Getpid(), databases.Add(1))
	run := func(statement string) error {
		db, err := sql.Open("pgx", admin)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		_, err = db.Exec(statement)
		return err
	}
	create := "CREATE DATABASE " + name
	if template != "" {
		create += " TEMPLATE " + template
	}
	if err := run(create); err != nil {
		tb.Fatalf("create test database: %v", err)
	}
	tb.Cleanup(func() {
		if err := run("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Errorf("drop test database: %v", err)
		}
	})
	u, err := url.Parse(admin)
	if err != nil {
		tb.Fatalf("%s: %v", PostgresVariable, err)
	}
	u.Path = "/" + name
	return u.String()
}

// StartPostgres starts a PostgreSQL server on a free loopback port, with data
// of its own, and returns the URL of its administrator. The server is stopped by
// its process id when the test ends. As root it runs as user postgres, since
// PostgreSQL refuses root. Its data are lost with the machine (fsync is off).
func StartPostgres(tb testing.TB) string {
	tb.Helper()
	return StartPostgresOn(tb, "127.0.0.1", "", "")
}

// StartPostgresOn is StartPostgres at any address of this machine. With the files of a certificate and its key the server speaks TLS.
// The URL names no encryption.
func StartPostgresOn(tb testing.TB, address, certificate, key string) string {
	tb.Helper()
	testkind.Starts(tb, "postgres")
	bin := postgresBin(tb)
	// Not tb.TempDir: its parents are closed to the user postgres.
	dir, err := os.MkdirTemp("", "ssobridge-postgres-")
	if err != nil {
		tb.Fatalf("folder for PostgreSQL: %v", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	const password = "only-on-loopback"
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte(password), 0o600); err != nil {
		tb.Fatal(err)
	}
	var as []string
	if os.Getuid() == 0 {
		as = []string{"runuser", "-u", "postgres", "--"}
		giveTo(tb, "postgres", dir, filepath.Join(dir, "pw"))
	}
	data := filepath.Join(dir, "data")
	command(tb, dir, append(as, filepath.Join(bin, "initdb"), "-D", data, "-U", "app", "-A", "scram-sha-256",
		"--pwfile="+filepath.Join(dir, "pw"), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")...)

	options := ""
	if certificate != "" {
		// Copies that the server's user may read, and nobody else: it refuses a key that others read.
		for name, from := range map[string]string{"server.crt": certificate, "server.key": key} {
			text, err := os.ReadFile(from)
			if err != nil {
				tb.Fatal(err)
			}
			to := filepath.Join(dir, name)
			if err := os.WriteFile(to, text, 0o600); err != nil {
				tb.Fatal(err)
			}
			if as != nil {
				giveTo(tb, "postgres", to)
			}
		}
		options = fmt.Sprintf(" -c ssl=on -c ssl_cert_file=%s/server.crt -c ssl_key_file=%s/server.key", dir, dir)
	}
	if address != "127.0.0.1" { // to which alone initdb opens it
		hba, err := os.OpenFile(filepath.Join(data, "pg_hba.conf"), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = fmt.Fprintf(hba, "host all all %s/32 scram-sha-256\n", address)
			err = errors.Join(err, hba.Close())
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	port := freePort(tb)
	start := append(as, filepath.Join(bin, "pg_ctl"), "-D", data, "-w", "-t", "30", "-l", filepath.Join(dir, "log"),
		"-o", fmt.Sprintf("-h %s -p %d -k %s -c fsync=off -c max_connections=200%s", address, port, dir, options), "start")
	command(tb, dir, start...)
	tb.Cleanup(func() { stopPostgres(tb, filepath.Join(data, "postmaster.pid")) })
	return fmt.Sprintf("postgres://app:%s@%s:%d/postgres?sslmode=disable", password, address, port)
}

// postgresBin finds the newest installed server's programs, which Debian keeps
// off the path.
func postgresBin(tb testing.TB) string {
	tb.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	tb.Fatalf("%s=start: no initdb found: install postgresql-15", PostgresVariable)
	return ""
}

func giveTo(tb testing.TB, name string, paths ...string) {
	tb.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		tb.Fatalf("user %s: %v", name, err)
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if uerr != nil || gerr != nil {
		tb.Fatalf("user %s has the ids %q and %q", name, u.Uid, u.Gid)
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			tb.Fatal(err)
		}
	}
}

func command(tb testing.TB, dir string, args ...string) {
	tb.Helper()
	testkind.Starts(tb, args[0])
	c := exec.Command(args[0], args[1:]...)
	c.Dir = dir // the caller's folder may be closed to the other user
	// Files, not pipes: the server keeps them open, and Run would wait for it.
	out, err := os.CreateTemp("", "ssobridge-command-")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = os.Remove(out.Name()); _ = out.Close() }()
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		tb.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// stopPostgres asks for a fast shutdown and waits until the pid file is gone.
func stopPostgres(tb testing.TB, pidFile string) {
	tb.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		tb.Errorf("stop PostgreSQL: %v", err)
		return
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		tb.Errorf("stop PostgreSQL: pid %q", first)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		tb.Errorf("stop PostgreSQL: %v", err)
		return
	}
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if _, err := os.Stat(pidFile); os.IsNotExist(err) {
			return
		}
		select {
		case <-look.C:
		case <-end.C:
			tb.Errorf("PostgreSQL (pid %d) did not stop", pid)
			return
		}
	}
}
