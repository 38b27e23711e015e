package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// stream is what govulncheck prints, in short: one vulnerability that is called in two ways, one that is imported,
// one in a part of a module that nothing uses.
const stream = `
{"config":{"protocol_version":"v1.0.0","scanner_name":"govulncheck","scan_level":"symbol"}}
{"progress":{"message":"Checking the code against the vulnerabilities..."}}
{"osv":{"id":"GO-2026-0001","summary":"Called one"}}
{"osv":{"id":"GO-2026-0002","summary":"Imported one"}}
{"osv":{"id":"GO-2026-0003","summary":"Required one"}}
{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[{"module":"example.test/m","version":"v1.2.3"}]}}
{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[
	{"module":"example.test/m","version":"v1.2.3","package":"example.test/m","function":"Bad","receiver":"*T"},
	{"module":"example.test/m","version":"v1.2.3","package":"example.test/m","function":"Between"},
	{"module":"ssobridge","package":"ssobridge/web","function":"serve"}]}}
{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[
	{"module":"example.test/m","version":"v1.2.3","package":"example.test/m","function":"Bad","receiver":"*T"},
	{"module":"ssobridge","package":"ssobridge/web","function":"serve"}]}}
{"finding":{"osv":"GO-2026-0002","trace":[{"module":"example.test/n","version":"v0.1.0","package":"example.test/n"}]}}
{"finding":{"osv":"GO-2026-0003","trace":[{"module":"example.test/o","version":"v0.1.0"}]}}
`

