package provisioning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

// Assignments are what the mappings give one person: at most one role in a client account, sorted by the account's name.
// The lowest priority number wins.
func (s *Service) Assignments(ctx context.Context, p directory.Entry) ([]Assignment, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("assignments of person %s: %w", p.ID, err)
	}
	return s.assignments(x, p), nil
}

func (s *Service) assignments(x *index, p directory.Entry) []Assignment {
	return assignmentsOf(x, s.winners(x, p))
}

// assignmentsOf are the assignments of the hits that count, sorted. A person may have thousands: what is sorted is small, and each name is
// brought to lower case once.
func assignmentsOf(x *index, best []Hit) []Assignment {
	type place struct {
		name    string
		account store.AccountID
		at      int
	}
	places := make([]place, len(best))
	for i, h := range best {
		places[i] = place{strings.ToLower(x.name(h.Account)), h.Account, i}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(string(a.account), string(b.account)))
	})
	all := make([]Assignment, len(best))
	for i, p := range places {
		h := best[p.at]
		all[i] = Assignment{Account: h.Account, Name: x.name(h.Account), Role: h.Role, Mapping: h.Mapping, Group: h.Group}
	}
	return all
}

// winners are the hits that count for one person, at most one in a client account, in no order. Sign-ins, plans and previews of
// mappings all ask here, so that they can't differ.
func (s *Service) winners(x *index, p directory.Entry) []Hit {
	return s.winnersOf(x, x.hits(x.newSubject(p)))
}

// winnersOf is winners for hits that are known.
func (s *Service) winnersOf(x *index, hits []Hit) []Hit {
	places := make(map[store.AccountID]int, len(hits)) // in best
	best := make([]Hit, 0, len(hits))
	for _, h := range hits {
		if !h.Hit {
			continue
		}
		s.noteRenamed(x, h)
		at, taken := places[h.Account]
		if !taken {
			places[h.Account] = len(best)
			best = append(best, h)
			continue
		}
		old := best[at]
		if old.Mapping.Priority == h.Mapping.Priority && old.Role != h.Role && x.once([2]int64{old.Mapping.ID, h.Mapping.ID}) {
			s.log.Warn("two mappings of equal priority give different roles, the lesser one is taken; give them different priorities",
				"account", h.Account, "mapping", old.Mapping.ID, "role", old.Role, "other_mapping", h.Mapping.ID, "other_role", h.Role)
		}
		if before(h, old) {
			best[at] = h
		}
	}
	return best
}

// before tells which of two hits on one account counts. Equal priorities are refused when a mapping is added, as far as can be
// seen then; where they meet all the same, the lesser role is taken, so that chance never gives more than was meant. The hit that counts
// also says when the user is created, so that one mapping, which explain names, decides on everything.
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

// Explain holds every mapping against a person and says for each whether and why it hits. A pattern that fits several groups or values
// gives a Hit for each. The order is that of the priorities.
func (s *Service) Explain(ctx context.Context, p directory.Entry) ([]Hit, error) {
	all, _, err := s.ExplainAccess(ctx, p)
	return all, err
}

// ExplainAccess is Explain with the assignments that come of it: those of Assignments, from the same hits.
func (s *Service) ExplainAccess(ctx context.Context, p directory.Entry) ([]Hit, []Assignment, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("explain mappings for person %s: %w", p.ID, err)
	}
	who := x.newSubject(p)
	var all []Hit
	for i := range x.rules {
		r := &x.rules[i]
		hits := x.try(r, who)
		if len(hits) == 0 {
			hits = []Hit{{Mapping: r.mapping, Why: miss(r, who), Account: r.mapping.Account, Role: r.mapping.Role}}
		}
		for i, h := range hits {
			if status, closed := s.shut(x, h.Account); h.Hit && closed {
				hits[i].Why += fmt.Sprintf("; the client account is closed at Constant Contact (%s)", status)
			}
		}
		all = append(all, hits...)
	}
	assigned := assignmentsOf(x, s.winnersOf(x, all))
	off, err := s.mappings.ListOff(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("explain mappings for person %s: %w", p.ID, err)
	}
	return append(all, explainOff(x, off, p)...), assigned, nil
}

