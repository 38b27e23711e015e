package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"ssobridge/idp"
	"ssobridge/store"
)

// consoleProviders is the console's way to the functions of the sp commands.
type consoleProviders struct{ *Parts }

var (
	errNothingPasted = errors.New("no metadata was given; paste it, or give its https address")
	errBothWays      = errors.New("metadata was pasted and an address was given; keep one of the two")
	errTaken         = errors.New("other changes have come in meanwhile; look at them")
)

// Read reads metadata that was pasted, or from an address. Nothing else is fetched.
func (p consoleProviders) Read(ctx context.Context, pasted, address, entityID string) (idp.Imported, error) {
	var from io.Reader = strings.NewReader(pasted)
	switch pasted = strings.TrimSpace(pasted); {
	case pasted == "" && address == "":
		return idp.Imported{}, errNothingPasted
	case pasted != "" && address != "":
		return idp.Imported{}, errBothWays
	case address != "":
		if err := p.Fetcher.Check(address); err != nil {
			return idp.Imported{}, &fetchError{err}
		}
		body, err := p.Fetcher.Open(ctx, address)
		if err != nil {
			return idp.Imported{}, &fetchError{err}
		}
		defer body.Close()
		from = body
	}
	return idp.ReadMetadata(from, idp.ReadOptions{EntityID: entityID, AllowLoopbackHTTP: p.Config.Metadata.AllowLoopbackHTTP, Now: p.now()})
}

// fetchError is metadata that could not be had.
type fetchError struct{ err error }

func (e *fetchError) Error() string { return "the metadata could not be read: " + e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

// Record is what would be saved; before is what is registered now, nil for nothing.
func (p consoleProviders) Record(ctx context.Context, im idp.Imported, address string) (sp store.ServiceProvider, before *store.ServiceProvider, notes []string, err error) {
	sp = im.Provider
	old, err := p.Store.ServiceProviders().Get(ctx, sp.EntityID)
	switch {
	case err == nil:
		sp, notes = im.Replacing(old)
		before = &old
	case !errors.Is(err, store.ErrNotFound):
		return sp, nil, nil, fmt.Errorf("look for service provider %s: %w", sp.EntityID, err)
	}
	now := p.now().UTC()
	sp.Source = nil
	if address != "" || !im.ValidUntil.IsZero() {
		sp.Source = &store.Source{ReadAt: now, ValidUntil: im.ValidUntil}
	}
	if address != "" {
		sp.Source.URL, sp.Source.NextAt = address, im.NextRefresh(now, 0, 0)
	}
	return sp, before, notes, nil
}

// ConstantContact is the record of Constant Contact with what it tells at set-up.
func (consoleProviders) ConstantContact(entityID, acs, environment string) (store.ServiceProvider, error) {
	if environment != "" && !environmentPattern.MatchString(environment) {
		return store.ServiceProvider{}, badInput(fmt.Errorf("environment %s is no part of a host name", quote(environment)), "write it as Constant Contact gave it, such as l1")
	}
	return ConstantContactSP{EntityID: entityID, ACS: acs, Environment: environment, Name: "Constant Contact"}.Record(), nil
}

// Add checks a record and stores it.
func (p consoleProviders) Add(ctx context.Context, sp store.ServiceProvider, replace bool, e store.Event) error {
	return p.AddProvider(ctx, sp, replace, e)
}

// Change changes a record and checks it before it is stored.
func (p consoleProviders) Change(ctx context.Context, entityID string, e store.Event, change func(*store.ServiceProvider) error) error {
	var refused error
	err := p.Store.ServiceProviders().Change(ctx, entityID, func(now *store.ServiceProvider) (store.Event, error) {
		if refused = change(now); refused == nil {
			refused = p.checkProvider(*now, "that can't be saved:")
		}
		return e, refused
	})
	if refused != nil {
		return refused
	}
	return err
}

// Waiting is what waits for approval.
func (p consoleProviders) Waiting(sp store.ServiceProvider) ([]idp.Difference, error) {
	_, changes, _, err := idp.Approve(sp, p.Config.Metadata.AllowLoopbackHTTP, p.now())
	return changes, err
}

// Approve takes what waits, if it is what was shown.
func (p consoleProviders) Approve(ctx context.Context, entityID string, pending []byte, e store.Event) error {
	var refused error
	err := p.Store.ServiceProviders().Change(ctx, entityID, func(now *store.ServiceProvider) (store.Event, error) {
		if refused = nil; now.Source == nil || !bytes.Equal(now.Source.Pending, pending) {
			refused = errTaken
			return e, refused
		}
		after, changes, _, err := idp.Approve(*now, p.Config.Metadata.AllowLoopbackHTTP, p.now())
		var lines []string
		for _, d := range changes {
			lines = append(lines, d.String())
		}
		e.Detail = detail(map[string]any{"changes": lines})
		*now = after
		return e, err
	})
	if refused != nil {
		return refused
	}
	return err
}

// Refresh reads the metadata of one service provider now.
func (p consoleProviders) Refresh(ctx context.Context, entityID, actor string) (idp.Refreshed, error) {
	return p.Refresher.Refresh(ctx, entityID, actor)
}

// Fault puts a refusal into a sentence.
func (consoleProviders) Fault(err error) string {
	var (
		command *commandError
		faults  *idp.MetadataError
		fetch   *fetchError
	)
	switch {
	case errors.As(err, &command), errors.As(err, &faults), errors.As(err, &fetch),
		errors.Is(err, errNothingPasted), errors.Is(err, errBothWays), errors.Is(err, errTaken), errors.Is(err, idp.ErrNoSource):
		return err.Error()
	}
	return ""
}
