package config

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with the configuration.
type Fault struct {
	Where string // "ssobridge.yaml:12", a variable's name, or "" for a configuration made in code
	Key   string // path of the key, such as directory.base_dn
	Text  string // what is wrong
	Fix   string // what to do
}

// String is the fault as one line.
func (f Fault) String() string {
	var b strings.Builder
	for _, part := range []string{f.Where, f.Key} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	b.WriteString(f.Text)
	if f.Fix != "" {
		b.WriteString("; " + f.Fix)
	}
	return b.String()
}

// Error carries all faults of a configuration at once.
type Error struct{ Faults []Fault }

// Error lists one fault on each line.
func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return "configuration: " + e.Faults[0].String()
	}
	lines := []string{fmt.Sprintf("configuration: %d faults", len(e.Faults))}
	for _, f := range e.Faults {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}

// origin remembers where each key of a configuration came from, so that a fault
// that is found later still names the line.
type origin struct {
	file  string         // as given on the command line; "" for a configuration made in code
	lines map[string]int // key path → line in file
	vars  map[string]string
}

// where tells the place of a key: the variable that set it, or its line, or the
// line of the section that it is missing in.
func (o *origin) where(key string) string {
	// A variable takes the place of all that the file has below its key.
	for above := key; above != ""; above = section(above) {
		if name, ok := o.vars[above]; ok {
			return name
		}
	}
	if o.file == "" {
		return ""
	}
	for ; key != ""; key = section(key) {
		if line, ok := o.lines[key]; ok {
			return fmt.Sprintf("%s:%d", o.file, line)
		}
	}
	return o.file
}

// section is the key of the section that a key stands in, "" at the top.
func section(key string) string { return key[:max(strings.LastIndexByte(key, '.'), 0)] }

// faults collects what is wrong with one configuration.
type faults struct {
	origin origin
	list   []Fault
	// sections that the file has in a way that can't be read: whatever else is wrong in them follows from this
	doubted []string
}

// unread notes a section that the file has, and whose keys are not known.
func (f *faults) unread(section string) { f.doubted = append(f.doubted, section) }

// follows tells whether a fault of a key is none of its own.
func (f *faults) follows(key string) bool {
	if f.origin.vars[key] != "" {
		return false
	}
	for above := section(key); ; above = section(above) {
		if slices.Contains(f.doubted, above) {
			return true
		}
		if above == "" {
			return false
		}
	}
}

func (f *faults) add(key, text, fix string) {
	if f.follows(key) {
		return
	}
	f.list = append(f.list, Fault{Where: f.origin.where(key), Key: key, Text: text, Fix: fix})
}

func (f *faults) addAt(line int, key, text, fix string) {
	where := f.origin.file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", where, line)
	}
	f.list = append(f.list, Fault{Where: where, Key: key, Text: text, Fix: fix})
}

// err returns nil, or all faults as one *Error.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &Error{Faults: f.list}
}