func parsed(t *testing.T) []finding {
	t.Helper()
	found, err := parse(strings.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestCalledFails: what is called is found by its shortest way, named, and fails the scan. ID-23
func TestCalledFails(t *testing.T) {
	found := parsed(t)
	var out bytes.Buffer
	if report(&out, found, judge(found, nil, today)) {
		t.Error("a called vulnerability passes")
	}
	for _, want := range []string{
		"CALLED: GO-2026-0001: Called one\n", "example.test/m v1.2.3, fixed in v1.2.4",
		"\n    ssobridge/web.serve → example.test/m.T.Bad\n", "2 in code that nothing calls: GO-2026-0002 GO-2026-0003",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

// TestExemptions: one that is needed and has not ended passes; each other kind fails the scan. ID-23
func TestExemptions(t *testing.T) {
	const id = "GO-2026-0001"
	for name, tc := range map[string]struct {
		list   []exemption
		now    time.Time
		passes bool
		says   string
	}{
		"needed": {[]exemption{{id, "not reached", "2027-03-31"}}, today, true, "exempted until 2027-03-31: " +
			id + ": not reached"},
		"its last day":     {[]exemption{{id, "not reached", "2026-11-29"}}, today, true, "exempted"},
		"the day after it": {[]exemption{{id, "not reached", "2026-11-28"}}, today, false, "expired on 2026-11-28"},
		"long after it":    {[]exemption{{id, "not reached", "2027-03-31"}}, today.AddDate(1, 0, 0), false, "expired"},
		"for ever":         {[]exemption{{id, "not reached", "2029-01-01"}}, today, false, "longer than a year"},
		"found nowhere": {[]exemption{{id, "x", "2027-03-31"}, {"GO-2026-0009", "x", "2027-03-31"}}, today, false,
			"GO-2026-0009 matches nothing"},
		"only imported": {[]exemption{{id, "x", "2027-03-31"}, {"GO-2026-0002", "x", "2027-03-31"}}, today, false,
			"GO-2026-0002 matches nothing"},
		"of another": {[]exemption{{"GO-2026-0009", "x", "2027-03-31"}}, today, false, "CALLED: " + id},
		"expired and unneeded": {[]exemption{{id, "x", "2027-03-31"}, {"GO-2026-0009", "x", "2026-01-01"}}, today, false,
			"matches nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			found := parsed(t)
			var out bytes.Buffer
			if ok := report(&out, found, judge(found, tc.list, tc.now)); ok != tc.passes {
				t.Errorf("passes: %v, want %v", ok, tc.passes)
			}
			if !strings.Contains(out.String(), tc.says) {
				t.Errorf("the report lacks %q:\n%s", tc.says, out.String())
			}
		})
	}
}

// TestExemptionFaults: all faults of a file are reported together, as bad input.
func TestExemptionFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string // nil: no fault
	}{
		"none":     {"", nil},
		"comments": {"# nothing is exempted\n", nil},
		"good":     {"- {id: GO-2026-0001, reason: not reached, expires: 2027-03-31}\n", nil},
		"several": {
			"- {id: CVE-2026-1, reason: ' ', expires: soon}\n- {id: GO-2026-0001, reason: x, expires: 2027-03-31}\n- {id: " +
				"GO-2026-0001, reason: x, expires: 2027-02-30}\n",
			[]string{`exemption 1 ("CVE-2026-1"): id is not`, "reason is missing", `exemption 1 ("CVE-2026-1"): expires is not`,
				"twice", `exemption 3 ("GO-2026-0001"): expires`},
		},
		"without an end": {"- {id: GO-2026-0001, reason: x}\n", []string{"expires is not a date"}},
		"unknown key":    {"- {id: GO-2026-0001, reason: x, expires: 2027-03-31, until: 2030-01-01}\n", []string{"until"}},
		"no list":        {"id: GO-2026-0001\n", []string{"cannot unmarshal"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "exemptions.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := readExemptions(file)
			var usage usageError
			if (err != nil) != (tc.want != nil) || err != nil && !errors.As(err, &usage) {
				t.Fatalf("readExemptions: %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

// TestOurExemptions: the project's own file can be read, and each reason is more than a word.
func TestOurExemptions(t *testing.T) {
	list, err := readExemptions("exemptions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if len(e.Reason) < 40 {
			t.Errorf("%s: %q is no reason that somebody could check", e.ID, e.Reason)
		}
	}
}

// TestStreamsThatSayNothing: a scan that broke off or did not look at functions is no good news.
func TestStreamsThatSayNothing(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"cut":            stream[:len(stream)/2],
		"only modules":   strings.Replace(stream, `"symbol"`, `"module"`, 1),
		"no trace":       `{"config":{"scan_level":"symbol"}} {"finding":{"osv":"GO-2026-0001"}}`,
		"something else": "govulncheck: loading packages: error",
	} {
		t.Run(name, func(t *testing.T) {
			if found, err := parse(strings.NewReader(text)); err == nil {
				t.Errorf("parsed as %d findings", len(found))
			}
		})
	}
}

// TestDatabase: versions are no paths; without the network the newest index that is whole is used, and said to be old.
func TestDatabase(t *testing.T) {
	for _, version := range []string{"../../etc", "v1/../..", "", "main"} {
		var usage usageError
		if err := run(t.Context(), []string{"-db", version, "-exemptions", "exemptions.yaml"}, today, io.Discard,
			io.Discard); !errors.As(err, &usage) {
			t.Errorf("-db %q: %v, want bad input", version, err)
		}
	}

	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "")
	tools := t.TempDir()
	if _, err := openDatabase(t.Context(), options{tools: tools, database: "latest"}, today, io.Discard); err == nil {
		t.Error("there is neither a network nor an index, and no error")
	}
	const old, newer, broken = "v0.0.0-20260101000000-aaaaaaaaaaaa", "v0.0.0-20261105234957-bbbbbbbbbbbb",
		"v0.0.0-20261201000000-cccccccccccc"
	for _, version := range []string{newer, old} {
		folder := filepath.Join(tools, "vulndb", version, "index")
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "db.json"), []byte("{}"),
			0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(tools, "vulndb", broken), 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	index, err := openDatabase(t.Context(), options{tools: tools, database: "latest"}, today, &out)
	if err != nil || filepath.Base(index) != newer || !strings.Contains(out.String(),
		"after 2026-11-05 is not looked for") {
		t.Errorf("index %s, %v:\n%s", index, err, out.String())
	}
	for version, warned := range map[string]bool{old: true, newer: false} {
		out.Reset()
		_, err := openDatabase(t.Context(), options{tools: tools, database: version}, today, &out)
		if err != nil || strings.Contains(out.String(), "days old") != warned {
			t.Errorf("%s: %v:\n%s\nwant a warning of its age: %v", version, err, out.String(), warned)
		}
	}
}

// TestIndexIsWholeOrNotThere: an indexer that fails leaves nothing that a later scan would take for a database.
func TestIndexIsWholeOrNotThere(t *testing.T) {
	tools := t.TempDir()
	indexdb := func(script string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(tools, "indexdb"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(tools, "vulndb", "v0.0.0-20261105234957-bbbbbbbbbbbb")
	indexdb("mkdir -p $4/index; echo half >$4/index/db.json; echo the disk is full >&2; exit 1\n")
	if err := makeIndex(context.Background(), tools, "data", index); err == nil || !strings.Contains(err.Error(),
		"the disk is full") {
		t.Errorf("makeIndex: %v, want what indexdb said", err)
	}
	if left, err := os.ReadDir(filepath.Dir(index)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	indexdb("mkdir -p $4/index; echo {} >$4/index/db.json\n")
	if err := makeIndex(context.Background(), tools, "data", index); err != nil {
		t.Fatal(err)
	}
	if have := indexed(filepath.Dir(index)); !slices.Equal(have, []string{filepath.Base(index)}) {
		t.Errorf("indexed: %v", have)
	}
}
