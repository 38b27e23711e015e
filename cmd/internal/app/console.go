package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web"
)

// factors says what is asked for beside the password.
func (c *Config) factors() idp.FactorOptions {
	return idp.FactorOptions{
		Console: idp.FactorPolicy(c.SecondFactor.Console), People: idp.FactorPolicy(c.SecondFactor.People),
		Class: c.SecondFactor.AuthnContext, Issuer: c.Branding.Name,
		ConfirmAfter: c.SecondFactor.ConfirmAfter, KeepOthers: !c.SecondFactor.EndOtherSessions,
	}
}

// consoleURL is where browsers reach the admin console, without its path.
func (c *Config) consoleURL() string { return cmp.Or(c.Console.PublicURL, c.PublicURL) }

// consoleGroups says who may use the console.
func (c *Config) consoleGroups() idp.ConsoleGroups {
	return idp.ConsoleGroups{Viewer: c.Console.ViewerGroup, Operator: c.Console.OperatorGroup, Admin: c.Console.AdminGroup}
}

// console is the admin console; nil where nobody has a role in it.
func (p *Parts) console() *web.Console {
	if p.Config.consoleGroups().Empty() {
		return nil
	}
	return &web.Console{
		Store: p.Store, Budget: p.Budget, Provisioning: p.Provisioning, Provider: p.IdP, Directory: p.Directory,
		PublicURL: p.Config.Console.PublicURL, AllowFrom: prefixes(p.Config.Console.AllowFrom),
		EntityID: p.Config.EntityID, Contacts: p.Config.contacts(), Preview: p.consolePreview, LiftLockout: p.LiftLockout, SessionIdle: p.Config.Sessions.Idle, Watch: consoleWatch{p}, Keyring: consoleKeys{p}, Providers: consoleProviders{p}, MappingFiles: consoleMappings{p}, Settings: p.settings, WebhookURL: p.webhookURL(), VerifyAudit: func(ctx context.Context) (store.Verified, error) { return p.verifyAudit(ctx, nil) }, PartnerFault: partnerFault, DirectoryFault: directoryFault,
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
	case map[string]time.Duration:
		all := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, name+"="+v[name].String())
		}
		return strings.Join(all, ", ")
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

// partnerFault says what Constant Contact answered and what to do; "" for another error.
func partnerFault(err error) string {
	var p *partnerapi.Error
	if !errors.As(err, &p) {
		return ""
	}
	return p.Error() + "; " + partnerMend(err)
}

// directoryFault says what the directory has against something; "" for another error.
func directoryFault(err error) string {
	var d *directory.Error
	switch {
	case !errors.As(err, &d):
		return ""
	case d.Problem == directory.Unavailable:
		return "the directory does not answer; try again later"
	}
	return "the directory says " + strings.ReplaceAll(string(d.Problem), "_", " ")
}

// contacts are whom our metadata names, in a line each.
func (c *Config) contacts() []string {
	var all []string
	p := c.published()
	for _, who := range []idp.Contact{p.Technical, p.Support} {
		if who.Mail != "" {
			all = append(all, strings.TrimSpace(who.Name+" <"+who.Mail+">"))
		}
	}
	return all
}

// consoleWatch is the console's way to the functions of check.
type consoleWatch struct{ *Parts }

// Expiries lists what ends, the next first.
func (p consoleWatch) Expiries(ctx context.Context) ([]web.Expiry, error) {
	list, err := p.Parts.Expiries(ctx)
	all := make([]web.Expiry, 0, len(list))
	for _, e := range list {
		all = append(all, web.Expiry{What: e.What, NotAfter: e.NotAfter, Days: e.Days, Due: e.Due, Message: e.Message})
	}
	return all, err
}

// Probe tries the directory's servers and the token of Constant Contact.
func (p consoleWatch) Probe(ctx context.Context) []web.Probe {
	var all []web.Probe
	for _, step := range p.Directory.Check(ctx) {
		probe := web.Probe{Name: "directory: " + step.Name, Detail: step.Detail, Mend: step.Mend}
		if step.Err != nil {
			probe.Fault = step.Err.Error()
		}
		all = append(all, probe)
	}
	token := web.Probe{Name: "Constant Contact: partner token", Detail: p.Config.ConstantContact.TokenURL}
	if _, err := p.Tokens.Token(ctx); err != nil {
		token.Fault, token.Mend = err.Error(), "compare token_url, partner_client_id and the partner secret with what Constant Contact gave"
	}
	api := web.Probe{Name: "Constant Contact: partner API", Detail: p.Config.ConstantContact.BaseURL}
	if state, err := p.Store.Breaker().State(ctx); err != nil {
		api.Fault = err.Error()
	} else if state.Cause != "" {
		api.Fault, api.Mend = breakerText(state.Cause), "calls are tried again by themselves at "+state.Until.UTC().Format("15:04 MST")
	}
	return append(all, token, api)
}

// consolePreview is the preview command's.
func (p *Parts) consolePreview(ctx context.Context, login, entityID string, account store.AccountID) (idp.AssertionPreview, []string, error) {
	x, err := p.PreviewAssertion(ctx, login, entityID, account)
	return x.AssertionPreview, x.Notes, err
}

// consoleMappings is the console's way to the functions of the mapping commands.
type consoleMappings struct{ *Parts }

// Spec looks up what a mapping names.
func (p consoleMappings) Spec(ctx context.Context, in web.MappingInput) (provisioning.MappingSpec, error) {
	return p.mappingSpec(ctx, mappingInput{
		Group: in.Group, GroupPattern: in.GroupPattern, GroupBase: in.GroupBase, AttributePattern: in.AttributePattern, Person: in.Person,
		Account: in.Account, Role: in.Role, Priority: in.Priority, Create: in.Create,
	})
}

// Base looks up the base of a pattern of group names.
func (p consoleMappings) Base(ctx context.Context, written string) (string, error) {
	return p.patternBase(ctx, written)
}

// Replaced lists the mappings whose group's DN belongs to another group now.
func (p consoleMappings) Replaced(ctx context.Context, list []store.Mapping) (map[int64]directory.Group, error) {
	return p.replacedGroups(ctx, list)
}

// AcceptGroup lets the group that has the DN of a mapping's group now take its place.
func (p consoleMappings) AcceptGroup(ctx context.Context, m store.Mapping, id, actor string) error {
	return p.AcceptMappingGroup(ctx, m, id, actor)
}

// Parse reads a whole set.
func (p consoleMappings) Parse(ctx context.Context, data []byte, actor string) ([]provisioning.MappingSpec, error) {
	return p.parseMappings(ctx, data, "the file", false, actor)
}

// Export writes the set that holds.
func (p consoleMappings) Export(ctx context.Context, w io.Writer) error {
	return p.exportMappings(ctx, w)
}

// Fault puts a refusal into a sentence.
func (consoleMappings) Fault(err error) string {
	var command *commandError
	if !errors.As(err, &command) {
		return ""
	}
	if command.hint != "" {
		return command.Error() + "; " + command.hint
	}
	return command.Error()
}
