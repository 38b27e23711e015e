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
	return PostgresAt(admin)
}

// PostgresAt returns a maker of fresh, empty databases on the server with this administrator's URL.
func PostgresAt(admin string) func(testing.TB) store.Options {
	return func(tb testing.TB) store.Options {
		tb.Helper()
		return store.Options{DSN: createDatabase(tb, admin, ""), Voucher: Voucher("key of the tests")}
	}
}

var databases atomic.Int64

// createDatabase makes a database that goes with the test: an empty one, or a copy of template, which nobody uses
// meanwhile.
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

// StartPostgresOn is StartPostgres at any address of this machine. With the files of a certificate and its key the
// server speaks TLS. The URL names no encryption.
func StartPostgresOn(tb testing.TB, address, certificate, key string) string {
	tb.Helper()
	testkind.Starts(tb, "postgres")
	admin, stop, err := startPostgres(address, certificate, key)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Error(err)
		}
	})
	return admin
}

// SharedPostgres starts a server for all tests of a test binary, whose TestMain stops it at the end. It returns the URL
// of the administrator; tests make databases of their own by [PostgresAt].
func SharedPostgres() (admin string, stop func() error, err error) {
	return startPostgres("127.0.0.1", "", "")
}

func startPostgres(address, certificate, key string) (admin string, stop func() error, err error) {
	bin, err := postgresBin()
	if err != nil {
		return "", nil, err
	}
	// Not a test's own folder: its parents are closed to the user postgres.
	dir, err := os.MkdirTemp("", "ssobridge-postgres-")
	if err != nil {
		return "", nil, fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	const password = "only-on-loopback"
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte(password), 0o600); err != nil {
		return "", nil, err
	}
	var as []string
	if os.Getuid() == 0 {
		as = []string{"runuser", "-u", "postgres", "--"}
		if err := giveTo("postgres", dir, filepath.Join(dir, "pw")); err != nil {
			return "", nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if err := command(dir, append(as, filepath.Join(bin, "initdb"), "-D", data, "-U", "app", "-A", "scram-sha-256",
		"--pwfile="+filepath.Join(dir, "pw"), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")...); err != nil {
		return "", nil, err
	}

	options := ""
	if certificate != "" {
		if err := copyTLS(dir, certificate, key, as != nil); err != nil {
			return "", nil, err
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
			return "", nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	start := append(as, filepath.Join(bin, "pg_ctl"), "-D", data, "-w", "-t", "30", "-l", filepath.Join(dir, "log"),
		"-o", fmt.Sprintf("-h %s -p %d -k %s -c fsync=off -c max_connections=200%s", address, port, dir, options), "start")
	if err := command(dir, start...); err != nil {
		return "", nil, err
	}
	stop = func() error {
		return errors.Join(stopPostgres(filepath.Join(data, "postmaster.pid")), os.RemoveAll(dir))
	}
	return fmt.Sprintf("postgres://app:%s@%s:%d/postgres?sslmode=disable", password, address, port), stop, nil
}

// copyTLS makes copies that the server's user may read, and nobody else: it refuses a key that others read.
func copyTLS(dir, certificate, key string, give bool) error {
	for name, from := range map[string]string{"server.crt": certificate, "server.key": key} {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return err
		}
		if give {
			if err := giveTo("postgres", to); err != nil {
				return err
			}
		}
	}
	return nil
}

// postgresBin finds the newest installed server's programs, which Debian keeps
// off the path.
func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", fmt.Errorf("%s=start: no initdb found: install postgresql-15", PostgresVariable)
}

func giveTo(name string, paths ...string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if uerr != nil || gerr != nil {
		return fmt.Errorf("user %s has the ids %q and %q", name, u.Uid, u.Gid)
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func command(dir string, args ...string) error {
	if err := testkind.May(args[0]); err != nil {
		return err
	}
	c := exec.Command(args[0], args[1:]...)
	c.Dir = dir // the caller's folder may be closed to the other user
	// Files, not pipes: the server keeps them open, and Run would wait for it.
	out, err := os.CreateTemp("", "ssobridge-command-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()); _ = out.Close() }()
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said)
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// stopPostgres asks for a fast shutdown and waits until the pid file is gone.
func stopPostgres(pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("stop PostgreSQL: pid %q", first)
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if _, err := os.Stat(pidFile); os.IsNotExist(err) {
			return nil
		}
		select {
		case <-look.C:
		case <-end.C:
			return fmt.Errorf("PostgreSQL (pid %d) did not stop", pid)
		}
	}
}
