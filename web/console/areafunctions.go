package console

import (
	"html/template"
	"strings"

	"ssobridge/idp/metadata"
	"ssobridge/web/admin"
)

// areaFunctions are what single areas show their things by.
func (k *toolkit) areaFunctions() template.FuncMap {
	return template.FuncMap{
		"outcomeKind": outcomeKind, "saidKey": saidKey, "shortCause": k.shortCause,
		"traceWho": k.traceWho, "traceWhere": k.traceWhere,
		"labelled": func(label string, all []admin.Trace) map[string]any {
			return map[string]any{"Label": label, "Traces": all}
		},
		"stateKind": stateKind, "deliverykind": deliveryKind,
		"audited": k.audited, "auditKind": auditKind,
		"providerKind": providerKind,
		"words":        func(field string) string { return strings.ReplaceAll(field, " ", "_") },
		"sided": func(v metadata.Value, kind, word string) map[string]any {
			return map[string]any{"Value": v, "Kind": kind, "Word": word}
		},
		"fielded": func(f form, one providerField) map[string]any {
			return map[string]any{"Form": f, "Field": one}
		},
	}
}
