package cli

import (
	"context"
	"errors"
	"io"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// Console is the admin console; nil where nobody has a role in it.
func Console(p *server.App) *web.Console {
	if p.Config.ConsoleGroups().Empty() {
		return nil
	}
	return &web.Console{
		Store: p.Store, Budget: p.Budget, Provisioning: p.Provisioning, Provider: p.IdP, Directory: p.Directory,
		PublicURL: p.Config.Console.PublicURL, AllowFrom: p.Config.ConsoleNetworks(),
		EntityID: p.Config.EntityID, Contacts: p.Config.Contacts(),
		Preview: func(ctx context.Context, login, entityID string, account store.AccountID) (idp.AssertionPreview, []string, error) {
			return consolePreview(ctx, p, login, entityID, account)
		},
		Lockouts: p.Lockouts(), SessionIdle: p.Config.Sessions.Idle, Status: p.Status(), Keys: p.Keys(), Expiries: p.Expiries(), Providers: p.Providers(), MappingFiles: consoleMappings{p}, Settings: func() []admin.Setting { return settings(p) }, WebhookURL: webhookURL(p), Audit: p.Audit(),
	}
}

// settings is the effective configuration, key by key, with secrets masked.
func settings(p *server.App) []admin.Setting {
	var all []admin.Setting
	for _, s := range p.Config.Settings() {
		all = append(all, admin.Setting(s))
	}
	return all
}

// consolePreview is the preview command's.
func consolePreview(ctx context.Context, p *server.App, login, entityID string, account store.AccountID) (idp.AssertionPreview, []string, error) {
	x, err := PreviewAssertion(ctx, p, login, entityID, account)
	if command, ok := errors.AsType[*commandError](err); ok {
		if _, known := admin.AsError(err); !known {
			err = &admin.Error{Fault: command.Error(), Err: err}
		}
	}
	return x.AssertionPreview, x.Notes, err
}

// consoleMappings is the console's way to the functions of the mapping commands.
type consoleMappings struct{ *server.App }

// Spec looks up what a mapping names.
func (p consoleMappings) Spec(ctx context.Context, in web.MappingInput) (mapping.Spec, error) {
	return mappingSpec(ctx, p.App, mappingInput{
		Group: in.Group, GroupPattern: in.GroupPattern, GroupBase: in.GroupBase, AttributePattern: in.AttributePattern, Person: in.Person,
		Account: in.Account, Role: in.Role, Priority: in.Priority, Create: in.Create,
	})
}

// Base looks up the base of a pattern of group names.
func (p consoleMappings) Base(ctx context.Context, written string) (string, error) {
	return patternBase(ctx, p.App, written)
}

// Replaced lists the mappings whose group's DN belongs to another group now.
func (p consoleMappings) Replaced(ctx context.Context, list []store.Mapping) (map[int64]directory.Group, error) {
	return replacedGroups(ctx, p.App, list)
}

// AcceptGroup lets the group that has the DN of a mapping's group now take its place.
func (p consoleMappings) AcceptGroup(ctx context.Context, m store.Mapping, id, actor string) error {
	return AcceptMappingGroup(ctx, p.App, m, id, actor)
}

// Parse reads a whole set.
func (p consoleMappings) Parse(ctx context.Context, data []byte, actor string) ([]mapping.Spec, error) {
	return parseMappings(ctx, p.App, data, "the file", false, actor)
}

// Export writes the set that holds.
func (p consoleMappings) Export(ctx context.Context, w io.Writer) error {
	return exportMappings(ctx, p.App, w)
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
