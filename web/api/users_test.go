package api_test

import (
	"slices"
	"testing"

	"ssobridge/web/admin"
	"ssobridge/web/api"
)

// A file of users whose first faulty line stands behind many lines with a note is refused for that line.
func TestImportFaults(t *testing.T) {
	var a admin.Adoption
	line := func(fault, note string) {
		a.Items = append(a.Items, admin.AdoptionItem{Known: admin.KnownUser{Line: len(a.Items) + 2, Login: "x"}, Fault: fault,
			Note: note})
	}
	for range 150 {
		line("", "no mapping gives this person the client account")
	}
	line("nobody has this login", "")
	a.Faults = 1
	if fields, shown := api.ImportFaults(a); !slices.Equal(fields, []string{"line 152"}) || shown != 100 {
		t.Errorf("one fault: %q, %d lines shown", fields, shown)
	}
	for range 200 {
		line("nobody has this login", "")
	}
	a.Faults = 201
	if fields, _ := api.ImportFaults(a); len(fields) != 100 || fields[0] != "line 152" {
		t.Errorf("many faults: %d, %q first", len(fields), fields[0])
	}
}
