package console

import (
	"slices"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// stripTile is a tile of the overview's strip: the parts of the health snapshot that it stands for, and the page that
// shows more. Each part belongs to exactly one.
type stripTile struct {
	name  string // with a text strip.NAME
	path  string
	parts []admin.Part
}

func stripTiles() []stripTile {
	return []stripTile{
		{"directory", "/admin/settings", []admin.Part{admin.PartDirectory}},
		{"constant_contact", provisioningPath, []admin.Part{admin.PartConstantContact, admin.PartBudget,
			admin.PartProvisioning}},
		// Constant Contact refuses sign-ins where the clock is off.
		{"single_sign_on", providersPath, []admin.Part{admin.PartProviders, admin.PartClock}},
		{"keys", keysPath, []admin.Part{admin.PartKeys, admin.PartExpiry}},
		{"store", "/admin/settings", []admin.Part{admin.PartStore, admin.PartJournal, admin.PartBackup}},
		{"audit", "/admin/audit", []admin.Part{admin.PartAudit, admin.PartLog}},
		{"notices", noticesPath, []admin.Part{admin.PartNotices}},
	}
}

// tilePath is the page that shows more of a part.
func tilePath(part admin.Part) string {
	for _, t := range stripTiles() {
		if slices.Contains(t.parts, part) {
			return t.path
		}
	}
	return provisioningPath
}

// tileSentence bounds what a tile says, in bytes: the list of parts has it all.
const tileSentence = 140

// tiles are the strip: each says how the worst of its parts is.
func (k *Console) tiles(r *request, h admin.Health, b store.BudgetStatus) (all []tile) {
	for _, s := range stripTiles() {
		t := tile{Name: r.text("strip." + s.name), Path: s.path, Kind: "off", State: r.text("health.unknown")}
		worst := admin.PartHealth{Level: -1}
		for _, part := range s.parts {
			p, looked := h.Part(part)
			longer := p.Level == worst.Level && p.Level != admin.OK && p.Since.Before(worst.Since)
			if looked && (p.Level > worst.Level || longer) {
				worst = p
			}
		}
		if worst.Level >= 0 {
			t.Kind, t.State, t.Since = kindOf(worst.Level), r.text("health."+worst.Level.Word()), worst.Since
		}
		switch f := worst.Worst(); {
		case worst.Level > admin.OK:
			t.Text = plaintext.Short(sentence(r.found(f)), tileSentence)
			if fix, _ := r.fixOf(f.Act, f.About); fix.Path != "" && fix.Path != "/admin/" {
				t.Link = link(fix)
			} else {
				t.Link = link{r.text("overview.details"), s.path}
			}
		case worst.Level == admin.OK:
			t.Text = k.tileFact(r, s.name, h, b)
		}
		all = append(all, t)
	}
	return all
}

// tileFact is what a tile says where nothing is wrong.
func (k *Console) tileFact(r *request, name string, h admin.Health, b store.BudgetStatus) string {
	relative := func(at time.Time) string { return relative(k.texts, at, k.now()) }
	switch name {
	case "constant_contact":
		return r.text("strip.fact.calls", "used", b.Used, "limit", b.Limit)
	case "single_sign_on":
		if h.SignedIn.IsZero() {
			return r.text("strip.fact.nobody")
		}
		return r.text("strip.fact.signedin", "when", relative(h.SignedIn))
	case "audit":
		if !h.Measured.Checkpoint.IsZero() {
			return r.text("strip.fact.checkpoint", "when", relative(h.Measured.Checkpoint))
		}
	}
	return r.text("strip.fact." + name)
}
