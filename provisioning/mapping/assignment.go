package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Assignment is what the mappings give one person in one client account.
type Assignment struct {
	Account store.AccountID
	Name    string // of the client account, as listed; the id where unknown
	Role    store.Role
	Mapping store.Mapping
	Group   directory.Group // the group that hit, if one did
}

// Hit is one mapping held against one person.
type Hit struct {
	Mapping store.Mapping
	Hit     bool
	Why     string // why it hits, or why not
	Account store.AccountID
	Role    store.Role
	Group   directory.Group // the group that hit or came close, if one did
}

// Assignments are what the hits that count (see Winners) give, sorted by the name of the client account. A person may
// have thousands: what is sorted is small, and each name is brought to lower case once.
func (x *Index) Assignments(best []Hit) []Assignment {
	type place struct {
		name    string
		account store.AccountID
		at      int
	}
	places := make([]place, len(best))
	for i, h := range best {
		places[i] = place{strings.ToLower(x.Name(h.Account)), h.Account, i}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(string(a.account), string(b.account)))
	})
	all := make([]Assignment, len(best))
	for i, p := range places {
		h := best[p.at]
		all[i] = Assignment{Account: h.Account, Name: x.Name(h.Account), Role: h.Role, Mapping: h.Mapping, Group: h.Group}
	}
	return all
}

// Winners are the hits that count for one person, at most one in a client account, in no order. Sign-ins, plans and
// previews of mappings all ask here, so that they can't differ. tie is called for two hits of equal priority that give
// different roles, once for each pair of mappings.
func (x *Index) Winners(hits []Hit, tie func(a, b Hit)) []Hit {
	places := make(map[store.AccountID]int, len(hits)) // in best
	best := make([]Hit, 0, len(hits))
	for _, h := range hits {
		if !h.Hit {
			continue
		}
		at, taken := places[h.Account]
		if !taken {
			places[h.Account] = len(best)
			best = append(best, h)
			continue
		}
		old := best[at]
		if old.Mapping.Priority == h.Mapping.Priority && old.Role != h.Role && x.Once([2]int64{old.Mapping.ID,
			h.Mapping.ID}) {
			tie(old, h)
		}
		if before(h, old) {
			best[at] = h
		}
	}
	return best
}

// before tells which of two hits on one account counts. Equal priorities are refused when a mapping is added, as far as
// can be seen then; where they meet all the same, the lesser role is taken, so that chance never gives more than was
// meant. The hit that counts also says when the user is created, so that one mapping, which explain names, decides on
// everything.
func before(a, b Hit) bool {
	if a.Mapping.Priority != b.Mapping.Priority {
		return a.Mapping.Priority < b.Mapping.Priority
	}
	if pa, pb := power(a.Role), power(b.Role); pa != pb {
		return pa < pb
	}
	// Two that give the same role by the same priority: what one of them asks to be created in advance is.
	if a.Mapping.AtSignIn != b.Mapping.AtSignIn {
		return b.Mapping.AtSignIn
	}
	if a.Mapping.ID != b.Mapping.ID {
		return a.Mapping.ID < b.Mapping.ID
	}
	return a.Group.DN < b.Group.DN
}

func power(r store.Role) int {
	switch r {
	case store.CampaignCreator:
		return 1
	case store.AccountManager:
		return 2
	}
	return 3
}

// Reason says by which mapping and group a person has an assignment.
func (h Hit) Reason() string {
	text := "a new mapping"
	if h.Mapping.ID != 0 {
		text = fmt.Sprintf("mapping %d", h.Mapping.ID)
	}
	if h.Group.DN != "" {
		text += ", group " + h.Group.DN
	}
	return text + ": " + h.Why
}
