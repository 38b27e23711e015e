package cli_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ssobridge/cmd/internal/cli"
)

// jsonKey is how a field of JSON is named.
var jsonKey = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// jsonCommand runs a command with --json and parses what it prints: json [N|empty] ssobridge … --json. N is the exit
// code; empty: it is a list without entries. Standard output is one object, or an object a line; an error is the last
// line of standard error.
func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || !slices.Contains(args, "--json") {
		ts.Fatalf("usage: json [N|empty] command … --json")
	}
	code := "0"
	if len(args[0]) == 1 || args[0] == "empty" {
		code, args = args[0], args[1:]
	}
	exit := code
	if code == "empty" {
		exit = "0"
	}
	codeCommand(ts, false, append([]string{exit}, args...))
	out := ts.ReadFile("stdout")
	objects := jsonObjects(ts, out)
	switch {
	case len(objects) == 0 && (code == "0" || code == "3"):
		ts.Fatalf("nothing was printed")
	case len(objects) > 0 && code == "empty":
		ts.Fatalf("the list has entries")
	case len(objects) > 1 && len(objects) != strings.Count(out, "\n"):
		ts.Fatalf("the objects of a list do not stand one a line")
	}
	if code != "1" && code != "2" {
		return
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stderr")), "\n")
	var said struct {
		Error struct{ Field, Fault, Fix string }
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &said); err != nil || said.Error.Fault == "" {
		ts.Fatalf("the last line of standard error is no error as JSON: %v", err)
	}
}

// jsonObjects parses everything that was printed.
func jsonObjects(ts *testscript.TestScript, text string) (objects []map[string]json.RawMessage) {
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var one map[string]json.RawMessage
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil || one == nil {
			ts.Fatalf("standard output is no JSON object: %v", err)
		}
		for key := range one {
			if !jsonKey.MatchString(key) {
				ts.Fatalf("the field %q is not in lower case with underscores", key)
			}
		}
		objects = append(objects, one)
	}
}

// withoutJSON are the commands that do not take --json, each with the reason.
var withoutJSON = map[string]string{
	"serve":          "it runs until it is stopped; log.format says how its log is written",
	"mapping export": "it writes a file of its own format, which mapping plan and apply read",
	"users export":   "it has --format jsonl",
	"audit export":   "it has --format jsonl",
}

// elsewhere are the commands whose JSON no script can have, each with the test that runs it.
var elsewhere = map[string]string{
	"audit acknowledge": "the e2e tests, which have a second factor",
}

// TestEveryCommandTakesJSON walks the command line: a command takes --json, or stands in withoutJSON; one that takes it
// is run with it by a script, which parses what it prints (SET-10).
func TestEveryCommandTakesJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts: %v, %v", files, err)
	}
	run := regexp.MustCompile(`(?m)^json (?:(?:[0-3]|empty) )?ssobridge (.*--json.*)$`)
	var runs []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range run.FindAllStringSubmatch(string(text), -1) {
			runs = append(runs, found[1]+" ")
		}
	}
	commands := cli.Commands()
	if len(commands) < 90 {
		t.Fatalf("only %d commands", len(commands))
	}
	for command, takes := range commands {
		_, excused := withoutJSON[command]
		_, other := elsewhere[command]
		is := slices.ContainsFunc(runs, func(r string) bool { return strings.HasPrefix(r, command+" ") })
		switch {
		case takes && excused:
			t.Errorf("%s takes --json: strike it from withoutJSON", command)
		case !takes && !excused:
			t.Errorf("%s does not take --json", command)
		case takes && !is && !other:
			t.Errorf("no script runs %s --json", command)
		case is && other:
			t.Errorf("a script runs %s --json: strike it from elsewhere", command)
		}
	}
	for _, list := range []map[string]string{withoutJSON, elsewhere} {
		for command := range list {
			if _, ok := commands[command]; !ok {
				t.Errorf("there is no command %s", command)
			}
		}
	}
}
