package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// actPaths says on which page an administrator does each act; "" where it is not done in the console. Its text is
// act.ACT.
var actPaths = map[admin.Act]func(about string) string{
	admin.TryLater:  nowhere,
	admin.LookAgain: nowhere,
	admin.RunCheck:  at(web.ConsoleHome),

	admin.MakeBackup: nowhere,

	admin.SeeSettings: at("/admin/settings"), admin.ShowRefusals: at(tracePath + "/refusals"),
	admin.ShowQueue: at(provisioningPath),

	admin.ListKeys: at(keysPath), admin.MakeFirstKey: at(keysPath), admin.RollOverKey: at(keysPath),
	admin.PromoteOther:  at(keysPath),
	admin.ConfirmLoaded: nowhere, admin.AgreeOnTime: nowhere, admin.ChooseLabel: nowhere,
	admin.ConfigureToken: at("/admin/settings"), admin.MakeMetadataKey: nowhere, admin.SayForWhom: nowhere,
	admin.NameKey: at(keysPath),

	admin.ListProviders: at(providersPath), admin.AddConstantContact: at(providersPath + "/new"),
	admin.AddProvider: at(providersPath + "/new"), admin.SetProvider: onProvider,
	admin.GiveMetadata:    at(providersPath + "/metadata"),
	admin.ReplaceProvider: onImport, admin.ImportAgain: onImport,
	admin.NameEntity:    nowhere,
	admin.MeantProvider: onProvider, admin.PreviewAssertion: at(peoplePath), admin.RemoveProvider: onProvider,
	admin.ShowProvider: onProvider, admin.ReviewProvider: onProvider, admin.RefreshProvider: onProvider,
	admin.ListSettings: nowhere, admin.SafeNameID: onProvider, admin.StopEncryption: onProvider,
	admin.IgnoreEnd: nowhere, admin.StartEncryption: nowhere, admin.AllowCBC: nowhere, admin.AddCertificate: nowhere,
	admin.ReleaseRequested: nowhere,

	admin.ListNotices: at(noticesPath), admin.ListDeliveries: onSubscription,

	admin.ListLockouts: at(lockoutsPath), admin.InviteAnew: nowhere, admin.CaptureAssertions: at(peoplePath),
	admin.AuditOfReference:  func(ref string) string { return "/admin/audit?ref=" + url.QueryEscape(ref) },
	admin.ListConsoleGroups: at(namedPath),
	admin.ListSecrets:       nowhere, admin.RotateSecrets: nowhere, admin.VoidSecret: nowhere,
	admin.ListTokens:  at(tokensPath),
	admin.RotateToken: func(id string) string { return tokenPath(id, "rotate") },

	admin.ListPlans: at(provisioningPath), admin.PausePlan: at(provisioningPath), admin.ReadAudit: at("/admin/audit"),
	admin.ResumeProvisioning: at(provisioningPath),
	admin.ShowPlan:           func(id string) string { return provisioningPath + "/plans/" + url.PathEscape(id) },
	admin.WaitForPlan:        func(id string) string { return provisioningPath + "/plans/" + url.PathEscape(id) },
	admin.ListUsers:          at(provisioningPath + "/users"),
	admin.ListUsersIn: func(state string) string {
		return provisioningPath + "/users?state=" + url.QueryEscape(state)
	},
	admin.ShowProvisioning: at(provisioningPath),
	admin.ListTasks: func(kind string) string {
		if kind == "" {
			return provisioningPath + "/work"
		}
		return provisioningPath + "/work?kind=" + url.QueryEscape(kind)
	},
	admin.NamePersonByID: at("/admin/audit"), admin.ConfirmDeleted: nowhere, admin.RetryRequest: at("/admin/accounts"),

	admin.ExplainPerson: onPerson(peoplePath), admin.ShowUser: onPerson(provisioningPath + "/users"),
	admin.ListFactors:    onPerson(peoplePath),
	admin.InviteToFactor: onPerson(peoplePath), admin.ReleaseNameID: at(providersPath),
	admin.PlanUsers:  at(provisioningPath),
	admin.AdoptUsers: at(provisioningPath), admin.ListAccounts: at("/admin/accounts"),
	admin.ListSelfOrders: at("/admin/accounts/orders"),

	admin.RefreshAccounts: at("/admin/accounts"), admin.NameOrdered: at("/admin/accounts"), admin.ConfirmByID: nowhere,

	admin.ListMappings: at(mappingsPath), admin.AddMapping: at(mappingsPath + "/new"),
	admin.ShowMappingHistory: at(mappingsPath + "/history"),
	admin.RemoveMapping:      func(id string) string { return mappingsPath + "/of/" + url.PathEscape(id) },
	admin.GiveGroupBase:      nowhere,

	admin.ExplainLogin: func(login string) string { return peoplePath + "?find=" + url.QueryEscape(login) },
	admin.NameAccount:  nowhere,
}

