package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// index is the mappings and client accounts as of one state of the store's change counter, laid out so that a decision looks
// at the mappings that may concern a person and not at all of them. It is never changed once made, save for what it remembers
// along the way.
type index struct {
	changes int64
	rules   []rule // by priority, then id

	byGroupID map[string][]int // positions in rules
	byGroupDN map[string][]int // normal DN; only mappings without a group id
	byPerson  map[store.PersonID][]int
	onGroups  prefixes             // group patterns
	onValues  map[string]*prefixes // attribute patterns, by attribute in lower case

	accounts     map[store.AccountID]store.Account
	forms        *store.AccountForms // how client accounts are on record
	alreadyNoted sync.Map            // what is logged or passed on once for this index
	normalDNs    sync.Map            // DN of a person's group to its normal form, "" for a malformed one
	normalCount  atomic.Int64
	digest       func() string // of the mappings, made when first asked for

	stopped stops     // patterns without a base that give nothing any more
	from    time.Time // when the last of them stopped: for a clock that is set back to before, this index is none
	until   time.Time // when the next one stops, and this index is over; zero: none does
}

// holds tells whether no change has overtaken the index, and no pattern has stopped since it was made.
func (x *index) holds(changes int64, now time.Time) bool {
	return x.changes == changes && !now.Before(x.from) && (x.until.IsZero() || now.Before(x.until))
}

// maxNormalDNs bounds what is remembered of groups' DNs: some megabytes.
const maxNormalDNs = 20_000

// normalDN is directory.NormalDN with a memory, since parsing costs some ten microseconds and people share groups.
func (x *index) normalDN(dn string) (normal string, ok bool) {
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

// prefixes finds the patterns that a text may fit by the literal they begin with, so that thousands of patterns
// cost no more than a few.
type prefixes struct {
	rules   map[string][]int // literal start in lower case to positions of rules
	lengths []int            // of the literal starts that there are
}

func (p *prefixes) add(prefix string, position int) {
	if p.rules == nil {
		p.rules = map[string][]int{}
	}
	if !slices.Contains(p.lengths, len(prefix)) {
		p.lengths = append(p.lengths, len(prefix))
	}
	p.rules[prefix] = append(p.rules[prefix], position)
}

// collect puts the positions of the rules that text may fit into found.
func (p *prefixes) collect(text string, found map[int]bool) {
	for _, n := range p.lengths {
		if n <= len(text) {
			for _, i := range p.rules[lowerASCII(text[:n])] {
				found[i] = true
			}
		}
	}
}

// rule is a mapping made ready.
type rule struct {
	mapping store.Mapping
	dn      string  // normal form of GroupDN
	pattern Pattern // of the pattern kinds
	fault   string  // why the mapping can't be used; it never hits then
}

// current returns an index that no change has overtaken. Mappings that are gone give no access: if the change counter
// can't be read, there is no answer.
func (s *Service) current(ctx context.Context) (*index, error) {
	changes, err := s.changes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read change counter: %w", err)
	}
	if x := s.indexed.Load(); x != nil && x.holds(changes, s.now()) {
		return x, nil
	}
	s.indexing.Lock()
	defer s.indexing.Unlock()
	if changes, err = s.changes(store.NewReading(ctx)); err != nil {
		return nil, fmt.Errorf("read change counter: %w", err)
	}
	if x := s.indexed.Load(); x != nil && x.holds(changes, s.now()) {
		return x, nil // made by another caller meanwhile
	}
	// The counter was read before the records: a change in between makes this index be overtaken at once, never wrong for long.
	mappings, err := s.mappings.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	accounts, err := s.accounts.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list client accounts: %w", err)
	}
	forms, err := s.accounts.Forms(ctx)
	if err != nil {
		return nil, fmt.Errorf("list client accounts: %w", err)
	}
	ends, err := s.stopsOf(ctx)
	if err != nil {
		return nil, err
	}
	stopped, until := ends.stopped(s.now())
	x := newIndex(changes, mappings, accounts, forms, stopped)
	x.until = until
	for _, at := range stopped {
		if at.After(x.from) {
			x.from = at
		}
	}
	for _, r := range x.rules {
		if r.fault != "" {
			s.log.Error("mapping can't be used and gives nobody access", "mapping", r.mapping.ID, "fault", r.fault)
		}
	}
	s.indexed.Store(x)
	return x, nil
}