// explainOff says of mappings that are off whether they would hit: a forgotten one is a common reason for missing access.
func explainOff(now *index, off []store.Mapping, p directory.Entry) (all []Hit) {
	x := newIndex(now.changes, off, slices.Collect(maps.Values(now.accounts)), now.forms, now.stopped)
	who := x.newSubject(p)
	for i := range x.rules {
		r := &x.rules[i]
		r.mapping.Off = true
		hits := x.try(r, who)
		if len(hits) == 0 {
			hits = []Hit{{Mapping: r.mapping, Why: miss(r, who), Account: r.mapping.Account, Role: r.mapping.Role}}
		}
		for _, h := range hits {
			h.Mapping.Off = true
			if h.Hit {
				h.Hit, h.Why = false, "it is switched off, else it would hit: "+h.Why
			} else {
				h.Why = "it is switched off; " + h.Why
			}
			all = append(all, h)
		}
	}
	return all
}

// subject is a person laid out for the rules.
type subject struct {
	index *index
	entry directory.Entry
	byID  map[string]int // positions in entry.Groups
	byDN  map[string]int // by normal DN, made when first needed
}

func (x *index) newSubject(p directory.Entry) *subject {
	who := &subject{index: x, entry: p, byID: make(map[string]int, len(p.Groups))}
	for i, g := range p.Groups {
		if g.ID != "" {
			who.byID[g.ID] = i
		}
	}
	return who
}

// groupsByDN normalises the DNs of all groups: it is asked for only where a mapping knows its group by DN alone.
func (who *subject) groupsByDN() map[string]int {
	if who.byDN == nil {
		who.byDN = make(map[string]int, len(who.entry.Groups))
		for i, g := range who.entry.Groups {
			if dn, ok := who.index.normalDN(g.DN); ok {
				who.byDN[dn] = i
			}
		}
	}
	return who.byDN
}

// hits tries the mappings that may concern a person. The index only narrows down; whether a mapping hits is decided by try alone,
// for a sign-in and for Explain alike.
func (x *index) hits(who *subject) []Hit {
	var all []Hit
	try := func(positions []int) {
		for _, i := range positions {
			all = append(all, x.try(&x.rules[i], who)...)
		}
	}
	try(x.byPerson[store.PersonID(who.entry.ID)])
	for id := range who.byID {
		try(x.byGroupID[id])
	}
	if len(x.byGroupDN) > 0 {
		for dn := range who.groupsByDN() {
			try(x.byGroupDN[dn])
		}
	}
	fitting := map[int]bool{}
	for _, g := range who.entry.Groups {
		x.onGroups.collect(g.Name, fitting)
	}
	for attribute, patterns := range x.onValues {
		for _, value := range who.entry.Attributes[attribute] {
			patterns.collect(value, fitting)
		}
	}
	for i := range fitting {
		all = append(all, x.try(&x.rules[i], who)...)
	}
	return all
}

