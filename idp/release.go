package idp

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/idp/netname"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// maxValue bounds a NameID (saml-core 8.3.7) and an attribute value (row
// RSP-16), in characters.
const maxValue = 256

// release is what one assertion says about a person.
type release struct {
	nameID     string
	format     string
	attributes []attributeValues
	left       []leftAttribute
}

// leftAttribute is one that had nothing fit to send.
type leftAttribute struct {
	store.Attribute
	why string
}

func (r release) leftNames() []string {
	var all []string
	for _, l := range r.left {
		all = append(all, l.Name)
	}
	return all
}

type attributeValues struct {
	store.Attribute
	values []string
}

// releasedAttribute is an attribute of a record with its template read.
type releasedAttribute struct {
	store.Attribute
	from     string // directory attribute whose values are all sent; "" where template is used
	template mapping.Template
}

func newReleasedAttribute(a store.Attribute) (releasedAttribute, error) {
	if name, all := strings.CutPrefix(a.Value, "attr:"); all {
		if name == "" || strings.ContainsFunc(name, netname.NotInURI) {
			return releasedAttribute{}, fmt.Errorf("value %.60q: want attr:NAME with the name of a directory attribute", a.Value)
		}
		return releasedAttribute{Attribute: a, from: strings.ToLower(name)}, nil
	}
	t, err := mapping.ParseTemplate(a.Value)
	return releasedAttribute{Attribute: a, template: t}, err
}

// release works out the NameID and the attributes that this service provider's
// policy names, and no others (row RSP-13). A NameID that can't be made is an
// error: there is no sign-in without one. An attribute without a fit value is
// left out.
//
// transient is the NameID of a session that is to get one of the transient format; "" for the record's own.
func (sp *serviceProvider) release(e directory.Entry, d provisioning.Decision, transient string) (release, error) {
	if sp.fault != nil {
		return release{}, sp.fault
	}
	account := d.Assignment.Account
	if d.User.Account != "" {
		account = d.User.Account
	}
	values := mapping.Values{Person: e, Account: account, ExternalID: d.User.ExternalID, LoginName: d.User.LoginName}
	r := release{nameID: transient, format: saml.FormatTransient}
	if transient == "" {
		nameID, err := sp.nameID.Render(values)
		if err != nil {
			return release{}, fmt.Errorf("name_id: %w", err)
		}
		r.nameID, r.format = nameID, sp.NameIDFormat
	}
	if err := checkValue(r.nameID); err != nil {
		return release{}, fmt.Errorf("name_id: %w", err)
	}
	for _, a := range sp.attributes {
		var found []string
		why := "the directory has no value of " + a.from
		if a.from != "" {
			found = e.Attributes[a.from]
		} else if v, err := a.template.Render(values); err == nil {
			found = []string{v}
		} else {
			why = err.Error()
		}
		var fit []string
		for _, v := range found {
			if err := checkValue(v); err != nil {
				why = "a value is not fit to send: " + err.Error()
				continue
			}
			fit = append(fit, v)
		}
		if len(fit) == 0 {
			r.left = append(r.left, leftAttribute{a.Attribute, why})
			continue
		}
		r.attributes = append(r.attributes, attributeValues{a.Attribute, fit})
	}
	return r, nil
}

// transient tells whether the record has the transient format.
func (sp *serviceProvider) transient() bool {
	return saml.Format(sp.NameIDFormat) == saml.FormatTransient
}

// checkValue refuses what must not go into an assertion (row RSP-16): nothing at
// all, too much, characters that XML 1.0 forbids, and other control characters,
// which white-space rules on the way could change.
func checkValue(v string) error {
	switch {
	case v == "":
		return errors.New("it is empty")
	case !utf8.ValidString(v):
		return errors.New("it is not UTF-8")
	case utf8.RuneCountInString(v) > maxValue:
		return fmt.Errorf("it has more than %d characters", maxValue)
	case strings.ContainsFunc(v, func(r rune) bool { return saml.IsControl(r) || r >= 0xfffd && r <= 0xffff }):
		// U+FFFD stands where bytes were lost that were no UTF-8: two people could
		// become one.
		return errors.New("it has control characters or others that XML forbids")
	}
	return nil
}