func newIndex(changes int64, mappings []store.Mapping, accounts []store.Account, forms *store.AccountForms, stopped stops) *index {
	x := &index{
		changes: changes, stopped: stopped, rules: make([]rule, 0, len(mappings)),
		byGroupID: map[string][]int{}, byGroupDN: map[string][]int{}, byPerson: map[store.PersonID][]int{}, onValues: map[string]*prefixes{},
		accounts: make(map[store.AccountID]store.Account, len(accounts)), forms: forms,
	}
	for _, a := range accounts {
		x.accounts[a.ID] = a
	}
	for _, m := range mappings {
		r := newRule(m, forms)
		if at, over := stopped[m.ID]; over && baseless(m) && r.fault == "" {
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
	x.digest = sync.OnceValue(func() string { return mappingsDigest(stopped.giving(mappings)) })
	for i, r := range x.rules {
		switch {
		case r.fault != "":
		case r.mapping.Kind == store.GroupMapping && r.mapping.GroupID != "":
			x.byGroupID[r.mapping.GroupID] = append(x.byGroupID[r.mapping.GroupID], i)
		case r.mapping.Kind == store.GroupMapping:
			x.byGroupDN[r.dn] = append(x.byGroupDN[r.dn], i)
		case r.mapping.Kind == store.PersonMapping:
			x.byPerson[r.mapping.Person] = append(x.byPerson[r.mapping.Person], i)
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

// newRule makes a stored mapping ready. It was checked when it was added; what does not pass now (an older or a newer program
// stored it, or a hand) is kept with its fault and never hits. Its account is the recorded one from here on.
func newRule(m store.Mapping, forms *store.AccountForms) rule {
	r := rule{mapping: m}
	if m.Account != "" {
		switch id, err := forms.Resolve(string(m.Account)); {
		case err == nil:
			r.mapping.Account = id
		case !errors.Is(err, store.ErrUnlistedAccount):
			r.fault = err.Error() // of two accounts that differ in case, nobody gets into the wrong one
		}
	}
	switch m.Kind {
	case store.GroupMapping:
		dn, err := directory.NormalDN(m.GroupDN)
		if err != nil && m.GroupID == "" {
			r.fault = fmt.Sprintf("group DN: %v", err)
		}
		r.dn = dn
	case store.PersonMapping:
		if m.Person == "" {
			r.fault = "it names no person"
		}
		r.mapping.Person = store.PersonID(directory.CanonicalID(string(m.Person)))
	case store.GroupPattern, store.AttributePattern:
		pattern, err := ParsePattern(m.Pattern)
		if err != nil {
			r.fault = err.Error()
		}
		r.pattern = pattern
		if m.Kind == store.GroupPattern && m.GroupDN != "" {
			if _, err := directory.NormalDN(m.GroupDN); err != nil {
				r.fault = fmt.Sprintf("group base: %v", err)
			}
		}
	default:
		r.fault = fmt.Sprintf("kind %.40q is not known to this program", m.Kind)
	}
	if r.fault != "" {
		return r
	}
	switch {
	case m.Account == "" && !r.pattern.HasAccount():
		r.fault = "it names no client account and captures none"
	case m.Role == "" && !r.pattern.HasRole():
		r.fault = "it names no role and captures none"
	case m.Role == store.Owner && m.Kind != store.PersonMapping:
		r.fault = "role owner can be given to one person only"
	}
	return r
}

// resolve finds the client account that a captured text names. Ids are compared without regard to case, since group names are often
// written in one; the id as listed is what counts. why says what is wrong with ok false.
func (x *index) resolve(captured string) (id store.AccountID, why string, ok bool) {
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

// Account returns the recorded form of a client account that somebody wrote. Its errors are those of
// store.AccountForms.Resolve; with ErrUnlistedAccount the id comes back as it was written.
func (s *Service) Account(ctx context.Context, text string) (store.AccountID, error) {
	x, err := s.current(ctx)
	if err != nil {
		return "", fmt.Errorf("look up client account %.70q: %w", text, err)
	}
	id, err := x.forms.Resolve(text)
	if err != nil {
		return id, fmt.Errorf("look up client account: %w", err)
	}
	return id, nil
}

// name of a client account as listed, or its id.
func (x *index) name(id store.AccountID) string {
	if a, ok := x.accounts[id]; ok && a.Name != "" {
		return a.Name
	}
	return string(id)
}

// once tells whether this is the first time that key is asked for in this index.
func (x *index) once(key any) bool {
	_, seen := x.alreadyNoted.LoadOrStore(key, true)
	return !seen
}