// try holds one mapping against a person. It returns the hits and the near misses (a pattern fits, yet gives no known
// account); nothing where the mapping does not concern the person.
func (x *index) try(r *rule, who *subject) []Hit {
	m := r.mapping
	if r.fault != "" {
		return nil
	}
	switch m.Kind {
	case store.PersonMapping:
		if who.entry.ID != "" && m.Person == store.PersonID(who.entry.ID) {
			return []Hit{{Mapping: m, Hit: true, Why: "names this person", Account: m.Account, Role: m.Role}}
		}
	case store.GroupMapping:
		// A mapping that knows its group's id never hits by DN: a group that was deleted and made again under the same name is another
		// group, whose members nobody has mapped.
		if m.GroupID != "" {
			if i, in := who.byID[m.GroupID]; in {
				return []Hit{groupHit(m, who.entry.Groups[i])}
			}
			return nil
		}
		if i, in := who.groupsByDN()[r.dn]; in {
			return []Hit{groupHit(m, who.entry.Groups[i])}
		}
	case store.GroupPattern:
		var all []Hit
		for _, g := range who.entry.Groups {
			if m.GroupDN != "" && !directory.Under(g.DN, m.GroupDN) {
				continue // whoever may create groups elsewhere chooses no client account
			}
			if h, fits := x.tryPattern(r, g.Name, "group"); fits {
				h.Group = g
				all = append(all, h)
			}
		}
		return all
	case store.AttributePattern:
		var all []Hit
		for _, value := range who.entry.Attributes[strings.ToLower(m.Attribute)] {
			if h, fits := x.tryPattern(r, value, m.Attribute); fits {
				all = append(all, h)
			}
		}
		return all
	}
	return nil
}

func groupHit(m store.Mapping, g directory.Group) Hit {
	why := "is a direct member of the group"
	if len(g.Via) > 0 {
		why = "is a member of the group through " + strings.Join(g.Via, ", then ")
	}
	return Hit{Mapping: m, Hit: true, Why: why, Account: m.Account, Role: m.Role, Group: g}
}

// tryPattern tries a pattern on one text; what says whose text it is. fits is false where the text has nothing to do with the pattern.
func (x *index) tryPattern(r *rule, text, what string) (h Hit, fits bool) {
	h = Hit{Mapping: r.mapping, Account: r.mapping.Account, Role: r.mapping.Role}
	c, err := r.pattern.Match(text)
	switch {
	case errors.Is(err, ErrNoMatch):
		return h, false
	case err != nil:
		h.Why = fmt.Sprintf("%s %.200q %v", what, text, err)
		return h, true
	}
	if h.Role == "" {
		h.Role = c.Role
	}
	if h.Account == "" {
		id, why, ok := x.resolve(c.Account)
		if !ok {
			h.Why = fmt.Sprintf("%s %.200q fits, but %s", what, text, why)
			return h, true
		}
		h.Account = id
	}
	h.Hit = true
	h.Why = what + " " + text + " fits"
	return h, true
}

// miss says why a mapping does not concern a person.
func miss(r *rule, who *subject) string {
	m := r.mapping
	switch {
	case r.fault != "":
		return "the mapping can't be used: " + r.fault
	case m.Kind == store.PersonMapping:
		return "names another person"
	case m.Kind == store.GroupMapping:
		if _, same := who.groupsByDN()[r.dn]; same && m.GroupID != "" {
			return "is in a group of this name, but not in the one that was mapped (its id differs): it was deleted and made again; map it anew"
		}
		return "is not a member of the group"
	case m.Kind == store.GroupPattern:
		if m.GroupDN != "" {
			return "no group below " + m.GroupDN + " has a name that fits the pattern"
		}
		return "no group name fits the pattern"
	}
	if len(who.entry.Attributes[strings.ToLower(m.Attribute)]) == 0 {
		return "the person has no " + m.Attribute + ", or it is not among the attributes that are read"
	}
	return "no value of " + m.Attribute + " fits the pattern"
}

// renamed is a mapped group that was read under a new DN.
type renamed struct {
	mapping int64
	dn      string
}

// noteRenamed passes on to the worker that a group which hit by its id has another DN than the mapping shows. The DN there only
// serves people who read the list, so a full queue loses nothing: the next sign-in notes it again after the next change.
func (s *Service) noteRenamed(x *index, h Hit) {
	m := h.Mapping
	if m.ID == 0 || m.Kind != store.GroupMapping || m.GroupID == "" || h.Group.DN == m.GroupDN || h.Group.DN == "" {
		return // a mapping without an id is not stored yet
	}
	if directory.SameDN(h.Group.DN, m.GroupDN) || !x.once(m.ID) {
		return
	}
	select {
	case s.renamed <- renamed{m.ID, h.Group.DN}:
	default:
	}
}
