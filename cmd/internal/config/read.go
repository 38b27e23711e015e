package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ssobridge/internal/plaintext"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read: far above any real file, and below what could hurt.
const (
	maxConfigFile = 1 << 20
	maxSecretFile = 64 << 10
	maxCAFile     = 1 << 20
)

// Load reads a configuration file, lays the environment over it, reads the
// secrets' files and checks the whole. environ is in the form of os.Environ.
// Every fault found is in the returned *Error.
//
// The file is walked as a tree of nodes rather than decoded into the struct: only
// so do all faults come with their lines, and an unknown key with the name that
// was meant.
func Load(file string, environ []string) (Config, error) {
	f := &faults{origin: origin{file: file, lines: map[string]int{}, vars: map[string]string{}}}
	cfg := Defaults()
	data, err := ReadFile(file, maxConfigFile)
	if err != nil {
		fault := Fault{Where: file, Text: "can't be read: " + PlainCause(err), Fix: "name the file by --config"}
		switch {
		case errors.Is(err, fs.ErrPermission):
			fault.Fix = notReadable
		case errors.Is(err, fs.ErrNotExist):
			fault.Fix = "name the file by --config, or make one with `ssobridge setup` or `ssobridge init`"
		}
		f.list = append(f.list, fault)
		return cfg, f.err()
	}
	if !readYAML(data, &cfg, f) {
		// Nothing of the file is known: whatever else could be said, such as that a key is missing, would be wrong.
		return cfg, f.err()
	}
	readEnvironment(environ, &cfg, f)
	ResolvePaths(&cfg, filepath.Dir(file))
	readSecrets(&cfg, f)
	checkConfig(&cfg, f)
	cfg.origin = f.origin
	return cfg, f.err()
}

// notReadable is what to do about a file that is there and may not be read by whoever runs the program.
const notReadable = "run the command as the bridge's user, such as sudo -u ssobridge ssobridge check; the file has to be " +
	"readable for that user, and the folders above it passable"

// readYAML lays the file's keys over cfg. It returns false where the text is no YAML.
func readYAML(data []byte, cfg *Config, f *faults) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return true // an empty file: what is required is missing, which the check says
	}
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			f.addAt(second.Line, "", "a second document follows", "keep one document in the file: remove the line ---")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		f.addAt(0, "", strings.TrimPrefix(err.Error(), "yaml: "), syntaxFix(string(data)))
		return false
	}
	if len(doc.Content) == 1 {
		readStruct(doc.Content[0], reflect.ValueOf(cfg).Elem(), "", f)
	}
	return true
}

// renamed are keys and sections that were called otherwise.
var renamed = map[string]string{
	"readings": "directory_cache", "readings.fresh": "directory_cache.ttl", "readings.stale": "directory_cache.max_stale",
}

// readStruct reads the keys of one section.
func readStruct(node *yaml.Node, v reflect.Value, path string, f *faults) {
	node = resolveAlias(node)
	if node.Tag == "!!null" {
		return // a section whose keys are all commented out
	}
	if node.Kind != yaml.MappingNode {
		f.addAt(node.Line, path, "want a section with keys, got "+kindName(node),
			"write one key: value on each line below it")
		f.unread(path)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		full := join(path, key.Value)
		if line, twice := seen[key.Value]; twice {
			f.addAt(key.Line, full, fmt.Sprintf("stands twice, first on line %d", line), "keep one of the two")
			continue
		}
		seen[key.Value] = key.Line
		field, ok := fieldByKey(v, key.Value)
		if now, was := renamed[full]; was && !ok {
			f.addAt(key.Line, full, "is called "+now+" now",
				"write the new name, and look up what its keys are called in docs/configuration.md")
			continue
		}
		if !ok {
			meant, hint := nearest(full)
			if r, odd := oddRune(key.Value); odd {
				hint = "type the key anew: it has " + runeName(r)
			} else if key.Value == "<<" {
				hint = "keys are not merged from elsewhere: write them out here"
			}
			f.addAt(key.Line, full, "unknown key", hint)
			if meant != "" && !slices.Contains(Paths(), meant) { // a section, with all that stands in it
				f.unread(meant)
			}
			continue
		}
		f.origin.lines[full] = key.Line
		readValue(value, field, full, f)
	}
}

