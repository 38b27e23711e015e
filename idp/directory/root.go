package directory

import (
	"context"
	"slices"

	"github.com/go-ldap/ldap/v3"
)

// capabilityAD says that a server is a domain controller of Active Directory, or answers like one
// (MS-ADTS 3.1.1.3.4.3.1).
const capabilityAD = "1.2.840.113556.1.4.800"

// Root is what a directory says of itself.
type Root struct {
	Contexts        []string // the DNs that everything is below, the one with the people first where it says which
	ActiveDirectory bool
}

// Root reads it, as the service account. Some directories tell it to nobody: then it is empty.
func (d *Directory) Root(ctx context.Context) (Root, error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request("", ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"namingContexts", "defaultNamingContext", "supportedCapabilities"}))
	if err != nil {
		return Root{}, unavailable("read what the directory says of itself", err)
	}
	if len(found) == 0 {
		return Root{}, nil
	}
	root := Root{
		Contexts:        found[0].GetEqualFoldAttributeValues("namingContexts"),
		ActiveDirectory: slices.Contains(found[0].GetEqualFoldAttributeValues("supportedCapabilities"), capabilityAD),
	}
	if first := found[0].GetEqualFoldAttributeValue("defaultNamingContext"); first != "" {
		root.Contexts = slices.DeleteFunc(root.Contexts, func(dn string) bool { return SameDN(dn, first) })
		root.Contexts = slices.Insert(root.Contexts, 0, first)
	}
	return root, nil
}

// Sample shows some of the people and groups that are found, for whoever sets up the directory.
type Sample struct {
	People                 []Person
	Groups                 []Group
	MorePeople, MoreGroups bool // than those
}

// Sample finds at most limit people and groups, in the server's order.
func (d *Directory) Sample(ctx context.Context, limit int) (s Sample, err error) {
	found, more, err := d.some(ctx, d.o.BaseDN, d.person.present(), d.attributes, limit)
	if err != nil {
		return s, unavailable("search people", err)
	}
	s.MorePeople = more
	for _, f := range found {
		if e, _, err := d.entry(f); err == nil {
			s.People = append(s.People, personOf(e))
		}
	}
	if found, s.MoreGroups, err = d.some(ctx, d.o.GroupBaseDN, anyGroup(), d.groupAttributes(), limit); err != nil {
		return s, d.groupSearchError(err)
	}
	for _, f := range found {
		if g, err := d.given(f); err == nil {
			s.Groups = append(s.Groups, g)
		}
	}
	return s, nil
}
