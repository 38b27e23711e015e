package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// SelfService lets people order a client account for themselves, at /order. They become its owner, and sign in there
// by single sign-on. docs/self-service.md shows how it goes.
type SelfService struct {
	// Serve the page on which people order a client account.
	// Default false: its paths are unknown ones.
	// Example: true
	Enabled bool `yaml:"enabled"`

	// The DNs of groups whose members may order, direct or nested. People of sources with subject own can't.
	// Default none.
	// Example: ["cn=customers,ou=groups,dc=example,dc=com"]
	Groups []string `yaml:"groups"`

	// NAME=VALUE of attributes in directory.extra_attributes: whoever has one of them may order, beside the members of
	// groups. Letter case does not count.
	// Default none.
	// Example: [employeeType=customer]
	Attributes []string `yaml:"attributes"`

	// Whether an administrator has to approve each order before anything is sent (`ssobridge accounts orders`). Without
	// groups and attributes everybody who can sign in may order, and this has to be true.
	// Default true.
	// Example: true
	Approval bool `yaml:"approval"`

	// How long an order waits for approval. From 1h to 60 days.
	// Default 168h.
	// Example: 168h
	ApprovalExpiry time.Duration `yaml:"approval_expiry"`

	// The country of the client accounts, by two letters.
	// Required with enabled.
	// Example: us
	Country string `yaml:"country"`

	// The plan that a client account gets once it is there: BRONZE, SILVER or GOLD.
	// Default none: as Constant Contact creates it.
	// Example: BRONZE
	Plan string `yaml:"plan"`

	// How many client accounts all people together may order within 24 hours. From 1 to 1000.
	// Default 20.
	// Example: 20
	PerDay int `yaml:"per_day"`

	// How many client accounts one person may have ordered in all, one after another. From 1 to 100.
	// Default 1.
	// Example: 1
	PerPerson int `yaml:"per_person"`

	// The attribute in directory.extra_attributes from which the form has the name of the organization.
	// Default none: the person types it.
	// Example: o
	OrganizationAttribute string `yaml:"organization_attribute"`

	// How long orders are kept that were refused, failed, were stopped or not approved in time. From 30 to 3650 days, as
	// hours. What was created is kept until its person is forgotten: per_person counts it.
	// Default 8760h.
	// Example: 8760h
	Keep time.Duration `yaml:"keep"`
}

var countryOfTwo = regexp.MustCompile(`^[A-Za-z]{2}$`)

func checkSelfService(c *Config, f *faults) {
	s := &c.SelfService
	f.between("self_service.approval_expiry", s.ApprovalExpiry, time.Hour, 60*24*time.Hour)
	f.between("self_service.keep", s.Keep, 30*24*time.Hour, 3650*24*time.Hour)
	if s.PerDay < 1 || s.PerDay > 1000 {
		f.add("self_service.per_day", fmt.Sprintf("is %d", s.PerDay), "write a number from 1 to 1000")
	}
	if s.PerPerson < 1 || s.PerPerson > 100 {
		f.add("self_service.per_person", fmt.Sprintf("is %d", s.PerPerson), "write a number from 1 to 100")
	}
	switch s.Plan {
	case "", partnerapi.PlanBronze, partnerapi.PlanSilver, partnerapi.PlanGold:
	default:
		f.add("self_service.plan", fmt.Sprintf("%.40q is no plan", s.Plan), "write BRONZE, SILVER or GOLD, or leave it out")
	}
	for i, dn := range s.Groups {
		if _, err := directory.NormalDN(dn); err != nil {
			f.add(fmt.Sprintf("self_service.groups[%d]", i), "is no DN: "+err.Error(),
				"write it like cn=customers,ou=groups,dc=example,dc=com")
		}
	}
	for i, text := range s.Attributes {
		key := fmt.Sprintf("self_service.attributes[%d]", i)
		switch name, value, ok := strings.Cut(text, "="); {
		case !ok || name == "" || value == "":
			f.add(key, fmt.Sprintf("%.80q is not NAME=VALUE", text), "write it like employeeType=customer")
		case !c.ReadsAttribute(name):
			f.add(key, fmt.Sprintf("attribute %.80q is not read", name), "add it to directory.extra_attributes")
		}
	}
	if name := s.OrganizationAttribute; name != "" && !c.ReadsAttribute(name) {
		f.add("self_service.organization_attribute", fmt.Sprintf("attribute %.80q is not read", name),
			"add it to directory.extra_attributes")
	}
	if !s.Enabled {
		return
	}
	if !countryOfTwo.MatchString(s.Country) {
		f.add("self_service.country", fmt.Sprintf("%.20q is no country of two letters", s.Country),
			"write for example: country: us")
	}
	if len(s.Groups)+len(s.Attributes) == 0 && !s.Approval {
		f.add("self_service.approval", "is false, and neither groups nor attributes say who may order",
			"name groups or attributes, or set approval: true")
	}
}

// SelfServiceOptions are what people get who order a client account for themselves; nil: nobody can.
func (c *Config) SelfServiceOptions() *provisioning.SelfService {
	s := c.SelfService
	if !s.Enabled {
		return nil
	}
	o := &provisioning.SelfService{Country: strings.ToLower(s.Country), Plan: s.Plan,
		Organization: s.OrganizationAttribute,
		Limits:       store.SelfOrderLimits{PerDay: s.PerDay, PerPerson: s.PerPerson}}
	if s.Approval {
		o.Approval = s.ApprovalExpiry
	}
	return o
}

// SelfServiceRule says who may order a client account for themselves.
func (c *Config) SelfServiceRule(orders idp.Orders) idp.SelfService {
	s := c.SelfService
	if !s.Enabled {
		return idp.SelfService{}
	}
	rule := idp.SelfService{Orders: orders, Groups: s.Groups, Again: s.PerPerson > 1}
	for _, text := range s.Attributes {
		name, value, _ := strings.Cut(text, "=")
		rule.Values = append(rule.Values, idp.AttributeValue{Name: name, Value: value})
	}
	return rule
}
