package main

import "testing"

func TestMetric(t *testing.T) {
	const out = "goos: linux\nBenchmarkEncryptedResponse-2 \t 1500\t 3200000 ns/op\t 1.12 x-pure-RSA\t 60000 B/op\t 700 allocs/op\nPASS\n"
	if v, err := metric(out, "x-pure-RSA"); err != nil || v != 1.12 {
		t.Errorf("got %v, %v, want 1.12", v, err)
	}
	if v, err := metric(out, "signatures/s"); err == nil {
		t.Errorf("a unit that is not there: got %v, want an error", v)
	}
}

// TestMissing holds messages of the go command where something is not installed.
func TestMissing(t *testing.T) {
	for _, c := range []struct{ name, out, want string }{
		{"compiler", "# runtime/cgo\ncgo: C compiler \"gcc\" not found: exec: \"gcc\": executable file not found in $PATH\n", "a C compiler is missing (Debian: gcc): "},
		{"headers", "certs/openssl.go:7:10: fatal error: openssl/crypto.h: No such file or directory\n", "OpenSSL's headers or library are missing (Debian: libssl-dev): "},
		{"library", "/usr/bin/ld: cannot find -lcrypto: No such file or directory\n", "OpenSSL's headers or library are missing (Debian: libssl-dev): "},
		{"C library", "fatal error: stdlib.h: No such file or directory\n", "the C library's headers are missing (Debian: libc6-dev): "},
		{"something else", "certs/openssl.go:7: syntax error\n", ""},
	} {
		if got := missing(c.out); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
