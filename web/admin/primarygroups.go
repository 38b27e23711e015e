package admin

import (
	"context"
	"fmt"
	"strconv"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// maxPrimaryMembers is up to where the members of a primary group are counted.
const maxPrimaryMembers = 1000

// primaryRisk says for how many people a group is the primary group, "" for none.
func primaryRisk(ctx context.Context, d *directory.Directory, dn string) (string, error) {
	n, more, err := d.PrimaryMembers(ctx, dn, maxPrimaryMembers)
	if err != nil || n == 0 {
		return "", err
	}
	count := strconv.Itoa(n)
	if more {
		count = "more than " + count
	}
	return fmt.Sprintf("%s is the primary group of %s people, who count as its members although it does not list them",
		dn, count), nil
}

// PrimaryRisk says for how many people the group of a mapping is the primary group, which does not list them; "" for
// none, and where it can't be read.
func (a Mappings) PrimaryRisk(ctx context.Context, m store.Mapping) string {
	if m.Kind != store.GroupMapping || mapping.OfSource(m) != "" {
		return ""
	}
	risk, err := primaryRisk(ctx, a.Directory, m.GroupDN)
	if err != nil {
		return "" // the mapping is stored; a check says so too
	}
	return risk
}
