package admin

import (
	"context"
	"fmt"
	"slices"

	"ssobridge/store"
)

// SetUp says how far the bridge is set up: the steps from an empty store to the first person who signed in.
type SetUp struct {
	Store *store.DB
}

// SetUpStep is one of them.
type SetUpStep struct {
	Name   SetUpName
	Done   bool
	Fault  string // what stands against it, in a sentence without its full stop; "": it is just not done
	Hint   string // what to do about the fault; "": Act says it
	Act    Act    // by which it is done
	About  string
	Health bool // it is judged by the health snapshot, and may pass by itself
}

// SetUpName names a step.
type SetUpName string

// The steps, in their order.
const (
	SetUpDirectory   SetUpName = "directory"
	SetUpCredentials SetUpName = "credentials"
	SetUpProvider    SetUpName = "provider"
	SetUpAccounts    SetUpName = "accounts"
	SetUpMapping     SetUpName = "mapping"
	SetUpSignIn      SetUpName = "sign-in"
)

// SetUpSteps are all of them with how each stands.
type SetUpSteps []SetUpStep

// Done is how many are done.
func (s SetUpSteps) Done() (n int) {
	for _, one := range s {
		if one.Done {
			n++
		}
	}
	return n
}

// Next is the first that is not done, -1 where all are.
func (s SetUpSteps) Next() int {
	return slices.IndexFunc(s, func(one SetUpStep) bool { return !one.Done })
}

// Missing tells whether an administrator has something to set up: before the first person signed in, and again when a
// record is not there. That the directory or Constant Contact does not answer for a while is no matter of the set-up.
func (s SetUpSteps) Missing() bool {
	return slices.ContainsFunc(s, func(one SetUpStep) bool { return !one.Done && !one.Health })
}

// Steps says how each step stands. h is the health snapshot that the caller has read.
func (a SetUp) Steps(ctx context.Context, s Scope, h Health) (SetUpSteps, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	providers, err := a.Store.ServiceProviders().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the service providers: %w", err)
	}
	accounts, err := a.Store.Accounts().Any(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for a client account: %w", err)
	}
	mapped, err := a.Store.Mappings().Any(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for a mapping: %w", err)
	}
	registered := slices.ContainsFunc(providers, func(sp store.ServiceProvider) bool {
		return sp.Kind == store.ConstantContact && sp.Enabled
	})
	credentials := judged(SetUpCredentials, PartConstantContact, h)
	// That nothing is known against Constant Contact does not prove the credentials.
	if credentials.Done && h.Calls.Worked.IsZero() && !accounts {
		credentials.Done, credentials.Act = false, RefreshAccounts
	}
	return SetUpSteps{
		judged(SetUpDirectory, PartDirectory, h),
		credentials,
		{Name: SetUpProvider, Done: registered, Act: AddConstantContact},
		{Name: SetUpAccounts, Done: accounts, Act: RefreshAccounts},
		{Name: SetUpMapping, Done: mapped, Act: AddMapping},
		{Name: SetUpSignIn, Done: !h.SignedIn.IsZero(), Act: ExplainLogin},
	}, nil
}

// judged is a step that is done as long as a part of the bridge does not fail.
func judged(name SetUpName, part Part, h Health) SetUpStep {
	step := SetUpStep{Name: name, Health: true, Act: RunCheck}
	p, looked := h.Part(part)
	if !looked {
		return step
	}
	worst := p.Worst()
	step.Done = p.Level != Failure
	if !step.Done {
		step.Fault, step.Hint, step.Act, step.About = worst.Detail, worst.Hint, worst.Act, worst.About
	}
	return step
}
