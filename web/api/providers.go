package api

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"ssobridge/web/admin"
)

type serviceProvider struct {
	EntityID     string    `json:"entity_id" doc:"Its entity ID."`
	Name         string    `json:"name" doc:"As people read it."`
	Kind         string    `json:"kind" doc:"constant-contact, or another word for others."`
	State        string    `json:"state" doc:"Such as enabled, disabled or expired; more can be added."`
	Enabled      bool      `json:"enabled" doc:"People can sign in there."`
	ACS          []string  `json:"acs" doc:"Where Responses are posted."`
	NameIDFormat string    `json:"name_id_format" doc:"The format of NameIDs."`
	NameID       string    `json:"name_id" doc:"The template of NameIDs."`
	Attributes   []string  `json:"attributes" doc:"Names of the attributes that are released."`
	Groups       []string  `json:"groups" doc:"DNs of the groups that may use it."`
	Encryption   string    `json:"encryption,omitempty" doc:"Of assertions."`
	Signatures   string    `json:"request_signatures,omitempty" doc:"Of requests."`
	UpdatedAt    time.Time `json:"updated_at" doc:"When it was last changed."`
}

func providerOf(p admin.Provider) serviceProvider {
	out := serviceProvider{EntityID: p.EntityID, Name: p.Name, Kind: p.Kind, State: p.State, Enabled: p.Enabled,
		ACS: []string{}, NameIDFormat: p.NameIDFormat, NameID: p.NameID, Attributes: []string{},
		Groups: append([]string{}, p.Groups...), Encryption: p.Encryption, Signatures: p.RequestSignatures,
		UpdatedAt: p.UpdatedAt.UTC()}
	for _, e := range p.ACS {
		out.ACS = append(out.ACS, e.URL)
	}
	for _, a := range p.Attributes {
		out.Attributes = append(out.Attributes, a.Name)
	}
	return out
}

func providerOperations() []operation {
	const area = "Service providers"
	return []operation{
		serves(operation{
			id: "listProviders", method: http.MethodGet, path: "/providers", area: area, scope: admin.ProvidersRead,
			summary: "List service providers",
		}, func(c *call, _ none) (list[serviceProvider], error) {
			all, err := c.api.o.Providers.List(c.ctx, c.scope())
			out := list[serviceProvider]{Items: []serviceProvider{}}
			for _, p := range all {
				out.Items = append(out.Items, providerOf(p))
			}
			return out, err
		}),
		serves(operation{
			id: "getProvider", method: http.MethodGet, path: "/provider", area: area, scope: admin.ProvidersRead,
			summary: "Read a service provider", doc: "Its ETag is what a change names as If-Match.",
		}, func(c *call, in entityID) (serviceProvider, error) {
			p, err := c.api.o.Providers.Get(c.ctx, c.scope(), in.EntityID)
			if err != nil {
				return serviceProvider{}, err
			}
			return tagged(c, providerOf(p))
		}),
		serves(operation{
			id: "changeProvider", method: http.MethodPatch, path: "/provider", area: area, scope: admin.ProvidersWrite,
			edits: true, summary: "Change settings of a service provider",
			doc: "All of them or none. Names and values are those of the console and of `sp set`: NAME, and for lists NAME+ " +
				"and NAME-.",
		}, func(c *call, in struct {
			entityID
			Body settingsInput `body:"json"`
		}) (serviceProvider, error) {
			changes := make([]admin.Change, 0, len(in.Body.Settings))
			for _, s := range in.Body.Settings {
				changes = append(changes, admin.Change{Key: s.Name, Value: s.Value})
			}
			if _, err := c.api.o.Providers.SetIf(c.ctx, c.scope(), in.EntityID, c.asRead, changes, c.event()); err != nil {
				return serviceProvider{}, err
			}
			p, err := c.api.o.Providers.Get(c.ctx, c.scope(), in.EntityID)
			if err != nil {
				return serviceProvider{}, err
			}
			return tagged(c, providerOf(p))
		}),
		serves(operation{
			id: "deleteProvider", method: http.MethodDelete, path: "/provider", area: area, scope: admin.ProvidersWrite,
			edits: true, summary: "Remove a service provider", doc: "Nobody can sign in there by this bridge any more, at once.",
		}, func(c *call, in entityID) (none, error) {
			return none{}, c.api.o.Providers.RemoveIf(c.ctx, c.scope(), in.EntityID, c.asRead, c.event())
		}),
		serves(operation{
			id: "createProvider", method: http.MethodPost, path: "/providers", area: area, scope: admin.ProvidersWrite,
			keyed: true, act: "sp-add", status: http.StatusCreated, maxBody: maxMetadata,
			summary: "Register a service provider",
			doc: "By its metadata, by the address of it, or by entity_id and acs. dry_run=true says what would be registered, " +
				"with what will fail; its seen, given back, has the registration refused where something has changed meanwhile. " +
				"replace takes addresses and keys of one that is registered anew; its settings stay.",
		}, createProvider),
		serves(operation{
			id: "addConstantContact", method: http.MethodPost, path: "/providers/constant-contact", area: area,
			scope: admin.ProvidersWrite, keyed: true, act: "sp-add", status: http.StatusCreated,
			summary: "Register Constant Contact",
			doc: "By what it tells at set-up. What is left out is as its documents say. Users are created and provisioned for " +
				"this service provider alone.",
		}, addConstantContact),
		serves(operation{
			id: "getProviderReview", method: http.MethodGet, path: "/provider/review", area: area, scope: admin.ProvidersRead,
			summary: "Read the changes of a service provider's metadata that wait for approval",
		}, func(c *call, in entityID) (providerReview, error) {
			r, err := c.api.o.Providers.Review(c.ctx, c.scope(), in.EntityID)
			if err != nil {
				return providerReview{}, err
			}
			return providerReview{r.Seen, differencesOf(r.Changes), append([]string{}, r.Notes...)}, nil
		}),
		serves(operation{
			id: "approveProvider", method: http.MethodPost, path: "/provider/approve", area: area,
			scope: admin.ProvidersWrite, keyed: true, act: "sp-approve",
			summary: "Approve changes of a service provider's metadata", doc: "seen names the changes that were looked at.",
		}, func(c *call, in struct {
			entityID
			Body approvalInput `body:"json"`
		}) (serviceProvider, error) {
			if c.made == "" {
				if err := c.api.o.Providers.Approve(c.ctx, c.scope(), in.EntityID, in.Body.Seen, c.event()); err != nil {
					return serviceProvider{}, err
				}
			}
			p, err := c.api.o.Providers.Get(c.ctx, c.scope(), in.EntityID)
			if err != nil {
				return serviceProvider{}, err
			}
			return tagged(c, providerOf(p))
		}),
	}
}

