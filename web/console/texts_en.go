package console

import (
	"maps"

	"ssobridge/web"
)

// words are those of the console in English, the one language that it has. Each area has a file of its own.
var words = together(frameWords, actWords, overviewWords, mappingsWords, peopleWords, traceWords, accountsWords,
	provisioningWords, providersWords, keysWords, auditWords, settingsWords)

var english = web.EnglishWith(words)

func together(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

var frameWords = map[string]string{
	"console":           "Admin console",
	"skip":              "Skip to the content",
	"menu":              "Menu",
	"signed.in":         "{login} ({role})",
	"sign.out":          "Sign out",
	"role.viewer":       "viewer",
	"role.operator":     "operator",
	"role.admin":        "admin",
	"area.overview":     "Overview",
	"area.mappings":     "Mappings",
	"area.people":       "People",
	"area.trace":        "Sign-ins",
	"area.accounts":     "Client accounts",
	"area.provisioning": "Provisioning",
	"area.providers":    "Service providers",
	"area.keys":         "Keys",
	"area.audit":        "Audit log",
	"area.settings":     "Settings",
	"next":              "Next page",
	"first":             "First page",
	"none":              "None.",
	"copy":              "Copy",
	"copied":            "Copied",
	"numbers":           "Show the numbers",
	"required":          "required",
	"fault":             "Please correct the marked fields. Nothing was saved.",
}

var settingsWords = map[string]string{
	"settings.lead": "The configuration in effect. Change it in the configuration file or the environment, then " +
		"restart the program.",
	"settings.key":     "Key",
	"settings.value":   "Value",
	"settings.source":  "Source",
	"settings.default": "default",
	"settings.file":    "configuration file",
	"settings.general": "General",
	"settings.empty":   "not set",
}
