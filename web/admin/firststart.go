package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
)

// FirstStart tests what somebody answers who sets the bridge up, each answer against the real thing. It stores nothing.
type FirstStart struct {
	Directory directory.Options
	Token     partnerapi.TokenOptions
	API       partnerapi.Options // its tokens and budget are filled in
}

// sampleSize is how many people and groups are shown.
const sampleSize = 5

// placeholderBase stands where the base is not known yet, and nothing is searched.
const placeholderBase = "dc=example"

// Reach tries the servers of the directory, up to a depth. Before directory.ToBase no base is needed.
func (f FirstStart) Reach(ctx context.Context, depth directory.Depth) ([]Finding, error) {
	d, err := f.open(depth)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // nothing was changed by it
	return directoryFindings(d.CheckTo(ctx, depth)), nil
}

// open is the directory as far as it is known.
func (f FirstStart) open(depth directory.Depth) (*directory.Directory, error) {
	o := f.Directory
	if depth < directory.ToBase {
		o.BaseDN, o.GroupBaseDN = placeholderBase, ""
	}
	if depth < directory.ToAccount {
		o.BindDN, o.BindPassword = "", ""
	}
	d, err := directory.New(o)
	if err != nil {
		return nil, &Error{Field: "directory", Fault: err.Error(), Err: err}
	}
	return d, nil
}

// Root is what the directory says of itself to the service account.
func (f FirstStart) Root(ctx context.Context) (directory.Root, error) {
	d, err := f.open(directory.ToAccount)
	if err != nil {
		return directory.Root{}, err
	}
	defer func() { _ = d.Close() }()
	root, err := d.Root(ctx)
	return root, refusal(err)
}

// Sample shows a few of the people and groups that are found.
func (f FirstStart) Sample(ctx context.Context) (directory.Sample, error) {
	d, err := f.open(directory.ToPeople)
	if err != nil {
		return directory.Sample{}, err
	}
	defer func() { _ = d.Close() }()
	s, err := d.Sample(ctx, sampleSize)
	return s, refusal(err)
}

// Lockouts are the password policies of the directory, as far as the service account may see them.
func (f FirstStart) Lockouts(ctx context.Context) []directory.LockoutPolicy {
	d, err := f.open(directory.ToPeople)
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }()
	all, err := d.LockoutPolicies(ctx)
	if err != nil {
		return nil // the check of a set-up bridge says why
	}
	return all
}

// FoundGroup is a group with what is needed to decide whether it is the one that is meant.
type FoundGroup struct {
	directory.Group
	Members int
	Some    []string // a few of their names
}

// Groups finds the group that is meant: the one of a DN, or those whose name has a text in it, at most a few.
func (f FirstStart) Groups(ctx context.Context, text string) (found []FoundGroup, more bool, err error) {
	d, err := f.open(directory.ToPeople)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = d.Close() }()
	var groups []directory.Group
	if _, malformed := directory.NormalDN(text); malformed == nil {
		g, err := d.Group(ctx, text)
		if err != nil {
			return nil, false, lookup(err, "admin_group", "look for the group",
				"write a part of the group's name, or its DN as the directory spells it")
		}
		groups = []directory.Group{g}
	} else if groups, more, err = d.SearchGroups(ctx, text, sampleSize); errors.Is(err, directory.ErrLookup) {
		return nil, false, &Error{Field: "admin_group", Fault: fmt.Sprintf("%.60q can't be looked for", text),
			Hint: "write at least two characters of the group's name, or its DN", Err: err}
	} else if err != nil {
		return nil, false, refusal(err)
	}
	for _, g := range groups {
		one := FoundGroup{Group: g}
		members, total, err := d.Members(ctx, g.DN, sampleSize)
		if err != nil {
			return nil, false, refusal(err)
		}
		one.Members = total
		for _, m := range members {
			one.Some = append(one.Some, m.Name)
		}
		found = append(found, one)
	}
	return found, more, nil
}

// Credentials asks for a token, and compares the clocks.
func (f FirstStart) Credentials(ctx context.Context) ([]Finding, error) {
	tokens, err := partnerapi.NewTokenSource(f.Token)
	if err != nil {
		return nil, &Error{Field: "partner_client_id", Fault: err.Error(), Hint: "copy it as Constant Contact gave it",
			Err: err}
	}
	return Status{Tokens: tokens, TokenURL: f.Token.URL}.token(ctx), nil
}

// APIKey makes one call to Constant Contact, which proves the API key: it reads the first page of the client accounts.
// It is for the first start alone: there is no store yet, so that no budget counts calls and no other replica makes
// any.
func (f FirstStart) APIKey(ctx context.Context) ([]Finding, error) {
	const name = "API key"
	o, once := f.API, &onlyCall{}
	tokens, err := partnerapi.NewTokenSource(f.Token)
	if err != nil {
		return nil, fmt.Errorf("set up the partner token: %w", err)
	}
	o.Tokens, o.Budget = tokens, once
	client, err := partnerapi.New(o)
	if err != nil {
		return nil, &Error{Field: "api_key", Fault: err.Error(), Hint: "copy it as Constant Contact gave it", Err: err}
	}
	list, err := client.Accounts(ctx, partnerapi.PriorityPlan)
	switch {
	case err == nil:
		return []Finding{{Name: name, Detail: fmt.Sprintf("accepted; client accounts of this partner: %d", len(list))}}, nil
	case partnerapi.KindOf(err) == partnerapi.QuotaExceeded && once.answered: // a further page
		return []Finding{{Name: name, Detail: "accepted; the partner has more than 50 client accounts"}}, nil
	}
	return []Finding{found(name, err)}, nil
}

// onlyCall is a budget of one call, and of its one repetition after a token that is refused.
type onlyCall struct {
	asked    int
	answered bool
}

// Reserve gives the slots away.
func (o *onlyCall) Reserve(context.Context, string) (time.Duration, string, error) {
	o.asked++
	if o.asked > 2 {
		return 0, partnerapi.SlotNone, nil
	}
	return 0, partnerapi.SlotTaken, nil
}

// GiveBack, Depart, Arrived, Throttled and Exhausted have nobody to keep account for.
func (o *onlyCall) GiveBack(context.Context, string, time.Duration) error { return nil }

// Depart lets the call go.
func (o *onlyCall) Depart(context.Context, time.Duration) (int64, time.Duration, error) {
	return 1, 0, nil
}

// Arrived notes that it was answered as it should.
func (o *onlyCall) Arrived(_ context.Context, _ int64, works bool) error {
	o.answered = o.answered || works
	return nil
}

// Throttled has nothing to note.
func (o *onlyCall) Throttled(context.Context) error { return nil }

// Exhausted has nothing to note.
func (o *onlyCall) Exhausted(context.Context) error { return nil }
