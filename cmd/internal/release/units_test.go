package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUnitsInPackages: each unit goes where systemd looks, and starts the program where packages have it.
func TestUnitsInPackages(t *testing.T) {
	var files []file
	for _, name := range units {
		data, err := os.ReadFile(filepath.Join("../../ssobridge", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{name: name, data: data})
	}
	var o options
	o.date = time.Unix(0, 0)
	staged, err := stage(o, files, filepath.Join(t.TempDir(), "staged"))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range staged {
		text, err := os.ReadFile(c.Source)
		if err != nil {
			t.Fatal(err)
		}
		if c.Destination != "/usr/lib/systemd/system/"+units[i] || strings.Contains(string(text), builtPath) {
			t.Errorf("%s goes to %s:\n%s", units[i], c.Destination, text)
		}
		starts := strings.Contains(string(text), "/usr/bin/ssobridge ")
		if strings.HasSuffix(units[i], ".service") != starts {
			t.Errorf("%s does not start the program of the package:\n%s", units[i], text)
		}
	}
	files[0].data = []byte("[Service]\nExecStart=/opt/ssobridge serve\n")
	if _, err := stage(options{}, files, filepath.Join(t.TempDir(), "staged")); err == nil {
		t.Error("a unit that starts another program is taken")
	}
}
