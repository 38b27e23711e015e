package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// namedAccounts is how many client accounts a verdict names.
const namedAccounts = 3

// judge says whether and where a person can sign in, or why not and what to do. What stops the person everywhere comes
// before what stops them in one place. shown are the client accounts on the page, refused those that refuse.
func (k *Console) judge(r *request, v *personView, access admin.Access, shown []admin.Given,
	refused map[store.AccountID]provisioning.Decision) {
	say := func(kind, title string, pairs ...any) *callout {
		v.Verdict = callout{Kind: kind, Verdict: true, Title: r.text("people.verdict."+title,
			append([]any{"who", v.Name}, pairs...)...)}
		return &v.Verdict
	}
	// act offers what fixes a reason.
	act := func(c *callout, reason string) {
		text := idp.TextOf(reason)
		c.Text = strings.TrimSpace(r.said(text.Cause) + " " + r.said(text.Fix))
		todo, ok := r.fixOf(admin.Act(text.Act), "")
		if ok && todo.Path != "" && !strings.HasPrefix(todo.Path, peoplePath) { // this is the person's page
			c.Acts = append(c.Acts, link(todo))
		}
	}
	until := func(at time.Time) string { return relative(k.texts, at, k.now()) }
	lockout := slices.IndexFunc(v.Lockouts, func(l idp.Lockout) bool { return l.Everybody })
	switch {
	case v.Fault != nil:
		c := say("warn", "silent")
		c.Text, c.Acts = v.Unread, []link{{r.text("act.run-check"), web.ConsoleHome}}
	case v.Source != nil && judgeSource(r, v, say):
	case v.Gone():
		say("bad", "gone").Text = r.text("people.gone")
	case v.Locked != nil && !v.Locked.Until.IsZero():
		say("bad", "lockeduntil", "until", until(v.Locked.Until)).Text = r.text("people.verdict.unlock")
	case v.Locked != nil:
		say("bad", "locked").Text = r.text("people.verdict.unlock")
	case v.Entry.Problem != "":
		act(say("bad", "cant"), string(v.Entry.Problem))
	case lockout >= 0:
		say("bad", "lockout", "until", until(v.Lockouts[lockout].Until)).Text = r.text("people.verdict.lift")
		v.Lifts = v.Helps
	case v.Source != nil && len(access.Given) == 0:
		say("bad", "sourcenothing", "source", v.Source.Name).Text = r.text("people.verdict.sourcegive")
	case len(access.Given) == 0:
		c := say("bad", "nomapping")
		c.Text = r.text("people.verdict.map")
		if v.Admin {
			c.Acts = append(c.Acts, link{r.text("people.verdict.add"), mappingsPath + "/new"})
		}
		c.Acts = append(c.Acts, link{r.text("people.verdict.why"), personTab(v.ID, groupsTab)})
	case !slices.ContainsFunc(v.Providers, func(p admin.Provider) bool {
		return p.Kind == store.ConstantContact && p.Enabled
	}):
		c := say("bad", "noprovider")
		c.Text, c.Acts = r.text("people.verdict.provider"), []link{{r.text("area.providers"), providersPath}}
	case len(refused) == 0:
		c := say("ok", "ok", "where", placesText(r, shown, len(access.Given)))
		if v.Source != nil {
			c.Text = r.text("people.verdict.bytoken", "source", v.Source.Name, "when", until(v.Source.SeenAt))
		} else if len(v.Lockouts) > 0 {
			c.Kind, c.Text = "warn", r.text("people.verdict.partly", "until", until(v.Lockouts[0].Until))
			v.Lifts = v.Helps
		} else if slices.ContainsFunc(shown, func(g admin.Given) bool { return g.User.State == "" }) {
			c.Text = r.text("people.verdict.created")
		}
	default:
		in := slices.DeleteFunc(slices.Clone(shown), func(g admin.Given) bool { _, no := refused[g.Account]; return no })
		first := shown[slices.IndexFunc(shown, func(g admin.Given) bool { _, no := refused[g.Account]; return no })]
		not := cmp.Or(first.Name, string(first.Account))
		if len(in) == 0 {
			act(say("bad", "refused", "not", not), string(refused[first.Account].Reason))
			return
		}
		act(say("warn", "some", "where", placesText(r, in, len(access.Given)-len(refused)), "not", not),
			string(refused[first.Account].Reason))
	}
}

// judgeSource says why somebody can't sign in whose source is off, or who is not known; false: nothing of it stands
// against them.
func judgeSource(r *request, v *personView, say func(kind, title string, pairs ...any) *callout) bool {
	title := ""
	switch {
	case v.Gone():
		title = "sourceunseen"
	case v.Source.State == admin.SourceDisabled:
		title = "sourceoff"
	case v.Source.State == admin.SourceNotConfigured:
		title = "sourcegone"
	case v.Source.SeenAt.IsZero():
		title = "sourcenew"
	default:
		return false
	}
	say("bad", title, "source", v.Source.Name).Text = r.text("people.verdict."+title+".do", "source", v.Source.Name)
	return true
}

// placesText names client accounts in a sentence; all is how many there are.
func placesText(r *request, some []admin.Given, all int) string {
	var names []string
	for _, g := range some[:min(len(some), namedAccounts)] {
		names = append(names, cmp.Or(g.Name, string(g.Account)))
	}
	if more := all - len(names); more > 0 {
		return r.text("people.verdict.more", "names", strings.Join(names, ", "), "count", more)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return r.text("people.verdict.and", "names", strings.Join(names[:last], ", "), "last", names[last])
}
