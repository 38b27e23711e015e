package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"ssobridge/cmd/internal/server"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

const (
	maxMappingFile = 8 << 20
	shownEffects   = 50
)

// mappingFile is a whole set of mappings.
type mappingFile struct {
	Mappings []mappingInput `yaml:"mappings"`
}

// mappingInput is one mapping as an admin writes it: exactly one of group, group_pattern, attribute_pattern and person says
// whom it is for.
type mappingInput struct {
	Group            string `yaml:"group,omitempty"`
	GroupPattern     string `yaml:"group_pattern,omitempty"`
	GroupBase        string `yaml:"group_base,omitempty"`
	AttributePattern string `yaml:"attribute_pattern,omitempty"`
	Person           string `yaml:"person,omitempty"`
	Account          string `yaml:"account,omitempty"`
	Role             string `yaml:"role,omitempty"`
	Priority         int    `yaml:"priority,omitempty"`
	Create           string `yaml:"create,omitempty"` // in-advance (default) or at-sign-in
	Off              bool   `yaml:"switched_off,omitempty"`
}

// mappingSpec looks up what a mapping names: groups and people are kept by their immutable ids.
func mappingSpec(ctx context.Context, p *server.App, in mappingInput) (spec mapping.Spec, err error) {
	spec = mapping.Spec{GroupDN: in.Group, Account: in.Account, Role: in.Role, Priority: in.Priority, Off: in.Off}
	switch in.Create {
	case "", mapping.CreateInAdvance:
	case mapping.CreateAtSignIn:
		spec.AtSignIn = true
	default:
		return spec, badInput(fmt.Errorf("create: %s is not known", quote(in.Create)), "write in-advance, or at-sign-in where users are created at their first sign-in only")
	}
	if in.Group != "" {
		if spec.Group, err = p.Directory.Group(ctx, in.Group); err != nil {
			return spec, directoryError(err, "find the group "+quote(in.Group), "copy the group's DN from the directory; ssobridge check shows whether the directory answers")
		}
	}
	if in.GroupPattern != "" {
		spec.Pattern = in.GroupPattern
		if spec.GroupBase, err = baseOfPattern(ctx, p, in); err != nil {
			return spec, err
		}
	} else if in.GroupBase != "" {
		return spec, badInput(errors.New("a group base is for patterns of group names only"), "leave it out, or give a group pattern")
	}
	if in.AttributePattern != "" {
		attribute, pattern, ok := strings.Cut(in.AttributePattern, "=")
		if !ok || attribute == "" || pattern == "" {
			return spec, badInput(fmt.Errorf("--attribute-pattern %s: want ATTR=PATTERN", quote(in.AttributePattern)), "write for example employeeType=ctct:{account}:{role}")
		}
		if !p.Config.ReadsAttribute(attribute) {
			return spec, badInput(fmt.Errorf("the attribute %s is not read from the directory, so the mapping would hit nobody", quote(attribute)), "add it to directory.extra_attributes, restart the bridge, then add the mapping")
		}
		spec.Attribute, spec.Pattern = attribute, pattern
	}
	if in.Person != "" {
		person, err := p.Directory.Find(ctx, in.Person)
		if err != nil {
			return spec, directoryError(err, "find the person "+quote(in.Person), "write the login name as the person types it")
		}
		spec.Person = store.PersonID(person.ID)
	}
	return spec, nil
}

// patternBase looks up the base of a pattern of group names.
func patternBase(ctx context.Context, p *server.App, written string) (string, error) {
	base, err := p.Directory.PatternBase(ctx, written)
	if err != nil {
		return "", directoryError(err, "use the group base "+quote(written), "name an organizational unit in which only people whom you trust with client accounts may create groups")
	}
	return base, nil
}

// baseOfPattern is the base of a pattern of group names. A pattern that is stored without one goes on as it is; no other one is
// taken without.
func baseOfPattern(ctx context.Context, p *server.App, in mappingInput) (string, error) {
	if in.GroupBase != "" {
		return patternBase(ctx, p, in.GroupBase)
	}
	all, err := p.Provisioning.AllMappings(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if m.Kind == store.GroupPattern && m.GroupDN == "" && m.Pattern == in.GroupPattern && strings.EqualFold(string(m.Account), in.Account) && string(m.Role) == in.Role {
			return "", nil
		}
	}
	return "", badInput(fmt.Errorf("the group pattern %s has no group base", quote(in.GroupPattern)),
		"give --group-base DN (group_base in a file): whoever may create groups below it chooses client accounts and roles, so name an organizational unit of its own")
}

