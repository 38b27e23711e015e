package main

import "testing"

func TestMetric(t *testing.T) {
	const out = "goos: linux\nBenchmarkEncryptedResponse-2 \t 1500\t 3200000 ns/op\t 1.12 x-pure-RSA\t 60000 B/op\t 700 " +
		"allocs/op\nPASS\n"
	if v, err := metric(out, "x-pure-RSA"); err != nil || v != 1.12 {
		t.Errorf("got %v, %v, want 1.12", v, err)
	}
	if v, err := metric(out, "signatures/s"); err == nil {
		t.Errorf("a unit that is not there: got %v, want an error", v)
	}
}
