package e2e_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// COST-21, COST-23: who makes RSA signatures is said alike by version, check, log and metrics: libcrypto where it is
// there, Go where the setting says so, and Go after a library that the dynamic linker was made to find makes wrong
// signatures. Then nobody's sign-in fails, the service provider verifies what it gets, and one audit event says what
// happened.
func TestSigner(t *testing.T) {
	t.Parallel()
	metrics := "127.0.0.1:" + freePort(t)
	// One of the directory's policies locks at three wrong passwords, which check compares.
	w := newWorld(t, setting{quick: true, set: map[string]string{"metrics.listen": metrics,
		"sign_in.login_failures": "2"}})
	signIn := func(t *testing.T, login, account, says string) {
		t.Helper()
		c := newClient(t)
		c.deliver(c.goOn(c.login(c.get(w.launch(account)), login, password))).says(says)
	}
	says := func(t *testing.T, what, text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", what, want, text)
			}
		}
	}
	figures := func() string { return newClient(t).get("http://" + metrics + "/metrics").status(http.StatusOK).Body }
	events := func(t *testing.T, want int) {
		t.Helper()
		if out := w.command(t, "audit", "list"); strings.Count(out, "libcrypto-failed") != want {
			t.Errorf("want %d audit events libcrypto-failed:\n%s", want, out)
		}
	}
	version := func() string {
		out, err := w.program(t.Context(), "version").CombinedOutput()
		if err != nil {
			t.Fatalf("version: %v\n%s", err, out)
		}
		return string(out)
	}

	t.Run("libcrypto", func(t *testing.T) {
		signIn(t, "bob", club, "Bob Brandt")
		says(t, "version", version(), "RSA signatures by OpenSSL 3.")
		says(t, "check", w.command(t, "check"), "RSA signatures: made by OpenSSL 3.", "libcrypto.so.3")
		says(t, "the log", w.out.String(), `"RSA signatures","by":"OpenSSL 3.`)
		says(t, "/metrics", figures(), `ssobridge_rsa_signer_info{signer="libcrypto",version="OpenSSL 3.`,
			"ssobridge_libcrypto_failed 0")
		events(t, 0)
	})
	t.Run("off", func(t *testing.T) {
		w.stop(t)
		w.env = []string{"SSOBRIDGE_SIGNING_LIBCRYPTO=off"}
		w.start(t)
		signIn(t, "bob", club, "Bob Brandt")
		says(t, "check", w.command(t, "check"), "RSA signatures: made by Go go1.", "switched off")
		says(t, "the log", w.out.String(), `"RSA signatures","by":"Go go1.`)
		says(t, "/metrics", figures(), `ssobridge_rsa_signer_info{signer="go",version="go1.`, "ssobridge_libcrypto_failed 0")
		events(t, 0)
	})
	t.Run("a library of somebody's own", func(t *testing.T) {
		w.stop(t)
		folder := t.TempDir()
		out, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-w", "-DFAULT=WRONG", `-DREAL=""`,
			"-o", filepath.Join(folder, "libcrypto.so.3"), "../../../certs/testdata/libcrypto.c", "-ldl").CombinedOutput()
		if err != nil {
			t.Fatalf("compile the library: %v\n%s", err, out)
		}
		w.env = []string{"LD_LIBRARY_PATH=" + folder}
		w.start(t)
		says(t, "version", version(), "RSA signatures by Stand-in")
		for range 2 {
			signIn(t, "bob", club, "Bob Brandt")
		}
		says(t, "the log", w.out.String(), "libcrypto failed and is not used until the next start")
		says(t, "/metrics", figures(), `ssobridge_rsa_signer_info{signer="go",version="go1.`, "ssobridge_libcrypto_failed 1")
		events(t, 1)
		// A process of its own, which finds the same.
		says(t, "check", w.command(t, "check"), "WARN  RSA signatures: made by Go go1.", "a signature of its is wrong",
			"signing.libcrypto")
		events(t, 2)
	})
	t.Run("another value", func(t *testing.T) {
		w.env = []string{"SSOBRIDGE_SIGNING_LIBCRYPTO=always"}
		out, err := w.tryCommand("check")
		if err == nil {
			t.Error("a setting that is unknown was taken")
		}
		says(t, "check", out, "signing.libcrypto", "write auto or off")
		w.env = nil
	})
}
