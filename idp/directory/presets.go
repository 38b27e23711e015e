package directory

// The presets, the group modes and what they fill in.
const (
	presetOpenLDAP = "openldap"
	presetAD       = "active_directory"

	modeMemberOf = "member_of"
	modeSearch   = "search"
	modeAD       = "ad"

	// inChain is Active Directory's matching rule that follows nested groups on the server (MS-ADTS 3.1.1.3.4.4.3).
	inChain = "1.2.840.113556.1.4.1941"
)

// The login filters of the Active Directory preset: by sAMAccountName, and by userPrincipalName for logins with an @.
const (
	adLoginFilter = "(&(objectCategory=person)(objectClass=user)(sAMAccountName=" + holdLogin + "))"
	adUPNFilter   = "(&(objectCategory=person)(objectClass=user)(userPrincipalName=" + holdLogin + "))"
)

// securityGroup is the condition on groupType that security groups meet and distribution groups don't (MS-ADTS 2.2.12).
// Mail administrators and owners of lists may often create and fill distribution groups, which are not meant to give
// access.
const securityGroup = "(groupType:1.2.840.113556.1.4.803:=2147483648)"

// adTokenFilter is the group filter of the preset. What it finds is what tokenGroups lists, but for the primary group
// and what is nested by way of distribution groups.
const adTokenFilter = "(&(objectCategory=group)" + securityGroup + "(member:" + inChain + ":=" + holdDN + "))"

// preset fills what is empty.
func (o *Options) preset() {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	switch o.Preset {
	case presetOpenLDAP:
		fill(&o.LoginFilter, "(&(objectClass=person)(uid="+holdLogin+"))")
		fill(&o.LoginAttribute, "uid")
		fill(&o.IDAttribute, "entryUUID")
		fill(&o.GroupIDAttribute, "entryUUID")
		fill(&o.GroupMode, modeSearch)
		if o.GroupMode == modeSearch {
			fill(&o.GroupFilter, "(|(&(objectClass=groupOfNames)(member="+holdDN+"))"+
				"(&(objectClass=groupOfUniqueNames)(uniqueMember="+holdDN+"))"+
				"(&(objectClass=posixGroup)(memberUid="+holdLogin+")))")
		}
	case presetAD:
		fill(&o.LoginFilter, adLoginFilter)
		fill(&o.LoginAttribute, "sAMAccountName")
		fill(&o.IDAttribute, "objectGUID")
		fill(&o.GroupIDAttribute, "objectGUID")
		fill(&o.GroupMode, modeAD)
		kind := "(objectCategory=group)" + securityGroup
		if o.DistributionGroups {
			kind = "(objectCategory=group)"
		}
		switch o.GroupMode {
		case modeAD:
			fill(&o.GroupFilter, "(&"+kind+"(member:"+inChain+":="+holdDN+"))")
		case modeSearch:
			fill(&o.GroupFilter, "(&"+kind+"(member="+holdDN+"))")
		}
	default:
		return
	}
	fill(&o.FirstNameAttribute, "givenName")
	fill(&o.LastNameAttribute, "sn")
	fill(&o.MailAttribute, "mail")
	fill(&o.GroupNameAttribute, "cn")
}

// The attributes that tell an account's state. A free configuration asks for both lists: a directory leaves out what it
// does not know.
var (
	adStateAttributes = []string{"userAccountControl", "msDS-User-Account-Control-Computed",
		"accountExpires", "pwdLastSet"}
	openLDAPStateAttributes = []string{"pwdAccountLockedTime", "pwdReset", "pwdChangedTime", "pwdStartTime", "pwdEndTime"}
)

// stateAttributes are those that this configuration asks for.
func (o *Options) stateAttributes() []string {
	switch o.Preset {
	case presetAD:
		return adStateAttributes
	case presetOpenLDAP:
		return openLDAPStateAttributes
	}
	return append(append([]string{}, adStateAttributes...), openLDAPStateAttributes...)
}
