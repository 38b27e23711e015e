package idp

import (
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// NameIDRisks names the attributes in a service provider's NameID that people can usually edit themselves: whoever does
// is somebody else there. sources are the directory attributes behind the placeholders (directory.Sources).
func NameIDRisks(sp store.ServiceProvider, sources map[string]string) (attributes []string) {
	if strings.Contains(sp.NameID, "{person_id}") || sp.Kind == store.ConstantContact ||
		saml.Format(sp.NameIDFormat) == saml.FormatTransient {
		return nil // of Constant Contact's, provisioning checks the template
	}
	for _, m := range placeholder.FindAllStringSubmatch(sp.NameID, -1) {
		attribute, ok := strings.CutPrefix(m[1], "attr:")
		if !ok {
			attribute = sources[m[1]]
		}
		if directory.SelfWritten(attribute) {
			attributes = append(attributes, attribute)
		}
	}
	return attributes
}
