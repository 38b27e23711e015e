package mapping

import (
	"errors"
	"fmt"
	"iter"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Index is the mappings and client accounts of one moment, laid out so that a decision looks at the mappings that may
// concern a person and not at all of them. It is never changed once made, save for what it remembers along the way, and
// is safe for concurrent use.
type Index struct {
	rules []rule // by priority, then id

	byGroupID map[string][]int // positions in rules
	byGroupDN map[string][]int // normal DN; only mappings without a group id
	byPerson  map[store.PersonID][]int
	onGroups  prefixes             // group patterns
	onValues  map[string]*prefixes // attribute patterns, by attribute in lower case
	onClaims  map[string]*prefixes // patterns over the groups of tokens, by source
	bounds    Bounds               // what sources may give; nil: nothing by mappings

	accounts     map[store.AccountID]store.Account
	forms        *store.AccountForms // how client accounts are on record
	alreadyNoted sync.Map            // what is logged or passed on once for this index
	normalDNs    sync.Map            // DN of a person's group to its normal form, "" for a malformed one
	normalCount  atomic.Int64
	digest       func() string // of the mappings, made when first asked for

	stopped Stops // patterns without a base that give nothing any more
}

// maxNormalDNs bounds what is remembered of groups' DNs: some megabytes.
const maxNormalDNs = 20_000

// normalDN is directory.NormalDN with a memory, since parsing costs some ten microseconds and people share groups.
func (x *Index) normalDN(dn string) (normal string, ok bool) {
	if known, found := x.normalDNs.Load(dn); found {
		normal = known.(string)
		return normal, normal != ""
	}
	normal, err := directory.NormalDN(dn)
	if err != nil {
		normal = ""
	}
	if x.normalCount.Load() < maxNormalDNs {
		x.normalCount.Add(1)
		x.normalDNs.Store(dn, normal)
	}
	return normal, normal != ""
}

// NewIndex lays out the mappings that are on. forms says how client accounts are on record, stopped which patterns
// without a base give nothing any more.
func NewIndex(mappings []store.Mapping, accounts []store.Account, forms *store.AccountForms, stopped Stops) *Index {
	x := &Index{
		stopped: stopped, rules: make([]rule, 0, len(mappings)),
		byGroupID: map[string][]int{}, byGroupDN: map[string][]int{}, byPerson: map[store.PersonID][]int{},
		onValues: map[string]*prefixes{}, onClaims: map[string]*prefixes{},
		accounts: make(map[store.AccountID]store.Account, len(accounts)), forms: forms,
	}
	for _, a := range accounts {
		x.accounts[a.ID] = a
	}
	for _, m := range mappings {
		r := newRule(m, forms)
		if at, over := stopped[m.ID]; over && Baseless(m) && r.fault == "" {
			r.fault = "it has no group base: " + StopText(Stop{At: at, Over: true})
		}
		x.rules = append(x.rules, r)
	}
	sort.SliceStable(x.rules, func(i, j int) bool {
		a, b := x.rules[i].mapping, x.rules[j].mapping
		if a.Priority != b.Priority {
			return a.Priority < b.Priority
		}
		return a.ID < b.ID
	})
	x.digest = sync.OnceValue(func() string { return Digest(stopped.Giving(mappings)) })
	for i, r := range x.rules {
		switch {
		case r.fault != "":
		case r.mapping.Kind == store.GroupMapping && r.mapping.GroupID != "":
			x.byGroupID[r.mapping.GroupID] = append(x.byGroupID[r.mapping.GroupID], i)
		case r.mapping.Kind == store.GroupMapping:
			x.byGroupDN[r.dn] = append(x.byGroupDN[r.dn], i)
		case r.mapping.Kind == store.PersonMapping:
			x.byPerson[r.mapping.Person] = append(x.byPerson[r.mapping.Person], i)
		case r.mapping.Kind == store.GroupPattern && OfSource(r.mapping) != "":
			source := OfSource(r.mapping)
			if x.onClaims[source] == nil {
				x.onClaims[source] = &prefixes{}
			}
			x.onClaims[source].add(r.pattern.prefix, i)
		case r.mapping.Kind == store.GroupPattern:
			x.onGroups.add(r.pattern.prefix, i)
		case r.mapping.Kind == store.AttributePattern:
			attribute := strings.ToLower(r.mapping.Attribute)
			if x.onValues[attribute] == nil {
				x.onValues[attribute] = &prefixes{}
			}
			x.onValues[attribute].add(r.pattern.prefix, i)
		}
	}
	return x
}

// resolve finds the client account that a captured text names. Ids are compared without regard to case, since group
// names are often written in one; the id as listed is what counts. why says what is wrong with ok false.
func (x *Index) resolve(captured string) (id store.AccountID, why string, ok bool) {
	if _, err := store.ParseAccountID(captured); err != nil {
		return "", err.Error(), false // blanks around it too: a group's name has none by mistake
	}
	id, err := x.forms.Resolve(captured)
	switch {
	case errors.Is(err, store.ErrAmbiguousAccount):
		return "", fmt.Sprintf("%s fits several client accounts that differ in letter case", id), false
	case x.forms.Listed() && !x.forms.Lists(id):
		return "", fmt.Sprintf("%s is not among the client accounts", id), false
	}
	// Before the list was ever read, a text is taken as a mapping or policy spells it, or else as it stands.
	return id, "", true
}

// Name of a client account as listed, or its id.
func (x *Index) Name(id store.AccountID) string {
	if a, ok := x.accounts[id]; ok && a.Name != "" {
		return a.Name
	}
	return string(id)
}

// Once tells whether this is the first time that key is asked for in this index.
func (x *Index) Once(key any) bool {
	_, seen := x.alreadyNoted.LoadOrStore(key, true)
	return !seen
}

// With is an index of other mappings over the same client accounts.
func (x *Index) With(mappings []store.Mapping) *Index {
	y := NewIndex(mappings, nil, x.forms, x.stopped).Bounded(x.bounds)
	y.accounts = x.accounts
	return y
}

// Forms says how client accounts are on record.
func (x *Index) Forms() *store.AccountForms { return x.forms }

// Account is a client account as listed; zero where the list does not have it.
func (x *Index) Account(id store.AccountID) store.Account { return x.accounts[id] }

// Accounts is how many client accounts the list has.
func (x *Index) Accounts() int { return len(x.accounts) }

// Digest is that of the mappings that give something, see Digest.
func (x *Index) Digest() string { return x.digest() }

// Mappings are those of the index, by priority, then id, each with the fault for which it never hits ("": none).
func (x *Index) Mappings() iter.Seq2[store.Mapping, string] {
	return func(yield func(store.Mapping, string) bool) {
		for _, r := range x.rules {
			if !yield(r.mapping, r.fault) {
				return
			}
		}
	}
}

// Len is how many mappings there are.
func (x *Index) Len() int { return len(x.rules) }

// Wants tells whether a group matters to any mapping. It lets through what try would look at, and may let through more.
func (x *Index) Wants(g directory.Group) bool {
	if g.ID != "" && !IsClaim(g.ID) && len(x.byGroupID[g.ID]) > 0 {
		return true
	}
	if len(x.byGroupDN) > 0 {
		// Not x.normalDN: its memory is for the few groups of people who sign in, not for all there are.
		if dn, err := directory.NormalDN(g.DN); err == nil && len(x.byGroupDN[dn]) > 0 {
			return true
		}
	}
	fitting := map[int]bool{}
	x.onGroups.collect(g.Name, fitting)
	for i := range fitting {
		if _, err := x.rules[i].pattern.Match(g.Name); !errors.Is(err, ErrNoMatch) {
			return true
		}
	}
	return false
}