type entityID struct {
	EntityID string `query:"entity_id" required:"true" maxlen:"1000" doc:"The service provider's entity ID."`
}

// asRead refuses a service provider that is not as its changer has read it.
func (c *call) asRead(p admin.Provider) error { return c.matches(providerOf(p)) }

type settingsInput struct {
	Settings []settingInput `json:"settings" maxitems:"100" doc:"What shall change."`
}

type settingInput struct {
	Name  string `json:"name" maxlen:"100" doc:"The setting's name, such as name or groups+."`
	Value string `json:"value,omitempty" maxlen:"20000" doc:"The value; left out: empty."`
}

// maxMetadata bounds the body of a registration, in which metadata stand as a text.
const maxMetadata = 2 << 20

type newProviderInput struct {
	Metadata     string         `json:"metadata,omitempty" maxlen:"1500000" doc:"The metadata document."`
	MetadataURL  string         `json:"metadata_url,omitempty" maxlen:"2000" doc:"Where the metadata is, by https; it is read again in the background."`
	Once         bool           `json:"once,omitempty" doc:"With metadata_url: do not read it again."`
	EntityID     string         `json:"entity_id,omitempty" maxlen:"1000" doc:"Which one, where the metadata describes several; or the one without metadata."`
	ACS          string         `json:"acs,omitempty" maxlen:"2000" doc:"Without metadata: where Responses are posted."`
	Name         string         `json:"name,omitempty" maxlen:"200" doc:"As people read it; left out: as the metadata says."`
	NameID       string         `json:"name_id,omitempty" maxlen:"500" doc:"The template of NameIDs."`
	NameIDFormat string         `json:"name_id_format,omitempty" maxlen:"200" doc:"The format of NameIDs."`
	Groups       []string       `json:"groups,omitempty" maxitems:"100" doc:"DNs of the groups that may use it."`
	Settings     []settingInput `json:"settings,omitempty" maxitems:"100" doc:"Any others, as a change takes them."`
	Requested    bool           `json:"release_requested,omitempty" doc:"Release the attributes that the metadata asks for, as far as they are known."`
	Replace      bool           `json:"replace,omitempty" doc:"Take addresses and keys of one that is registered anew."`
}

type providerDifference struct {
	Field string `json:"field" doc:"Such as acs or certificate."`
	Was   string `json:"was,omitempty" doc:"Left out: there was none."`
	Is    string `json:"is,omitempty" doc:"Left out: there is none."`
}

func differencesOf(all []admin.Difference) []providerDifference {
	out := []providerDifference{}
	for _, d := range all {
		out = append(out, providerDifference{d.Field, d.Was, d.Is})
	}
	return out
}

type providerResult struct {
	DryRun   bool                 `json:"dry_run,omitempty" doc:"Nothing was registered."`
	Provider serviceProvider      `json:"provider" doc:"As it is registered, or would be."`
	Changes  []providerDifference `json:"changes" doc:"Against what is registered, or all of it where nothing is."`
	Notes    []string             `json:"notes" doc:"What to look at."`
	Warnings []finding            `json:"warnings" doc:"What will fail, or could be better."`
	Seen     string               `json:"seen" doc:"Names what would be registered, for the registration after a dry run."`
}