// readMappings reads a file of mappings and looks up what it names. All faults are told together.
func readMappings(p *server.App, s *invocation, name string, unchecked bool) ([]mapping.Spec, error) {
	data, err := s.readInput(name, maxMappingFile)
	if err != nil {
		return nil, err
	}
	return parseMappings(s.ctx, p, data, name, unchecked, actor(s.environ))
}

// parseMappings is readMappings for a file that was read.
func parseMappings(ctx context.Context, p *server.App, data []byte, name string, unchecked bool, actor string) ([]mapping.Spec, error) {
	var file mappingFile
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, badInput(fmt.Errorf("%s is no file of mappings: %s", name, strings.TrimPrefix(err.Error(), "yaml: ")), "ssobridge mapping export shows the form")
	}
	var (
		specs  []mapping.Spec
		faults []error
	)
	for i, in := range file.Mappings {
		who := 0
		for _, text := range []string{in.Group, in.GroupPattern, in.AttributePattern, in.Person} {
			if text != "" {
				who++
			}
		}
		if who != 1 {
			faults = append(faults, fmt.Errorf("mapping %d: want exactly one of group, group_pattern, attribute_pattern and person", i+1))
			continue
		}
		spec, err := mappingSpec(ctx, p, in)
		if err != nil {
			faults = append(faults, fmt.Errorf("mapping %d: %w", i+1, err))
			continue
		}
		spec.Unchecked, spec.Actor = unchecked, actor
		specs = append(specs, spec)
	}
	if len(faults) > 0 {
		return nil, badInput(errors.Join(faults...), "mend them in the file; nothing was changed")
	}
	return specs, nil
}

type mappingExportCmd struct{}

// Help is shown by mapping export --help.
func (mappingExportCmd) Help() string {
	return "Owners are left out: they are told with their external_id by mapping add.\n\nExample:\n\n    ssobridge mapping export > mappings.yaml"
}

// Run writes the mappings.
func (mappingExportCmd) Run(s *invocation, p *server.App) error {
	return exportMappings(s.ctx, p, s.stdout)
}

// exportMappings writes the mappings as a file for plan and apply.
func exportMappings(ctx context.Context, p *server.App, w io.Writer) error {
	all, err := p.Provisioning.AllMappings(ctx)
	if err != nil {
		return err
	}
	file := mappingFile{Mappings: []mappingInput{}}
	for _, m := range all {
		in := mappingInput{Account: string(m.Account), Role: string(m.Role), Priority: m.Priority, Off: m.Off}
		if m.AtSignIn {
			in.Create = mapping.CreateAtSignIn
		}
		switch {
		case m.Role == store.Owner:
			continue
		case m.Kind == store.GroupMapping:
			in.Group = m.GroupDN
		case m.Kind == store.GroupPattern:
			in.GroupPattern, in.GroupBase = m.Pattern, m.GroupDN
		case m.Kind == store.AttributePattern:
			in.AttributePattern = m.Attribute + "=" + m.Pattern
		default:
			person, err := p.Directory.Read(ctx, string(m.Person))
			if err != nil {
				return directoryError(err, "find the person of mapping "+fmt.Sprint(m.ID), "ssobridge check shows whether the directory answers")
			}
			if person.Login == "" {
				return failed(fmt.Errorf("the person of mapping %d is no longer in the directory", m.ID), fmt.Sprintf("ssobridge mapping remove %d", m.ID))
			}
			in.Person = person.Login
		}
		file.Mappings = append(file.Mappings, in)
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(file), enc.Close())
}

type mappingPlanCmd struct {
	File      string `arg:"" help:"The file; - for standard input."`
	Unchecked bool   `name:"unlisted" aliases:"unchecked" help:"Accept accounts that Constant Contact does not list (yet)."`
}

