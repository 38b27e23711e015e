package provisioning_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"ssobridge/provisioning"
	"ssobridge/store"
)

func TestReadKnownUsers(t *testing.T) {
	jane := provisioning.KnownUser{Line: 2, Login: "jane", Account: string(harbour), ExternalID: "x1", State: "active"}
	change := func(c func(*provisioning.KnownUser)) []provisioning.KnownUser {
		one := jane
		c(&one)
		return []provisioning.KnownUser{one}
	}
	for name, c := range map[string]struct {
		file string
		want []provisioning.KnownUser
	}{
		"plain":         {"login,account,external_id\njane," + string(harbour) + ",x1\n", []provisioning.KnownUser{jane}},
		"no line break": {"login,account,external_id\njane," + string(harbour) + ",x1", []provisioning.KnownUser{jane}},
		"spreadsheet": {"\xef\xbb\xbfLogin;Account;External_ID\r\njane;" + string(harbour) + ";x1\r\n;;\r\n",
			[]provisioning.KnownUser{jane}},
		"any order": {"external_id,login,account\nx1,jane," + string(harbour) + "\n", []provisioning.KnownUser{jane}},
		"quotes": {"\"login\",\"account\",\"external_id\"\n\"jane\",\"" + string(harbour) + "\",\"x,\"\"1\"\n",
			change(func(o *provisioning.KnownUser) { o.ExternalID = `x,"1` })},
		"spaces": {"login , account,external_id\n jane , " + string(harbour) + " ,x1\n", []provisioning.KnownUser{jane}},
		"all there is": {"person_id,login,account,external_id,login_name,role,state\np1,jane," + string(harbour) +
			",x1,l1,Owner,Assumed\n", []provisioning.KnownUser{{Line: 2, Person: "p1", Login: "jane", Account: string(harbour),
			ExternalID: "x1", LoginName: "l1", Role: "owner", State: "assumed"}}},
		"a guarded cell": {"login,account,external_id\njane," + string(harbour) + ",'=x1\n",
			change(func(o *provisioning.KnownUser) { o.ExternalID = "=x1" })},
		"an apostrophe": {"login,account,external_id\njane," + string(harbour) + ",'x1\n",
			change(func(o *provisioning.KnownUser) { o.ExternalID = "'x1" })},
		"of an export": {"login,account,external_id,first_name,updated_at\njane," + string(harbour) + ",x1,Jane,whenever\n",
			[]provisioning.KnownUser{jane}},
		"header alone": {"login,account\n", nil},
		"tabs":         {"login\taccount\texternal_id\njane\t" + string(harbour) + "\tx1\n", []provisioning.KnownUser{jane}},
		"Unicode text": {inUTF16("\ufefflogin\taccount\texternal_id\r\njane\t"+string(harbour)+"\tx1\r\n",
			binary.LittleEndian),
			[]provisioning.KnownUser{jane}},
		"UTF-16, big end first": {inUTF16("\ufefflogin;account;external_id\njane;"+string(harbour)+";Ü𝄞", binary.BigEndian),
			change(func(o *provisioning.KnownUser) { o.ExternalID = "Ü𝄞" })},
		"a line with the separator": {"sep=;\r\nlogin;account;external_id\r\njane;" + string(harbour) + ";x1\r\n",
			change(func(o *provisioning.KnownUser) { o.Line = 3 })},
		"empty columns behind": {"login,account,external_id,, \njane," + string(harbour) + ",x1,,\n,,,,\n",
			[]provisioning.KnownUser{jane}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := provisioning.ReadKnownUsers(strings.NewReader(c.file))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

// inUTF16 is a text as spreadsheets save "Unicode text".
func inUTF16(text string, order binary.AppendByteOrder) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

func TestReadKnownUsersRefusals(t *testing.T) {
	const h = string(harbour)
	for name, c := range map[string]struct {
		file   string
		fields []string
	}{
		"empty":             {"", []string{"file"}},
		"half UTF-16":       {"\xff\xfel\x00o", []string{"file"}},
		"half a pair":       {"\xff\xfel\x00\x34\xd8l\x00", []string{"file"}},
		"workbook":          {"PK\x03\x04login,account\n", []string{"file"}},
		"old workbook":      {"\xd0\xcf\x11\xe0\xa1\xb1", []string{"file"}},
		"program":           {"\x7fELF\x02\x00\x00\n", []string{"file"}},
		"column of no name": {"login,,account\njane,," + h + "\n", []string{"line 1, header"}},
		"cell of no column": {"login,account,\njane," + h + ",x\n", []string{"line 2, cell 3"}},
		"rounded number":    {"login,account,external_id\njane," + h + ",1.23457E+11\n", []string{"line 2, external_id"}},
		"rounded, comma": {"login;account;external_id\njane;" + h + ";1,23457E+11\n",
			[]string{"line 2, external_id"}},
		"behind a separator": {"sep=,\nlogin,account\njane\n", []string{"line 3, cells"}},
		"header behind it":   {"sep=,\nlogin,acount\njane,x\n", []string{"line 2, header"}},
		"quotes behind it":   {"sep=,\nlogin,\"ac\"count\n", []string{"line 2, quotes"}},
		"unknown column":     {"login,acount,external_id\njane," + h + ",x\n", []string{"line 1, header"}},
		"column twice":       {"login,account,Login\njane," + h + ",jane\n", []string{"line 1, header"}},
		"nobody":             {"login,account\n," + h + "\n", []string{"line 2, login"}},
		"no account":         {"login,account\njane,\n", []string{"line 2, account"}},
		"bad account":        {"login,account\njane,a/b\n", []string{"line 2, account"}},
		"bad external_id":    {"login,account,external_id\njane," + h + ", x\n", []string{"line 2, external_id"}},
		"long external_id": {"login,account,external_id\njane," + h + "," + strings.Repeat("x", 256) + "\n",
			[]string{"line 2, external_id"}},
		"control character": {"login,account\n\"ja\tne\"," + h + "\n", []string{"line 2, login"}},
		"NUL":               {"login,account\nja\x00ne," + h + "\n", []string{"line 2, login"}},
		"not UTF-8":         {"login,account\nja\xffne," + h + "\n", []string{"line 2, login"}},
		"long cell":         {"login,account\n" + strings.Repeat("j", 1001) + "," + h + "\n", []string{"line 2, login"}},
		"long login_name": {"login,account,login_name\njane," + h + "," + strings.Repeat("j", 300) + "\n",
			[]string{"line 2, login_name"}},
		"role":           {"login,account,role\njane," + h + ",admin\n", []string{"line 2, role"}},
		"state":          {"login,account,state\njane," + h + ",here\n", []string{"line 2, state"}},
		"too few cells":  {"login,account\njane\n", []string{"line 2, cells"}},
		"too many cells": {"login,account\njane," + h + ",x\n", []string{"line 2, cells"}},
		"open quote":     {"login,account\n\"jane," + h + "\n", []string{"line 2, quotes"}},
		"quote inside":   {"login,account\nja\"ne," + h + "\n", []string{"line 2, quotes"}},
		"several at once": {"login,account,role\n," + h + ",x\n\njane,a b,owner\n", []string{"line 2, login",
			"line 2, role", "line 4, account"}},
		"person twice": {"login,account\njane," + h + "\nJANE," + h + "\n", []string{"line 3, account"}},
		"external_id twice": {"login,account,external_id\njane," + h + ",x\nmary," + h + ",x\n",
			[]string{"line 3, external_id"}},
		"login_name twice": {"login,account,login_name\njane," + h + ",x\nmary," + h + ",x\n",
			[]string{"line 3, login_name"}},
		"good lines do not pass": {"login,account\njane," + h + "\nmary,\n", []string{"line 3, account"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := provisioning.ReadKnownUsers(strings.NewReader(c.file))
			if fields := faultFields(err); strings.Join(fields, "|") != strings.Join(c.fields, "|") {
				t.Errorf("faults: got %v (%v), want %v", fields, err, c.fields)
			}
			if got != nil {
				t.Errorf("got %+v beside the faults", got)
			}
		})
	}
	if _, err := provisioning.ReadKnownUsers(strings.NewReader("login,account\njane," + h + "\njane," + h +
		"\n")); err == nil ||
		!strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line told twice: got %v, want both lines named", err)
	}
	// Another person in the same account, and the same one in another, are no repetition.
	if got, err := provisioning.ReadKnownUsers(strings.NewReader("login,account\njane," + h + "\nmary," + h + "\njane," +
		string(juniper) + "\n")); err != nil || len(got) != 3 {
		t.Errorf("three users: got %d, %v", len(got), err)
	}
}

// A file is bounded in lines, bytes and faults.
func TestReadKnownUsersBounds(t *testing.T) {
	lines := func(n int, line string) io.Reader {
		return io.MultiReader(strings.NewReader("login,account\n"), strings.NewReader(strings.Repeat(line, n)))
	}
	var many strings.Builder
	many.WriteString("login,account\n")
	for i := range 200_000 {
		fmt.Fprintf(&many, "p%d,%s\n", i, harbour)
	}
	if got, err := provisioning.ReadKnownUsers(strings.NewReader(many.String())); err != nil || len(got) != 200_000 {
		t.Errorf("200,000 lines: got %d, %v", len(got), err)
	}
	fmt.Fprintf(&many, "one,%s\n", harbour)
	if _, err := provisioning.ReadKnownUsers(strings.NewReader(many.String())); strings.Join(faultFields(err),
		"|") != "file" {
		t.Errorf("200,001 lines: got %v, want a fault of the file", err)
	}
	_, err := provisioning.ReadKnownUsers(lines(500, ",\t,\n"))
	if got := faultFields(err); len(got) != 100 {
		t.Errorf("faults: got %d, want the first 100", len(got))
	}
	_, err = provisioning.ReadKnownUsers(io.MultiReader(strings.NewReader("login,account\n\""),
		strings.NewReader(strings.Repeat("x", 65<<20))))
	if got := faultFields(err); strings.Join(got, "|") != "file" {
		t.Errorf("65 MiB: got %v, want a fault of the file", err)
	}
	broken := errors.New("disk is gone")
	if _, err := provisioning.ReadKnownUsers(io.MultiReader(strings.NewReader("login,account\n"),
		failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzReadKnownUsers reads whatever: what is taken is well formed and read once, and there is either an error or a
// result.
func FuzzReadKnownUsers(f *testing.F) {
	f.Add("login,account\njane," + string(harbour) + "\n")
	f.Add("\xef\xbb\xbfperson_id;account;external_id;state\r\np1;a1;'=x;assumed\r\n")
	f.Add("login,account\n\"a\nb\",x\n")
	f.Fuzz(func(t *testing.T, file string) {
		all, err := provisioning.ReadKnownUsers(strings.NewReader(file))
		if err != nil && all != nil {
			t.Errorf("got %d users beside %v", len(all), err)
		}
		ids := map[string]bool{}
		for _, told := range all {
			if _, err := store.ParseAccountID(told.Account); err != nil {
				t.Errorf("account %q was taken", told.Account)
			}
			if told.Person == "" && told.Login == "" || told.Line < 2 || told.ExternalID != "" && ids[told.ExternalID] {
				t.Errorf("%+v was taken", told)
			}
			ids[told.ExternalID] = true
		}
	})
}

// Empty columns cost no more for being many.
func TestReadKnownUsersManyEmptyColumns(t *testing.T) {
	began := time.Now()
	got, err := provisioning.ReadKnownUsers(strings.NewReader("login,account" + strings.Repeat(",", 1<<17) + "\n"))
	if err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a header took %s", took)
	}
}
