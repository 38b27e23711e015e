package app

import (
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/web"
)

func (c *Config) consoleGroups() idp.ConsoleGroups {
	return idp.ConsoleGroups{Viewer: c.Console.ViewerGroup, Operator: c.Console.OperatorGroup, Admin: c.Console.AdminGroup}
}

// console is the admin console; nil where nobody has a role in it.
func (p *Parts) console() *web.Console {
	if p.Config.consoleGroups().Empty() {
		return nil
	}
	return &web.Console{
		Store: p.Store, Provisioning: p.Provisioning, Provider: p.IdP, Directory: p.Directory,
		Settings: p.settings,
	}
}

// settings is the effective configuration, key by key, with secrets masked.
func (p *Parts) settings() []web.Setting {
	var all []web.Setting
	eachKey(reflect.ValueOf(&p.Config).Elem(), "", func(path string, field reflect.Value) {
		all = append(all, web.Setting{Key: path, Value: settingText(field), Source: p.Config.origin.source(path)})
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