// Help is shown by mapping plan --help.
func (mappingPlanCmd) Help() string {
	return `The file holds the whole set: what it does not name would be removed, except owners and mappings that are off. Exit codes: 0 nothing would change, 3 there are differences, 2 the file has faults.

Examples:

    ssobridge mapping export > mappings.yaml

    ssobridge mapping plan mappings.yaml`
}

// Run shows the difference and its effects.
func (c *mappingPlanCmd) Run(s *invocation, p *server.App) error {
	change, err := compareMappings(p, s, c.File, c.Unchecked)
	if err != nil {
		return err
	}
	if change.Empty() {
		s.printf("the mappings are as the file says\n")
		return nil
	}
	if err := showEffects(p, s, change); err != nil {
		return err
	}
	return &commandError{err: errors.New("there are differences"), hint: "ssobridge mapping apply " + c.File, code: exitDiffers}
}

func compareMappings(p *server.App, s *invocation, file string, unchecked bool) (mapping.Change, error) {
	specs, err := readMappings(p, s, file, unchecked)
	if err != nil {
		return mapping.Change{}, err
	}
	return p.Provisioning.CompareMappings(s.ctx, specs)
}

// showEffects prints a change of mappings and what it means for whom.
func showEffects(p *server.App, s *invocation, change mapping.Change) error {
	for _, m := range change.Remove {
		s.printf("- %s\n", describeMapping(m))
	}
	for _, m := range change.Add {
		s.printf("+ %s\n", describeMapping(m))
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	shown := 0
	effects, err := p.Provisioning.PreviewMappings(s.ctx, change, func(e provisioning.Effect) error {
		if shown++; shown > shownEffects {
			return nil
		}
		if shown == 1 {
			fmt.Fprintln(w, "\nCHANGE\tLOGIN\tNAME\tACCOUNT\tBEFORE\tAFTER\tWHY")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Kind, e.Login, e.Name, e.Account, cmp.Or(string(e.Before), "-"), cmp.Or(string(e.After), "-"), e.Why)
		return nil
	})
	if err != nil {
		return directoryError(err, "see what would change for whom", "ssobridge check shows whether the directory answers")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if shown > shownEffects {
		s.printf("and %d more\n", shown-shownEffects)
	}
	s.printf("\n%d people read: %d gain access, %d lose it, %d get another role (which can't be changed by API); %d users would be created\n",
		effects.People, effects.Gains, effects.Losses, effects.Roles, effects.Creations)
	if effects.AtSignIn > 0 {
		s.printf("%d more would be created at their first sign-in\n", effects.AtSignIn)
	}
	if effects.Creations > 0 {
		s.printf("%s\n", forecastText(effects.Forecast))
	}
	return nil
}

type mappingApplyCmd struct {
	File      string `arg:"" help:"The file; - for standard input."`
	Unchecked bool   `name:"unlisted" aliases:"unchecked" help:"Accept accounts that Constant Contact does not list (yet)."`
	Yes       bool   `help:"Do not ask."`
}

// Help is shown by mapping apply --help.
func (mappingApplyCmd) Help() string {
	return "What would change is shown first. Nobody is created by it: people are at their next sign-in, or by provision plan and apply.\n\nExample:\n\n    ssobridge mapping apply mappings.yaml"
}

// Run applies the file.
func (c *mappingApplyCmd) Run(s *invocation, p *server.App) error {
	change, err := compareMappings(p, s, c.File, c.Unchecked)
	if err != nil {
		return err
	}
	if change.Empty() {
		s.printf("the mappings are as the file says\n")
		return nil
	}
	if err := showEffects(p, s, change); err != nil {
		return err
	}
	if err := s.confirm(c.Yes, c.File == "-", "Save this?"); err != nil {
		return err
	}
	err = p.Provisioning.ApplyMappings(s.ctx, change, actor(s.environ))
	if errors.Is(err, store.ErrConflict) {
		return failed(errors.New("the mappings have changed meanwhile, nothing was saved"), "look at the difference again: ssobridge mapping plan "+c.File)
	}
	if err != nil {
		return err
	}
	s.printf("saved: %d added, %d removed\n", len(change.Add), len(change.Remove))
	return nil
}
