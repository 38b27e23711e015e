package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// MappingSet is the difference between the stored mappings and those of a file.
type MappingSet struct {
	mapping.Change

	Seen string // names the difference: what is confirmed must be what was shown
}

// ReadFile reads a whole set of mappings and compares it with the stored one. All faults of the file are returned
// together, as the Parts of one Error. Nothing is stored.
func (a Mappings) ReadFile(ctx context.Context, s Scope, data []byte, unlisted bool, actor string) (MappingSet, error) {
	if err := s.whole(); err != nil {
		return MappingSet{}, err // it says of every mapping whether it stays
	}
	inputs, err := mapping.ReadFile(data)
	if err != nil {
		return MappingSet{}, refusal(err)
	}
	specs := make([]mapping.Spec, 0, len(inputs))
	var faults []*Error
	for i, in := range inputs {
		spec, err := a.spec(ctx, MappingInput{Input: in, ExternalID: in.ExternalID, Unlisted: unlisted}, actor)
		e, refused := AsError(err)
		switch {
		case err == nil:
			specs = append(specs, spec)
		case !refused:
			return MappingSet{}, fmt.Errorf("look up mapping %d of the file: %w", i+1, err)
		case e.Kind == Outside:
			return MappingSet{}, e // it would be said of each
		default:
			faults = append(faults, &Error{
				Kind: e.Kind, Field: "file", Fault: mapping.Place(i+1, in.Line) + ": " + e.Fault, Hint: e.Hint, Act: e.Act,
				About: e.About, Err: err,
			})
		}
	}
	if len(faults) > 0 {
		return MappingSet{}, &Error{Field: "file", Fault: fmt.Sprintf("%d mappings of the file have faults, nothing was "+
			"changed", len(faults)), Parts: faults}
	}
	c, err := a.Rules.CompareMappings(ctx, specs)
	if err != nil {
		return MappingSet{}, refusal(err)
	}
	return MappingSet{Change: c, Seen: seenValues(c.Remove, c.Add, c.Owners)}, nil
}

// Version names the whole set of mappings, on and off, as it is stored. The DN of a group is left out, which follows
// the directory.
func (a Mappings) Version(ctx context.Context, s Scope) (string, error) {
	if err := s.whole(); err != nil {
		return "", err
	}
	all, err := a.Rules.AllMappings(ctx)
	if err != nil {
		return "", err
	}
	for i := range all {
		all[i].CreatedAt = time.Time{}
		if all[i].Kind == store.GroupMapping {
			all[i].GroupDN = ""
		}
	}
	return seenValues(all), nil
}

// Apply makes a set of mappings the ones that hold.
func (a Mappings) Apply(ctx context.Context, s Scope, set MappingSet, actor string) error {
	if err := s.whole(); err != nil {
		return err
	}
	return changedMeanwhile(a.Rules.ApplyMappings(ctx, set.Change, actor), 0)
}

// Export writes the mappings as a file that ReadFile reads, owners with the external_id of their user.
func (a Mappings) Export(ctx context.Context, s Scope, w io.Writer) error {
	if err := s.whole(); err != nil {
		return err
	}
	all, err := a.Rules.AllMappings(ctx)
	if err != nil {
		return err
	}
	var inputs []mapping.Input
	for _, m := range all {
		login := ""
		if m.Kind == store.PersonMapping {
			person, err := a.Directory.Read(ctx, string(m.Person))
			if err != nil {
				return lookup(err, "", fmt.Sprintf("find the person of mapping %d", m.ID), "")
			}
			if login = person.Login; login == "" {
				return &Error{
					Kind: Missing, Fault: fmt.Sprintf("the person of mapping %d is no longer in the directory", m.ID),
					Act: RemoveMapping, About: fmt.Sprint(m.ID), Err: errors.New("no login name"),
				}
			}
		}
		in := mapping.InputOf(m, login)
		if m.Role == store.Owner {
			if in.ExternalID, err = a.Rules.OwnersID(ctx, m); err != nil {
				return err
			}
		}
		inputs = append(inputs, in)
	}
	return mapping.WriteFile(w, inputs)
}