func nowhere(string) string              { return "" }
func at(path string) func(string) string { return func(string) string { return path } }

// onProvider is the page of a service provider, or of all where none is named.
func onProvider(entityID string) string {
	if entityID == "" {
		return providersPath
	}
	return providerPath(entityID)
}

// onImport is the form of new metadata for a service provider.
func onImport(entityID string) string {
	if entityID == "" {
		return providersPath + "/new"
	}
	return importPath(entityID)
}

// onPerson is the page of a person, or another one where only the reader knows whom it is about.
func onPerson(nobody string) func(string) string {
	return func(id string) string {
		if id == "" {
			return nobody
		}
		return personPath(store.PersonID(id))
	}
}

// ActPath is where in the console an administrator does an act; "" where it is not done there.
func ActPath(act admin.Act, about string) string {
	if path, known := actPaths[act]; known {
		return path(about)
	}
	return ""
}

// fix is how a fault can be fixed: a link, or a sentence alone.
type fix struct{ Text, Path string }

// fixOf is the console's way to an act; ok is false for none.
func (r *request) fixOf(act admin.Act, about string) (f fix, ok bool) {
	path, known := actPaths[act]
	if !known {
		return fix{}, false
	}
	return fix{Text: r.text("act."+string(act), "about", about), Path: path(about)}, true
}

// refusedForm is a form with what was typed and what is wrong with it. inputs are the form's own names of the fields of
// an [admin.Error]; a fault of any other stands above the form. What is no such error is a failure, and comes back.
func (r *request) refusedForm(err error, inputs map[string]string) (form, int, error) {
	e, ok := admin.AsError(err)
	if !ok {
		return form{}, 0, err
	}
	r.Log(err)
	faults := map[string]string{}
	if name, ok := inputs[e.Field]; ok && e.Field != "" {
		faults[name] = r.said(e.Line())
	} else {
		faults[""] = r.said(e.Line())
	}
	f, err := r.newForm(r.Form, faults)
	if err != nil {
		return form{}, 0, err
	}
	for _, one := range append([]*admin.Error{e}, e.Parts...) {
		if fix, ok := r.fixOf(one.Act, one.About); ok && !slices.Contains(f.Fixes, fix) {
			f.Fixes = append(f.Fixes, fix)
		}
	}
	return f, refusedStatus(e), nil
}

// refusedFields is refusedForm where the fields of the error are those of the form: each fault stands beside its own,
// and above the form where it has no such input. values are what was typed.
func (r *request) refusedFields(err error, values web.Fields, inputs ...string) (form, int, error) {
	e, ok := admin.AsError(err)
	if !ok {
		return form{}, 0, err
	}
	r.Log(err)
	faults := map[string]string{}
	parts := e.Parts
	if len(parts) == 0 {
		parts = []*admin.Error{e}
	}
	for _, p := range parts {
		text := r.said(p.Text())
		if input, ok := errors.AsType[*mapping.InputError](p.Err); ok && len(p.Parts) == 0 {
			text = r.said(input.Fault) // the field's name stands above it
		}
		if p.Hint != "" {
			text += "; " + r.said(p.Hint)
		}
		input := p.Field
		if !slices.Contains(inputs, input) {
			input = ""
		}
		if before := faults[input]; before != "" {
			text = before + ". " + text
		}
		faults[input] = text
	}
	f, err := r.newForm(values, faults)
	if err != nil {
		return form{}, 0, err
	}
	if fix, ok := r.fixOf(e.Act, e.About); ok {
		f.Fixes = append(f.Fixes, fix)
	}
	return f, refusedStatus(e), nil
}

// refusedStatus is the HTTP status of a page that shows e.
func refusedStatus(e *admin.Error) int {
	switch e.Kind {
	case admin.Changed:
		return http.StatusConflict
	case admin.Forbidden:
		return http.StatusForbidden
	case admin.Outside:
		return http.StatusBadGateway
	default:
		return http.StatusUnprocessableEntity
	}
}
