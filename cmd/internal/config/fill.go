package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FillExample writes values into the example: a key's commented line becomes a line that counts.
func FillExample(values map[string]string) (string, error) { return Fill(example, values) }

// Fill writes values into the text of a configuration file and keeps its comments. A line with the key gets the new
// value. Else a commented line with the key becomes one that counts. Else a line is added to the key's section.
//
// What it has written is read again: a text in which another value than these would change, or one of these would be
// read as something else, is an error. Then the file has a form that only a person can edit.
func Fill(text string, values map[string]string) (string, error) {
	want, lines, err := readText(text)
	if err != nil {
		return "", err
	}
	filled := text
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field, ok := fieldByPath(&want, key)
		if !ok {
			return "", fmt.Errorf("there is no key %s", key)
		}
		if fault, fix := setScalar(field, values[key]); fault != "" {
			return "", fmt.Errorf("%s: %s; %s", key, fault, fix)
		}
		value, err := encodeValue(field, values[key])
		if err != nil {
			return "", fmt.Errorf("encode %s: %w", key, err)
		}
		if filled, err = fillLine(filled, lines, key, value); err != nil {
			return "", err
		}
		if _, lines, err = readText(filled); err != nil { // a fault of the new text, whose lines nobody has seen
			return "", fmt.Errorf("the file is written in a form in which %s can't be set safely", key)
		}
	}
	got, _, err := readText(filled)
	if err != nil {
		return "", err
	}
	var wrong string
	eachKey(reflect.ValueOf(&want).Elem(), "", func(path string, field reflect.Value) {
		if is, _ := fieldByPath(&got, path); wrong == "" && !sameValue(is, field) {
			wrong = path
		}
	})
	if wrong != "" {
		return "", fmt.Errorf("the file is written in a form that can't be changed safely: %s would be read as something else",
			wrong)
	}
	return filled, nil
}

// sameValue compares two values of a key. A list that is empty is like none where the file is concerned, but for those
// that mean another thing by nil, which Fill never writes.
func sameValue(a, b reflect.Value) bool {
	if (a.Kind() == reflect.Slice || a.Kind() == reflect.Map) && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// readText reads the text of a configuration file, and the lines of its keys. Faults of single keys don't matter here.
func readText(text string) (cfg Config, lines map[string]int, err error) {
	f := &faults{origin: origin{lines: map[string]int{}}}
	cfg = Defaults()
	if !readYAML([]byte(text), &cfg, f) {
		return cfg, nil, f.err()
	}
	return cfg, f.origin.lines, nil
}

// fillLine writes one value.
func fillLine(text string, keys map[string]int, key, value string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	name := key[strings.LastIndexByte(key, '.')+1:]
	if line, ok := keys[key]; ok {
		at := line - 1
		indent := indentOf(lines[at])
		lines = slices.Replace(lines, at, extent(lines, at), indent+name+": "+value+lineComment(lines[at])+"\n")
		return strings.Join(lines, ""), nil
	}
	if at, ok := commentedLine(lines, key); ok {
		lines[at] = indentOf(lines[at]) + name + ": " + value + "\n"
		return strings.Join(lines, ""), nil
	}
	// Not there at all: behind the line of the innermost section that is.
	rest, above := key, section(key)
	for above != "" && keys[above] == 0 {
		above = section(above)
	}
	at, indent := len(lines), ""
	if above != "" {
		rest = strings.TrimPrefix(key, above+".")
		at = keys[above]
		indent = inside(lines, keys, above)
	}
	var added []string
	parts := strings.Split(rest, ".")
	for i, part := range parts {
		line := indent + strings.Repeat("  ", i) + part + ":"
		if i == len(parts)-1 {
			line += " " + value
		}
		added = append(added, line+"\n")
	}
	return strings.Join(slices.Insert(lines, at, added...), ""), nil
}

// inside is what the lines of a section begin with: all of them have to begin alike.
func inside(lines []string, keys map[string]int, section string) string {
	first := 0
	for key, line := range keys {
		rest, ok := strings.CutPrefix(key, section+".")
		if ok && !strings.Contains(rest, ".") && (first == 0 || line < first) {
			first = line
		}
	}
	if first == 0 {
		return indentOf(lines[keys[section]-1]) + "  "
	}
	return indentOf(lines[first-1])
}

// lineComment is the comment behind the value on a line, with a blank before it.
func lineComment(line string) string {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(strings.TrimSpace(line)), &doc) != nil || len(doc.Content) == 0 {
		return "" // a value that goes on in the next line
	}
	for _, node := range doc.Content[0].Content {
		if node.LineComment != "" {
			return " " + node.LineComment
		}
	}
	return ""
}

// indentOf is what a line begins with.
func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " "))] }

// extent is the line behind the value of the key at a line: what is indented deeper belongs to it, and so do the
// entries of a list that stand as far left as the key.
func extent(lines []string, at int) int {
	own := len(indentOf(lines[at]))
	end := at + 1
	for end < len(lines) {
		body := strings.TrimSpace(lines[end])
		deep := len(indentOf(lines[end]))
		if body == "" || strings.HasPrefix(body, "#") || deep < own ||
			deep == own && body != "-" && !strings.HasPrefix(body, "- ") {
			break
		}
		end++
	}
	return end
}

// commentedLine finds the line of a key that is commented out. Sections are known by their indentation.
func commentedLine(lines []string, key string) (int, bool) {
	var path []string
	for i, line := range lines {
		body := strings.TrimSpace(line)
		commented := strings.HasPrefix(body, "#")
		name, _, isKey := strings.Cut(strings.TrimPrefix(body, "#"), ":")
		if !isKey || body == "" || strings.HasPrefix(body, "# ") {
			continue
		}
		path = append(path[:min(len(indentOf(line))/2, len(path))], name)
		if commented && strings.Join(path, ".") == key {
			return i, true
		}
	}
	return 0, false
}

// encodeValue writes a value as YAML, on one line.
func encodeValue(field reflect.Value, text string) (string, error) {
	var node yaml.Node
	switch field.Kind() {
	case reflect.Slice, reflect.Map:
		if err := node.Encode(field.Interface()); err != nil {
			return "", err
		}
		node.Style = yaml.FlowStyle
	case reflect.String:
		node = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
		if strings.ContainsAny(text, "\r\n") {
			node.Style = yaml.DoubleQuotedStyle
		}
	default:
		return strings.TrimSpace(text), nil
	}
	out, err := yaml.Marshal(&node)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
