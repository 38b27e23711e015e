package config

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Setting is one key with the value in force.
type Setting struct {
	Key, Value string
	Source     string // "default", "file", a variable, or the file of a secret
}

// Settings is the effective configuration, key by key, with secrets masked.
func (c *Config) Settings() []Setting {
	var all []Setting
	eachKey(reflect.ValueOf(c).Elem(), "", func(path string, field reflect.Value) {
		all = append(all, Setting{Key: path, Value: settingText(field), Source: c.origin.source(path)})
	})
	return all
}

// settingText writes a value as the configuration file would hold it. A Secret
// masks itself; a DSN that came by a file has a password in it.
func settingText(field reflect.Value) string {
	switch v := field.Interface().(type) {
	case []string:
		return strings.Join(v, ", ")
	case time.Duration:
		return v.String()
	case map[string]time.Duration:
		all := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, name+"="+v[name].String())
		}
		return strings.Join(all, ", ")
	case map[string]Source:
		return strings.Join(slices.Sorted(maps.Keys(v)), ", ")
	case string:
		return maskedDSN(v)
	}
	return fmt.Sprint(field.Interface())
}

// maskedDSN hides the password of a database's address, and leaves other texts alone.
func maskedDSN(text string) string {
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "***"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	u.RawQuery = "" // may hold a password too
	return u.String()
}

// source tells where a key's value comes from: "default", "file", the variable, or
// the file of a secret.
func (o *origin) source(key string) string {
	if name, ok := o.vars[key]; ok {
		return name
	}
	if _, ok := o.lines[key]; ok {
		return "file"
	}
	if name, ok := o.vars[key+"_file"]; ok {
		return name
	}
	if _, ok := o.lines[key+"_file"]; ok {
		return filepath.Base(o.file) + ": " + key + "_file"
	}
	return "default"
}