// readValue reads one key's value into its field.
func readValue(node *yaml.Node, field reflect.Value, path string, f *faults) {
	node = resolveAlias(node)
	switch {
	case field.Type() == reflect.TypeFor[Secret]():
		f.addAt(node.Line, path, "a secret does not belong into the configuration file",
			fmt.Sprintf("write it into a file of its own and name that by %s_file, or set %s", path, variable(path)))
	case field.Kind() == reflect.Struct:
		readStruct(node, field, path, f)
	case node.Tag == "!!null":
		f.addAt(node.Line, path, "has no value", "give it one, or remove the line to use the default")
	case field.Kind() == reflect.Slice:
		if node.Kind != yaml.SequenceNode {
			f.addAt(node.Line, path, "want a list, got "+kindName(node), "write it as ["+node.Value+"]")
			return
		}
		var list []string
		for _, item := range node.Content {
			item = resolveAlias(item)
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				f.addAt(item.Line, path, "want a list of texts, got "+kindName(item)+" in it", "write each entry as plain text")
				return
			}
			if text, fix := oddText(path, item.Value); text != "" {
				f.addAt(item.Line, path, text, fix)
				return
			}
			list = append(list, strings.Trim(item.Value, blanks))
		}
		field.Set(reflect.ValueOf(list))
	case field.Type() == reflect.TypeFor[map[string]time.Duration]():
		readTimes(node, field, path, f)
	case field.Type() == reflect.TypeFor[map[string]Source]():
		readSources(node, field, path, f)
	case node.Kind != yaml.ScalarNode:
		f.addAt(node.Line, path, "want one value, got "+kindName(node), "write it on the key's line")
	default:
		text, fix := oddText(path, node.Value)
		if text == "" {
			text, fix = setScalar(field, strings.Trim(node.Value, blanks))
		}
		if text != "" {
			f.addAt(node.Line, path, text, fix)
		}
	}
}

// readTimes reads a section whose keys are free and whose values are times.
func readTimes(node *yaml.Node, field reflect.Value, path string, f *faults) {
	if node.Kind != yaml.MappingNode {
		f.addAt(node.Line, path, "want a section with names and times, got "+kindName(node),
			"write one name: time on each line below it")
		return
	}
	times := map[string]time.Duration{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], resolveAlias(node.Content[i+1])
		full := join(path, key.Value)
		if _, twice := times[key.Value]; twice {
			f.addAt(key.Line, full, "stands twice", "keep one of the two")
			continue
		}
		f.origin.lines[full] = key.Line
		d, err := time.ParseDuration(value.Value)
		if value.Kind != yaml.ScalarNode || err != nil {
			f.addAt(value.Line, full, kindName(value)+" is not a time", timeFix)
		}
		times[key.Value] = d
	}
	field.Set(reflect.ValueOf(times))
}

const timeFix = "write a number with a unit: 90s, 15m, 10h"

// setScalar sets a field from text, or says what is wrong with the text.
func setScalar(field reflect.Value, text string) (fault, fix string) {
	if field.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Sprintf("%s is not a time", plaintext.Quote(text)), timeFix
		}
		field.SetInt(int64(d))
		return "", ""
	}
	if field.Type() == reflect.TypeFor[map[string]time.Duration]() {
		times := map[string]time.Duration{}
		if flow := strings.TrimSpace(text); strings.HasPrefix(flow, "{") && strings.HasSuffix(flow, "}") { // as in the file
			text = strings.ReplaceAll(flow[1:len(flow)-1], ":", "=")
		}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			name, value, _ := strings.Cut(item, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			d, err := time.ParseDuration(value)
			if _, twice := times[name]; err != nil || name == "" || twice {
				return fmt.Sprintf("%s is not a name and its time, each name once", plaintext.Quote(item)),
					"write NAME=TIME with commas between, such as default=26280h,sign-in=8760h"
			}
			times[name] = d
		}
		field.Set(reflect.ValueOf(times))
		return "", ""
	}
	if field.Type() == reflect.TypeFor[map[string]Source]() {
		return "sources can't be written on one line", "write them into the configuration file"
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		switch strings.ToLower(text) { // YAML has True and TRUE, too
		case "true", "false":
		default:
			return fmt.Sprintf("%s is neither true nor false", plaintext.Quote(text)), "write true or false"
		}
		field.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Sprintf("%s is not a whole number", plaintext.Quote(text)), "write digits only"
		}
		field.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n != n || n > 1e9 || n < -1e9 {
			return fmt.Sprintf("%s is not a number", plaintext.Quote(text)), "write a number such as 4 or 0.2"
		}
		field.SetFloat(n)
	case reflect.Slice:
		var list []string
		if flow := strings.TrimSpace(text); strings.HasPrefix(flow, "[") { // as in the file
			if err := yaml.Unmarshal([]byte(flow), &list); err != nil {
				return fmt.Sprintf("%s is not a list of texts", plaintext.Quote(text)), "write [ONE, TWO], or ONE,TWO"
			}
		} else {
			for item := range strings.SplitSeq(text, ",") {
				if item = strings.Trim(item, blanks); item != "" {
					list = append(list, item)
				}
			}
		}
		for i, item := range list {
			if fault, fix := Odd(item); fault != "" {
				return fault, fix
			}
			list[i] = strings.Trim(item, blanks)
		}
		field.Set(reflect.ValueOf(list))
	}
	return "", ""
}

func resolveAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return plaintext.Quote(n.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fieldByKey finds the field of a section by its YAML key.
func fieldByKey(section reflect.Value, key string) (reflect.Value, bool) {
	for i := range section.NumField() {
		if section.Type().Field(i).Tag.Get("yaml") == key {
			return section.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// eachKey calls do with the path and field of every key that is not a section, in order.
func eachKey(section reflect.Value, path string, do func(path string, field reflect.Value)) {
	for i := range section.NumField() {
		if !section.Type().Field(i).IsExported() {
			continue
		}
		full := join(path, section.Type().Field(i).Tag.Get("yaml"))
		if field := section.Field(i); field.Kind() == reflect.Struct {
			eachKey(field, full, do)
		} else {
			do(full, field)
		}
	}
}

// Paths lists the paths of all keys in the order of the configuration.
func Paths() []string {
	var keys []string
	eachKey(reflect.ValueOf(&Config{}).Elem(), "", func(path string, _ reflect.Value) { keys = append(keys, path) })
	return keys
}

// nearest says which key was probably meant; meant is "" where none is near.
func nearest(wrong string) (meant, hint string) {
	last := func(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }
	all := Paths()
	for _, key := range slices.Clone(all) { // sections can be mistyped too
		for dot := strings.LastIndexByte(key, '.'); dot > 0; dot = strings.LastIndexByte(key[:dot], '.') {
			if !slices.Contains(all, key[:dot]) {
				all = append(all, key[:dot])
			}
		}
	}
	best, distance := "", 1+len(last(wrong))/3
	for _, key := range all {
		if last(key) == last(wrong) {
			return "", "it belongs elsewhere: " + key
		}
		if d := editDistance(wrong, key); d <= distance {
			best, distance = key, d-1
		}
	}
	if best == "" {
		return "", "remove it; docs/configuration.md lists every key"
	}
	return best, "did you mean " + best + "?"
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// ReadFile reads a file of at most limit bytes.
func ReadFile(file string, limit int64) ([]byte, error) {
	// Opening a pipe would wait for whoever writes into it, without an end.
	r, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err == nil && info.IsDir() {
		return nil, errors.New("it is a folder")
	}
	var data []byte
	if err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		data, err = readPipe(r, limit)
	} else {
		data, err = io.ReadAll(io.LimitReader(r, limit+1))
	}
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, nil
}

// pipePatience is how long somebody may take to write into a pipe that is read in the place of a file.
const pipePatience = 5 * time.Second

// readPipe reads what is written into a pipe, up to its end. Its writer may not be there yet. On a reload it may not
// come any more: what a pipe has held is gone once it was read.
func readPipe(r *os.File, limit int64) ([]byte, error) {
	end := time.Now().Add(pipePatience)
	_ = r.SetReadDeadline(end) // where the system can't, the loop still ends
	for {
		data, err := io.ReadAll(io.LimitReader(r, limit+1))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || err == nil && len(data) == 0 && time.Now().After(end):
			return nil, fmt.Errorf("it is a pipe into which nobody wrote for %s; a file can be read again, for a reload too",
				FormatDuration(pipePatience))
		case err != nil || len(data) > 0:
			return data, err
		}
		time.Sleep(20 * time.Millisecond) // nobody has it open for writing
	}
}

// PlainCause takes the operation and path off a file error: the message names them already.
func PlainCause(err error) string {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}