type providerReview struct {
	Seen    string               `json:"seen" doc:"Names these changes, for the approval."`
	Changes []providerDifference `json:"changes" doc:"What the approval would change."`
	Notes   []string             `json:"notes" doc:"What to look at."`
}

type approvalInput struct {
	Seen string `json:"seen" maxlen:"200" doc:"The seen of the changes that were looked at."`
}

type constantContactInput struct {
	EntityID     string `json:"entity_id" maxlen:"1000" doc:"Its entity ID."`
	ACS          string `json:"acs,omitempty" maxlen:"2000" doc:"Where Responses are posted."`
	Environment  string `json:"environment,omitempty" maxlen:"32" doc:"Such as l1; it makes the RelayState of launches."`
	RelayState   string `json:"relay_state,omitempty" maxlen:"2000" doc:"Of launches, in place of the one that environment makes."`
	Audience     string `json:"audience,omitempty" maxlen:"1000" doc:"Left out: the entity ID."`
	NameIDFormat string `json:"name_id_format,omitempty" maxlen:"200" doc:"Left out: persistent."`
	Name         string `json:"name,omitempty" maxlen:"200" doc:"As people read it."`
	Holds        string `json:"holds_certificates,omitempty" enum:"one,two" doc:"How many of our certificates it holds at a time."`
}

func addConstantContact(c *call, in struct {
	Body constantContactInput `body:"json"`
}) (providerResult, error) {
	out := providerResult{Changes: []providerDifference{}, Notes: []string{}, Warnings: []finding{}}
	if c.made != "" { // by a process that has died since
		return c.registered(c.made, out)
	}
	b := in.Body
	sp, err := c.api.o.Providers.AddConstantContact(c.ctx, c.scope(), admin.ConstantContact{EntityID: b.EntityID,
		ACS: b.ACS, Environment: b.Environment, RelayState: b.RelayState, Audience: b.Audience,
		NameIDFormat: b.NameIDFormat, Name: b.Name, Holds: b.Holds}, false, c.event())
	if err != nil {
		return providerResult{}, err
	}
	return c.registered(sp.EntityID, out)
}

func createProvider(c *call, in struct {
	DryRun bool             `query:"dry_run" doc:"true: register nothing."`
	Seen   string           `query:"seen" maxlen:"200" doc:"The seen of a dry run: register nothing else than that."`
	Body   newProviderInput `body:"json"`
}) (providerResult, error) {
	if c.made != "" && !in.DryRun { // by a process that has died since
		return c.registered(c.made, providerResult{Changes: []providerDifference{}, Notes: []string{}, Warnings: []finding{}})
	}
	b := in.Body
	n := admin.NewProvider{Address: b.MetadataURL, Once: b.Once, EntityID: b.EntityID, ACS: b.ACS, Name: b.Name,
		NameID: b.NameID, NameIDFormat: b.NameIDFormat, Groups: b.Groups, ReleaseRequested: b.Requested, Replace: b.Replace}
	if b.Metadata != "" {
		n.Document = strings.NewReader(b.Metadata)
	}
	for _, s := range b.Settings {
		n.Settings = append(n.Settings, admin.Change{Key: s.Name, Value: s.Value})
	}
	im, err := c.api.o.Providers.Import(c.ctx, c.scope(), n)
	if e, refused := admin.AsError(err); refused {
		named := *e
		switch e.Field { // as this face calls them
		case "document":
			named.Field = "metadata"
		case "address":
			named.Field = "metadata_url"
		}
		return providerResult{}, &named
	}
	if err != nil {
		return providerResult{}, err
	}
	out := providerResult{DryRun: in.DryRun, Provider: providerOf(admin.Provider{ServiceProvider: im.Record}),
		Changes: differencesOf(im.Changes), Notes: append([]string{}, im.Notes...), Warnings: []finding{}, Seen: im.Seen}
	if im.Before == nil {
		out.Changes = differencesOf(im.Facts)
	}
	for _, f := range im.Warnings {
		out.Warnings = append(out.Warnings, finding{f.Name, f.Level.Word(), f.Detail,
			fixOf(&admin.Error{Hint: f.Hint, Act: f.Act, About: f.About})})
	}
	switch {
	case in.Seen != "" && in.Seen != im.Seen:
		p := bad(http.StatusPreconditionFailed, "changed", "what would be registered is not what was looked at",
			"look at it again with dry_run=true")
		p.Field = "seen"
		return providerResult{}, p
	case in.DryRun:
		c.status = http.StatusOK
		return out, nil
	}
	if err := c.api.o.Providers.Save(c.ctx, c.scope(), im, c.event()); err != nil {
		return providerResult{}, err
	}
	return c.registered(im.Record.EntityID, out)
}

// registered answers with a service provider as it is stored.
func (c *call) registered(entityID string, out providerResult) (providerResult, error) {
	p, err := c.api.o.Providers.Get(c.ctx, c.scope(), entityID)
	if err != nil {
		return providerResult{}, err
	}
	out.Provider, err = tagged(c, providerOf(p))
	c.header.Set("Location", Path+"/provider?entity_id="+url.QueryEscape(entityID))
	return out, err
}
