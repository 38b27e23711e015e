package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// measureWalk has the program make plans over a large directory: first with an empty ledger, then with one that has
// everybody, which the walk compares with.
func (b *bench) measureWalk(ctx context.Context) error {
	slapd, err := b.bigSlapd()
	if err != nil {
		return err
	}
	br, err := b.newBridgeAt(ctx, place{slapd: slapd, sandbox: sandbox.Options{PerSecond: sandbox.Unlimited,
		PerDay: sandbox.Unlimited}}, "walk", "p-256", set{
		"provisioning.max_create": "1000000",
	})
	if err != nil {
		return err
	}
	if err := br.mapGroups(ctx, slapd); err != nil {
		return err
	}
	first, err := br.makePlan(ctx)
	if err != nil {
		return err
	}
	b.report.note("plan over an empty ledger", "%s, %s at its highest, %d people, %d to be created",
		first.took.Round(time.Millisecond), mb(first.memory), first.Plan.People, first.Plan.Creations)
	if _, err := br.command(ctx, "users", "adopt", "--plan", "--yes"); err != nil {
		return err
	}
	second, err := br.makePlan(ctx)
	if err != nil {
		return err
	}
	if second.Plan.Creations != 0 || first.Plan.Creations == 0 {
		return fmt.Errorf("plans would create %d and then %d, want some and then none", first.Plan.Creations,
			second.Plan.Creations)
	}
	b.report.figure(walkTime, float64(max(first.took, second.took)))
	b.report.figure(walkMemory, max(first.memory, second.memory))
	return nil
}

// madePlan is a plan with what it took to make it.
type madePlan struct {
	planned
	took   time.Duration
	memory float64
}

// makePlan runs provision plan as a process of its own.
func (br *bridge) makePlan(ctx context.Context) (p madePlan, err error) {
	began := time.Now()
	if p.memory, err = memoryOf(ctx, br.binary, "provision", "plan", "--config", br.config()); err != nil {
		return p, fmt.Errorf("provision plan: %w", err)
	}
	p.took = time.Since(began)
	text, err := br.command(ctx, "provision", "show", "--json")
	if err != nil {
		return p, err
	}
	p.planned, err = readPlan(text)
	return p, err
}

// The large directory: groups in chains of five, the last two of each in a circle, one with half of all people. Every
// fiftieth is mapped.
const (
	walkPeople = 100_000
	walkGroups = 10_000
	walkMapped = 200
)

// bigSlapd is the large directory; the parts that need it share it.
func (b *bench) bigSlapd() (_ *directorytest.Slapd, err error) {
	if b.big == nil {
		b.progress("  loading %d people and %d groups into slapd", walkPeople, walkGroups)
		b.big, err = b.newSlapd("big-directory", walkDirectory())
	}
	return b.big, err
}

func walkDirectory() directorytest.SlapdOptions {
	return directorytest.SlapdOptions{Empty: true, People: walkPeople, Groups: walkGroups, MembersPerGroup: 30,
		BigGroup: walkPeople / 2, NestDepth: 5}
}

// mapGroups maps some of the groups by a file, as an admin would.
func (br *bridge) mapGroups(ctx context.Context, slapd *directorytest.Slapd) error {
	var text strings.Builder
	text.WriteString("mappings:\n")
	for i := range walkMapped {
		fmt.Fprintf(&text, "  - {group: %q, account: %s, role: campaign_creator, priority: %d}\n",
			slapd.GroupDN(directorytest.LoadGroup(i*walkGroups/walkMapped)), account, i+1)
	}
	file := filepath.Join(br.dir, "mappings.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write the mappings: %w", err)
	}
	_, err := br.command(ctx, "mapping", "apply", file, "--yes")
	return err
}
