package sample

import "strings"

// Names of the directory.
const (
	BaseDN       = "dc=example,dc=test"
	PeopleDN     = "ou=people," + BaseDN
	GroupsDN     = "ou=groups," + BaseDN
	BindDN       = "cn=ssobridge,ou=services," + BaseDN
	BindPassword = "service-password"
)

// Person is one of the sample people.
type Person struct {
	Login, Password     string
	FirstName, LastName string
	Mail                string
	Groups              []string // names
	Locked              bool     // the account was closed: OpenLDAP's permanent lock
	About               string   // what signing in as them shows
	ID                  string   // entryUUID
}

// DN is the person's name in the directory.
func (p Person) DN() string { return "uid=" + p.Login + "," + PeopleDN }

// Group names of the sample. The pattern ctct-{account}-{role} fits the first three.
const (
	GroupFlowers  = "ctct-a07e1lxqqqo0-account_manager"
	GroupBakery   = "ctct-a07e1lxqqqp1-campaign_creator"
	GroupFlowersC = "ctct-a07e1lxqqqo0-campaign_creator"
	GroupStaff    = "staff"
)

// People are the sample people.
func People() []Person {
	return []Person{
		{
			Login: "alice", Password: "alice-password", FirstName: "Alice", LastName: "Anders", Mail: "alice@example.test",
			Groups: []string{GroupFlowers, GroupStaff}, ID: "5f0a4c1e-1111-4a01-8a01-000000000001",
			About: "one client account: signs in, and is created at Constant Contact the first time",
		},
		{
			Login: "bob", Password: "bob-password", FirstName: "Bob", LastName: "Brandt", Mail: "bob@example.test",
			Groups: []string{GroupFlowersC, GroupBakery, GroupStaff}, ID: "5f0a4c1e-1111-4a01-8a01-000000000002",
			About: "two client accounts: chooses one",
		},
		{
			Login: "carol", Password: "carol-password", FirstName: "Carol", LastName: "Čapková", Mail: "carol@example.test",
			Groups: []string{GroupStaff}, ID: "5f0a4c1e-1111-4a01-8a01-000000000003",
			About: "no client account: is refused, with the reason",
		},
		{
			Login: "dave", Password: "dave-password", FirstName: "Dave", LastName: "Dunn",
			Mail: "dave@example.test", Locked: true,
			Groups: []string{GroupFlowers, GroupStaff}, ID: "5f0a4c1e-1111-4a01-8a01-000000000004",
			About: "the account was closed: is refused",
		},
		{
			Login: "erin", Password: "erin-password", FirstName: "<b>Erin</b>", LastName: "& \"Co\"", Mail: "erin@example.test",
			Groups: []string{GroupBakery, GroupStaff}, ID: "5f0a4c1e-1111-4a01-8a01-000000000005",
			About: "a name with HTML in it: is shown as it is written",
		},
	}
}

// entry is one entry of the directory: attribute names in lower case.
type entry struct {
	dn         string
	attributes map[string][]string
	names      map[string]string // lower case → as it is written
	password   string
	locked     bool
}

func newEntry(dn string, attributes map[string][]string) *entry {
	e := &entry{dn: dn, attributes: map[string][]string{}, names: map[string]string{}}
	for name, values := range attributes {
		e.attributes[strings.ToLower(name)] = values
		e.names[strings.ToLower(name)] = name
	}
	return e
}

// entries lays the sample out as a tree.
func entries() []*entry {
	list := []*entry{
		newEntry(BaseDN, map[string][]string{"objectClass": {"top", "domain"}, "dc": {"example"}}),
		newEntry(PeopleDN, map[string][]string{"objectClass": {"top", "organizationalUnit"}, "ou": {"people"}}),
		newEntry(GroupsDN, map[string][]string{"objectClass": {"top", "organizationalUnit"}, "ou": {"groups"}}),
		newEntry("ou=services,"+BaseDN, map[string][]string{"objectClass": {"top", "organizationalUnit"},
			"ou": {"services"}}),
	}
	service := newEntry(BindDN, map[string][]string{"objectClass": {"top", "applicationProcess"}, "cn": {"ssobridge"}})
	service.password = BindPassword
	list = append(list, service)

	members := map[string][]string{}
	for _, p := range People() {
		var memberOf []string
		for _, g := range p.Groups {
			memberOf = append(memberOf, groupDN(g))
			members[g] = append(members[g], p.DN())
		}
		attributes := map[string][]string{
			"objectClass": {"top", "person", "organizationalPerson", "inetOrgPerson"}, "uid": {p.Login},
			"cn": {p.FirstName + " " + p.LastName}, "givenName": {p.FirstName}, "sn": {p.LastName}, "mail": {p.Mail},
			"entryUUID": {p.ID}, "memberOf": memberOf,
		}
		if p.Locked {
			attributes["pwdAccountLockedTime"] = []string{"000001010000Z"}
		}
		e := newEntry(p.DN(), attributes)
		e.password, e.locked = p.Password, p.Locked
		list = append(list, e)
	}
	for i, name := range []string{GroupFlowers, GroupBakery, GroupFlowersC, GroupStaff} {
		list = append(list, newEntry(groupDN(name), map[string][]string{
			"objectClass": {"top", "groupOfNames"}, "cn": {name}, "member": members[name],
			"entryUUID": {"5f0a4c1e-2222-4a01-8a01-00000000000" + string(rune('1'+i))},
		}))
	}
	return list
}

func groupDN(name string) string { return "cn=" + name + "," + GroupsDN }
