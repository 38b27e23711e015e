package cli

import (
	"cmp"
	"errors"
	"fmt"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/web/admin"
)

// shownEffects is how many people a change is shown for.
const shownEffects = 50

// shownExternalID is how much of an owner's external_id is shown, in bytes: all that Constant Contact takes.
const shownExternalID = 255

type mappingExportCmd struct{}

// Help is shown by mapping export --help.
func (mappingExportCmd) Help() string {
	return "Owners stand in it with the external_id of their user, so that the file can be read into another store." +
		"\n\nExample:\n\n    ssobridge mapping export > mappings.yaml"
}

// Run writes the mappings.
func (mappingExportCmd) Run(s *invocation, p *server.App) error {
	return p.Mappings().Export(s.ctx, admin.Everything(), s.stdout)
}

type mappingPlanCmd struct {
	asJSON

	File      string `arg:"" help:"The file; - for standard input."`
	Unchecked bool   `name:"unlisted" aliases:"unchecked" help:"Accept accounts that Constant Contact does not list (yet)."`
}

// Help is shown by mapping plan --help.
func (mappingPlanCmd) Help() string {
	return `The file holds the whole set: what it does not name would be removed, except owners and mappings that are off. It can add owners, with their external_id; those that are stored are changed and removed one by one. Exit codes: 0 nothing would change, 3 there are differences, 2 the file has faults.

Examples:

    ssobridge mapping export > mappings.yaml

    ssobridge mapping plan mappings.yaml`
}

// Run shows the difference and its effects.
func (c *mappingPlanCmd) Run(s *invocation, p *server.App) error {
	set, err := readMappings(p, s, c.File, c.Unchecked)
	if err != nil {
		return err
	}
	if set.Empty() {
		s.printf("the mappings are as the file says\n")
		return s.object(toJSONChange(0, set.Change, false))
	}
	if err := showEffects(p, s, 0, set.Change); err != nil {
		return err
	}
	return &commandError{err: errors.New("there are differences"), hint: "ssobridge mapping apply " + c.File,
		code: exitDiffers}
}

// readMappings reads a file of mappings and compares it with what is stored.
func readMappings(p *server.App, s *invocation, file string, unlisted bool) (admin.MappingSet, error) {
	data, err := s.readInput(file, mapping.MaxFile)
	if err != nil {
		return admin.MappingSet{}, err
	}
	return p.Mappings().ReadFile(s.ctx, admin.Everything(), data, unlisted, actor(s.environ))
}

// showEffects prints a change of mappings and what it means for whom. id is the one mapping that is changed; 0: there
// are several.
func showEffects(p *server.App, s *invocation, id int64, change mapping.Change) error {
	if s.json {
		return effectsJSON(p, s, toJSONChange(id, change, false), change)
	}
	for _, m := range change.Remove {
		s.printf("- %s\n", describeMapping(m))
	}
	for _, m := range change.Add {
		text := describeMapping(m)
		if id := change.OwnersID(m); id != "" {
			text += ", external_id " + plaintext.Line(id, shownExternalID)
		}
		s.printf("+ %s\n", text)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	shown := 0
	effects, err := p.Mappings().Effects(s.ctx, admin.Everything(), change, func(e provisioning.Effect) error {
		if shown++; shown > shownEffects {
			return nil
		}
		if shown == 1 {
			fmt.Fprintln(w, "\nCHANGE\tLOGIN\tNAME\tACCOUNT\tBEFORE\tAFTER\tWHY")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Kind, e.Login, e.Name, e.Account, cmp.Or(string(e.Before), "-"),
			cmp.Or(string(e.After), "-"), e.Why)
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if shown > shownEffects {
		s.printf("and %d more\n", shown-shownEffects)
	}
	s.printf("\n%d people read: %d gain access, %d lose it, %d get another role (which can't be changed by API); %d "+
		"users would be created\n",
		effects.People, effects.Gains, effects.Losses, effects.Roles, effects.Creations)
	if effects.AtSignIn > 0 {
		s.printf("%d more would be created at their first sign-in\n", effects.AtSignIn)
	}
	if effects.Primary > 0 {
		s.printf("%d of those who gain access have the group as primary group, which does not list them: on Active "+
			"Directory, Domain Users is everybody\n", effects.Primary)
	}
	if effects.Creations > 0 {
		s.printf("%s\n", forecastText(effects.Forecast))
	}
	return nil
}

type mappingApplyCmd struct {
	asJSON

	File      string `arg:"" help:"The file; - for standard input."`
	Unchecked bool   `name:"unlisted" aliases:"unchecked" help:"Accept accounts that Constant Contact does not list (yet)."`
	Yes       bool   `help:"Do not ask."`
}

// Help is shown by mapping apply --help.
func (mappingApplyCmd) Help() string {
	return "What would change is shown first. Nobody is created by it: people are at their next sign-in, or by " +
		"provision plan and apply.\n\nExample:\n\n    ssobridge mapping apply mappings.yaml"
}

// Run applies the file.
func (c *mappingApplyCmd) Run(s *invocation, p *server.App) error {
	set, err := readMappings(p, s, c.File, c.Unchecked)
	if err != nil {
		return err
	}
	if set.Empty() {
		s.printf("the mappings are as the file says\n")
		return s.object(toJSONChange(0, set.Change, false))
	}
	if !s.json { // a script reads what was saved, and asks plan for the effects
		if err := showEffects(p, s, 0, set.Change); err != nil {
			return err
		}
	}
	if err := s.confirm(c.Yes, c.File == "-", "Save this?"); err != nil {
		return err
	}
	if err := p.Mappings().Apply(s.ctx, admin.Everything(), set, actor(s.environ)); err != nil {
		return err
	}
	s.printf("saved: %d added, %d removed\n", len(set.Add), len(set.Remove))
	return s.object(toJSONChange(0, set.Change, true))
}
