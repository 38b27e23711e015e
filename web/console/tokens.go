package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const tokensPath = "/admin/tokens"

func (k *Console) tokensRoutes() []route {
	return []route{
		get(tokensPath, idp.Viewer, k.tokens),
		get(tokensPath+"/new", idp.Admin, k.newToken),
		post(tokensPath+"/new", idp.Admin, k.createToken).fresh(),
		get(tokensPath+"/of/:token/rotate", idp.Admin, k.rotateTokenPage),
		post(tokensPath+"/of/:token/rotate", idp.Admin, k.rotateToken).fresh(),
		get(tokensPath+"/of/:token/revoke", idp.Admin, k.revokeTokenPage),
		post(tokensPath+"/of/:token/revoke", idp.Admin, k.revokeToken).fresh(),
	}
}

func tokenPath(id, act string) string { return tokensPath + "/of/" + url.PathEscape(id) + "/" + act }

// tokenRow is a token in the list.
type tokenRow struct {
	admin.Token
	Kind  string // of its badge
	Lives bool   // it can be used, and no rotation has taken its place
}

// tokens lists those that can be used, and those that ended within a month.
func (k *Console) tokens(r *request) error {
	list, err := k.Tokens.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		Rows        []tokenRow
		Live        int
		NextEnd     time.Time // of those that can be used
		Served      bool
		Admin       bool
		LeadKind    string
		EndsSoon    int
		AnywhereAll int // can be used from anywhere
	}{Served: k.APIServed, Admin: r.may(idp.Admin), LeadKind: "ok"}
	for _, t := range list {
		row := tokenRow{Token: t, Kind: "off"}
		switch t.State {
		case admin.TokenLive:
			row.Kind, row.Lives = "ok", true
			view.Live++
			if view.NextEnd.IsZero() || t.ExpiresAt.Before(view.NextEnd) {
				view.NextEnd = t.ExpiresAt
			}
			if len(t.Networks) == 0 {
				view.AnywhereAll++
			}
		case admin.TokenRotated:
			row.Kind = "info"
		}
		view.Rows = append(view.Rows, row)
	}
	if ending, err := k.Tokens.Ending(r.ctx()); err != nil {
		return err
	} else if view.EndsSoon = len(ending); view.EndsSoon > 0 {
		view.LeadKind = "warn"
	}
	return r.show(http.StatusOK, "tokens", r.text("area.tokens"), view)
}

// tokenScopes are the scopes as the form has them.
type tokenScope struct {
	admin.TokenScope
	Field string // its name in the form
}

// scopeField stands before the name of a scope in the form.
const scopeField = "scope-"

func tokenScopes() (all []tokenScope) {
	for _, s := range admin.TokenScopes() {
		all = append(all, tokenScope{s, scopeField + s.Name})
	}
	return all
}

func (k *Console) newToken(r *request) error {
	f, err := r.newForm(map[string]string{"days": "90"}, nil)
	if err != nil {
		return err
	}
	return k.showNewToken(r, http.StatusOK, f)
}

func (k *Console) showNewToken(r *request, status int, f form) error {
	return r.show(status, "tokens-new", r.text("tokens.new"), struct {
		Form           form
		Scopes         []tokenScope
		Vouched        bool
		Longest, Short int
	}{f, tokenScopes(), r.Admin.Vouched, days(admin.LongestToken), days(admin.PrivilegedToken)})
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

// vouchedBy is who has given a second factor with the login of the last minutes, for a privileged scope: the same that
// the command asks for. "" where nobody has.
func (r *request) vouchedBy() store.PersonID {
	if !r.Admin.Vouched {
		return ""
	}
	return r.Admin.Person
}

// unvouched refuses a privileged scope to somebody who has given no second factor with this login. The rule itself is
// web/admin's, which takes nothing without a person who vouches; here is what to do about it in the console.
func (r *request) unvouched(scopes []string) error {
	for _, name := range scopes {
		if s, known := admin.FindTokenScope(name); known && s.Privileged && !r.Admin.Vouched {
			return &admin.Error{Kind: admin.Forbidden, Field: "scope", Fault: r.text("tokens.unvouched", "scope", name),
				Hint: r.text("tokens.unvouched.hint")}
		}
	}
	return nil
}

// manyDays bounds what is typed as a number of days, so that it stays a duration: the rule is web/admin's.
const manyDays = 10_000

// typedDays reads a number of days; what is none is one that web/admin refuses.
func typedDays(text string) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > manyDays {
		return -1
	}
	return time.Duration(n) * 24 * time.Hour
}

