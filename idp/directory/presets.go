package directory

import "strings"

// The presets, the group modes and what they fill in.
const (
	presetOpenLDAP   = "openldap"
	presetAD         = "active_directory"
	presetSamba      = "samba" // a domain controller of Samba: Active Directory in all that is asked here
	presetFreeIPA    = "freeipa"
	preset389DS      = "389ds"
	presetEDirectory = "edirectory"
	presetLLDAP      = "lldap"

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
	// people fills what the servers other than Active Directory have alike.
	people := func(id, mode string) {
		fill(&o.LoginFilter, "(&(objectClass=person)(uid="+holdLogin+"))")
		fill(&o.LoginAttribute, "uid")
		fill(&o.IDAttribute, id)
		fill(&o.GroupIDAttribute, id)
		fill(&o.GroupMode, mode)
	}
	switch o.Preset {
	case presetOpenLDAP:
		people("entryUUID", modeSearch)
	case presetAD, presetSamba:
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
	case presetFreeIPA: // which keeps memberOf, with the groups that a person is in by way of others
		people("ipaUniqueID", modeMemberOf)
	case preset389DS:
		people("nsUniqueId", modeMemberOf)
	case presetEDirectory: // whose groupMembership is memberOf only where somebody has mapped it so
		people("GUID", modeSearch)
	case presetLLDAP:
		people("entryUUID", modeMemberOf)
	default:
		return
	}
	if o.GroupMode == modeSearch && !o.isAD() {
		fill(&o.GroupFilter, "(|(&(objectClass=groupOfNames)(member="+holdDN+"))"+
			"(&(objectClass=groupOfUniqueNames)(uniqueMember="+holdDN+"))"+
			"(&(objectClass=posixGroup)(memberUid="+holdLogin+")))")
	}
	fill(&o.FirstNameAttribute, "givenName")
	fill(&o.LastNameAttribute, "sn")
	fill(&o.MailAttribute, "mail")
	fill(&o.GroupNameAttribute, "cn")
}

// isAD tells whether the directory is Active Directory, or one that answers like it.
func (o *Options) isAD() bool { return o.Preset == presetAD || o.Preset == presetSamba }

// refusesClosed tells whether the directory refuses the bind to a closed account by "unwilling to perform" or
// "insufficient access rights", where others answer so about the request or about themselves.
func (o *Options) refusesClosed() bool {
	return o.Preset == presetFreeIPA || o.Preset == preset389DS || o.Preset == presetEDirectory
}

// presetStates fills the attributes of an account's state that are not named. Active Directory's and the password
// policy's of OpenLDAP have rules of their own, see accountState.
func (o *Options) presetStates() {
	fill := func(field *[]string, names ...string) {
		if *field == nil {
			*field = names
		}
	}
	switch o.Preset {
	case presetFreeIPA:
		fill(&o.DisabledAttributes, "nsAccountLock")
		fill(&o.AccountExpiryAttributes, "krbPrincipalExpiration")
		fill(&o.PasswordExpiryAttributes, "krbPasswordExpiration")
	case preset389DS:
		fill(&o.DisabledAttributes, "nsAccountLock")
		fill(&o.PasswordExpiryAttributes, "passwordExpirationTime", "krbPasswordExpiration")
	case presetEDirectory:
		fill(&o.DisabledAttributes, "loginDisabled")
		fill(&o.AccountExpiryAttributes, "loginExpirationTime")
		fill(&o.PasswordExpiryAttributes, "passwordExpirationTime")
	case presetOpenLDAP, "":
		// Whoever brings such an attribute along means it. A time may be one that their server no longer heeds, so times are
		// heeded where they are named.
		fill(&o.DisabledAttributes, "nsAccountLock", "loginDisabled")
	}
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
	var names []string
	switch {
	case o.isAD():
		names = append(names, adStateAttributes...)
	case o.Preset == "":
		names = append(append(names, adStateAttributes...), openLDAPStateAttributes...)
	case o.Preset != presetLLDAP: // which knows no state of an account
		names = append(names, openLDAPStateAttributes...)
	}
	if o.refusesClosed() {
		names = append(names, passingLockTime, passingLockFlag)
	}
	for _, n := range o.DisabledAttributes {
		name, _, _ := strings.Cut(n, "=")
		names = append(names, name)
	}
	return append(append(names, o.AccountExpiryAttributes...), o.PasswordExpiryAttributes...)
}