// typedLines are the lines of a text area, without blanks and empty ones.
func typedLines(text string) (all []string) {
	for line := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == '\n' || c == '\r' || c == ',' }) {
		if line = store.TrimTyped(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func (k *Console) createToken(r *request) error {
	in := admin.TokenInput{Name: r.Form["name"], Accounts: typedLines(r.Form["account"]),
		Networks: typedLines(r.Form["from"]), Life: typedDays(r.Form["days"]),
		PublicKey: store.TrimTyped(r.Form["key"]), VouchedBy: r.vouchedBy()}
	for _, s := range tokenScopes() {
		if r.Form[s.Field] != "" {
			in.Scopes = append(in.Scopes, s.Name)
		}
	}
	err := r.unvouched(in.Scopes)
	if err == nil {
		var made admin.NewToken
		if made, err = k.Tokens.Create(r.ctx(), r.scope(), in, r.event("", "")); err == nil {
			return k.showMadeToken(r, made, time.Time{})
		}
	}
	f, status, err := r.refusedFields(err, r.Form, "name", "scope", "account", "from", "expires", "key")
	if err != nil {
		return err
	}
	return k.showNewToken(r, status, f)
}

// showMadeToken shows a token this once. It answers the form itself: no address shows the text again, and a reload
// sends a form that was taken already.
func (k *Console) showMadeToken(r *request, made admin.NewToken, oldEnds time.Time) error {
	r.crumbs = []link{{r.text("area.tokens"), tokensPath}}
	return r.show(http.StatusOK, "tokens-made", r.text("tokens.made"), struct {
		admin.NewToken
		OldEnds time.Time
		Served  bool
		API     string
		// Endpoint is where a client with a key gets access tokens.
		Endpoint string
	}{made, oldEnds, k.APIServed, k.public.JoinPath("api", "v1").String(),
		k.public.JoinPath("api", "v1", "token").String()})
}

// tokenOf is the token of the address, which a form is about; ok is false where there is none that can be rotated.
func (k *Console) tokenOf(r *request) (t admin.Token, ok bool, err error) {
	t, err = k.Tokens.Get(r.ctx(), r.scope(), plaintext.Cut(r.Param("token"), 100))
	if e, refused := admin.AsError(err); refused && e.Kind == admin.Missing {
		return t, false, nil
	}
	return t, err == nil && t.State == admin.TokenLive, err
}

func (k *Console) rotateTokenPage(r *request) error {
	t, ok, err := k.tokenOf(r)
	if err != nil {
		return err
	}
	if !ok {
		return r.Missing("token that can be used")
	}
	f, err := r.newForm(map[string]string{"overlap": strconv.Itoa(int(admin.DefaultOverlap / time.Hour)),
		"days": strconv.Itoa(days(t.ExpiresAt.Sub(t.CreatedAt)))}, nil)
	if err != nil {
		return err
	}
	return k.showRotate(r, http.StatusOK, t, f)
}

func (k *Console) showRotate(r *request, status int, t admin.Token, f form) error {
	return r.show(status, "tokens-rotate", r.text("tokens.rotate.title", "token", t.Name), struct {
		Form form
		T    admin.Token
	}{f, t})
}

func (k *Console) rotateToken(r *request) error {
	t, ok, err := k.tokenOf(r)
	if err != nil {
		return err
	}
	if !ok {
		return r.Missing("token that can be used")
	}
	hours, bad := strconv.Atoi(strings.TrimSpace(r.Form["overlap"]))
	if bad != nil || hours < 0 || hours > manyDays {
		hours = manyDays // which web/admin refuses
	}
	overlap := time.Duration(hours) * time.Hour
	if err = r.unvouched(t.Scopes); err == nil {
		var made admin.NewToken
		if made, err = k.Tokens.Rotate(r.ctx(), r.scope(), t.ID, admin.Rotation{Overlap: overlap,
			Life: typedDays(r.Form["days"]), PublicKey: store.TrimTyped(r.Form["key"]), VouchedBy: r.vouchedBy()},
			r.event("", "")); err == nil {
			return k.showMadeToken(r, made, k.now().Add(overlap))
		}
	}
	f, status, err := r.refusedFields(err, r.Form, "overlap", "expires", "key")
	if err != nil {
		return err
	}
	return k.showRotate(r, status, t, f)
}

func (k *Console) revokeTokenPage(r *request) error {
	t, err := k.Tokens.Get(r.ctx(), r.scope(), plaintext.Cut(r.Param("token"), 100))
	if e, refused := admin.AsError(err); refused && e.Kind == admin.Missing {
		return r.Missing("token")
	}
	if err != nil {
		return err
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	c := confirmation{Form: f, Question: r.text("tokens.revoke.question", "token", t.Name),
		Button: r.text("tokens.revoke"), Danger: true, Action: tokenPath(t.ID, "revoke"), Back: tokensPath,
		Points: []string{r.text("tokens.revoke.next"), r.text("tokens.revoke.final")}}
	if !t.UsedAt.IsZero() {
		c.Points = append(c.Points, r.text("tokens.revoke.used", "when", relative(k.texts, t.UsedAt, k.now())))
	}
	return r.show(http.StatusOK, "tokens-revoke", r.text("tokens.revoke"), c)
}

func (k *Console) revokeToken(r *request) error {
	err := k.Tokens.Revoke(r.ctx(), r.scope(), plaintext.Cut(r.Param("token"), 100), r.event("", ""))
	if e, refused := admin.AsError(err); refused && e.Kind == admin.Missing {
		r.Log(err)
		return r.Missing("token that can be used")
	}
	if err != nil {
		return err
	}
	return r.done(tokensPath, "token.revoked")
}
