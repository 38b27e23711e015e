package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const (
	noticesPath    = "/admin/notices"
	deliveriesPath = noticesPath + "/deliveries"
	deliveriesMost = 100
	maxNamed       = 200 // bytes of a name in an address
)

func (k *Console) noticesRoutes() []route {
	return []route{
		get(noticesPath, idp.Viewer, k.notices),
		get(deliveriesPath, idp.Viewer, k.deliveries),
		get(noticesPath+"/new", idp.Admin, k.newSubscription),
		post(noticesPath+"/new", idp.Admin, k.addSubscription).fresh(),
		get(noticesPath+"/one", idp.Admin, k.subscription),
		post(noticesPath+"/one", idp.Admin, k.setSubscription).fresh(),
		post(noticesPath+"/test", idp.Operator, k.testSubscription),
		post(noticesPath+"/resend", idp.Operator, k.resendNotices),
		get(noticesPath+"/remove", idp.Admin, k.removeSubscriptionPage),
		post(noticesPath+"/remove", idp.Admin, k.removeSubscription).fresh(),
	}
}

// onSubscription is where an act about a subscription is done.
func onSubscription(name string) string {
	if name == "" {
		return deliveriesPath
	}
	return deliveriesPath + "?" + url.Values{"name": {name}}.Encode()
}

// subscriptionRow is a subscription in the list.
type subscriptionRow struct {
	admin.NoticeSubscription
	Badge badge
	Quiet string // "" for none
}

// noticeTrouble is how long a notice that was given up is trouble, and noticeFailures how many tries in a row are: the
// same as the health snapshot says.
const (
	noticeTrouble  = 24 * time.Hour
	noticeFailures = 3
)

// subscriptionBadge is how a subscription stands, in a word.
func (r *request) subscriptionBadge(s admin.NoticeSubscription) badge {
	now := r.k.now()
	switch {
	case s.Unreadable:
		return badge{"bad", r.text("notices.state.unreadable")}
	case now.Sub(s.DeadAt) < noticeTrouble:
		return badge{"bad", r.text("notices.state.dead")}
	case now.Sub(s.DroppedAt) < noticeTrouble:
		return badge{"bad", r.text("notices.state.dropped")}
	case s.Failures >= noticeFailures:
		return badge{"bad", r.text("notices.state.failing")}
	case s.Failures > 0:
		return badge{"warn", r.text("notices.state.retrying")}
	case s.SentAt.IsZero():
		return badge{"off", r.text("notices.state.new")}
	}
	return badge{"ok", r.text("notices.state.ok")}
}

func (k *Console) notices(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showNotices(r, http.StatusOK, f, "")
}

// showNotices lists the subscriptions. answer is what a receiver said to a test.
func (k *Console) showNotices(r *request, status int, f form, answer string) error {
	list, err := k.Notices.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		Form         form
		Rows         []subscriptionRow
		Bad, Waiting int
		Answer       string
		Admin, Helps bool
	}{Form: f, Answer: answer, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator)}
	for _, s := range list {
		row := subscriptionRow{NoticeSubscription: s, Badge: r.subscriptionBadge(s)}
		if s.QuietFrom != s.QuietUntil {
			row.Quiet = admin.QuietText(s.Subscription)
		}
		if row.Badge.Kind == "bad" {
			view.Bad++
		}
		view.Waiting += s.Waiting
		view.Rows = append(view.Rows, row)
	}
	return r.show(status, "notices", r.text("area.notices"), view)
}

// deliveries lists what became of the last notices.
func (k *Console) deliveries(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showDeliveries(r, http.StatusOK, f, r.QueryParam)
}

// showDeliveries shows the page of them that query asks for.
func (k *Console) showDeliveries(r *request, status int, f form, query func(string) string) error {
	filter := admin.DeliveryFilter{Name: plaintext.Cut(query("name"), maxNamed), Undelivered: query("undelivered") != "",
		Limit: deliveriesMost}
	if place, err := admin.ParseDeliveryPlace(query("before")); err == nil {
		filter.Before = place
	}
	list, err := k.Notices.Deliveries(r.ctx(), r.scope(), filter)
	if e, refused := admin.AsError(err); refused && e.Kind == admin.Missing {
		r.Log(err)
		return r.Missing("subscription")
	}
	if err != nil {
		return err
	}
	address := func(undelivered bool, before string) string {
		q := url.Values{}
		if filter.Name != "" {
			q.Set("name", filter.Name)
		}
		if undelivered {
			q.Set("undelivered", "1")
		}
		if before != "" {
			q.Set("before", before)
		}
		return deliveriesPath + "?" + q.Encode()
	}
	view := struct {
		Form        form
		Name        string
		Undelivered bool
		Rows        []admin.NoticeDelivery
		Tabs        []tab
		First, Next string
		Helps       bool
	}{Form: f, Name: filter.Name, Undelivered: filter.Undelivered, Rows: list, Tabs: []tab{
		{r.text("notices.every"), address(false, ""), !filter.Undelivered},
		{r.text("notices.undelivered"), address(true, ""), filter.Undelivered}}, Helps: r.may(idp.Operator)}
	if filter.Before.Notice > 0 {
		view.First = address(filter.Undelivered, "")
	}
	if len(list) == deliveriesMost {
		view.Next = address(filter.Undelivered, list[len(list)-1].Place())
	}
	return r.show(status, "notices-deliveries", r.text("notices.deliveries"), view)
}

// resendNotices has one notice sent once more, or all of a subscription that were not delivered.
func (k *Console) resendNotices(r *request) error {
	name := plaintext.Cut(r.Form["name"], maxNamed)
	var notices []int64
	if text := r.Form["notice"]; text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return r.Missing("notice")
		}
		notices = append(notices, id)
	}
	if _, err := k.Notices.Resend(r.ctx(), r.scope(), name, notices, r.event("", "")); err != nil {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showDeliveries(r, status, f, func(field string) string {
			if field == "name" {
				return name
			}
			return ""
		})
	}
	return r.done(onSubscription(name), "notices.resent")
}

// deliveryKind is the kind of state that a delivery is in.
func deliveryKind(state string) string {
	switch state {
	case store.DeliverySent:
		return "ok"
	case store.DeliveryWaiting:
		return "info"
	}
	return "bad"
}

// classField stands before the name of a group of classes in the form.
const classField = "class-"

// noticeGroup are the classes of one group, as the form has them.
type noticeGroup struct {
	Pattern, Field string
	Classes        []store.NoticeClass
}

func noticeGroups() (all []noticeGroup) {
	for _, c := range store.NoticeClasses() {
		pattern := string(c)
		if name, _, grouped := strings.Cut(pattern, "."); grouped {
			pattern = name + ".*"
		}
		i := slices.IndexFunc(all, func(g noticeGroup) bool { return g.Pattern == pattern })
		if i < 0 {
			i = len(all)
			all = append(all, noticeGroup{Pattern: pattern, Field: classField + pattern})
		}
		all[i].Classes = append(all[i].Classes, c)
	}
	return all
}

// subscriptionFields are those of an error that the form has beside its fields.
var subscriptionFields = []string{"name", "kind", "class", "url", "to", "quiet"}

// noticeInput is what the form says of a subscription.
func (r *request) noticeInput(kind string) admin.NoticeInput {
	name, names, quiet := r.Form["name"], r.Form["names"] != "", strings.TrimSpace(r.Form["quiet"])
	if quiet == "" {
		quiet = "none"
	}
	in := admin.NoticeInput{Name: &name, Kind: kind, Names: &names, Quiet: &quiet, Classes: typedLines(r.Form["classes"])}
	for _, g := range noticeGroups() {
		if r.Form[g.Field] != "" {
			in.Classes = append(in.Classes, g.Pattern)
		}
	}
	if in.Classes == nil {
		in.Classes = []string{} // none were chosen, which is a fault; nil would leave them as they are
	}
	// An empty address leaves the one that is stored, which is not shown.
	if text := strings.TrimSpace(r.Form["url"]); text != "" {
		in.URL = &text
	}
	if to := typedLines(r.Form["to"]); len(to) > 0 {
		in.Mail = to
	}
	return in
}

// typedSubscription is what stays in a form that was refused. The address of a chat lets everybody write there who has
// it, so that no page shows it.
func (r *request) typedSubscription() web.Fields {
	values := web.Fields{}
	for name, value := range r.Form {
		if name != "url" {
			values[name] = value
		}
	}
	return values
}

func (k *Console) newSubscription(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showNewSubscription(r, http.StatusOK, f)
}

func (k *Console) showNewSubscription(r *request, status int, f form) error {
	view := struct {
		Form   form
		Kinds  []option
		Groups []noticeGroup
		Mails  bool
	}{Form: f, Groups: noticeGroups(), Mails: k.Notices.Mails}
	for _, kind := range admin.NoticeKinds() {
		view.Kinds = append(view.Kinds, option{kind, r.text("noticekind." + kind)})
	}
	return r.show(status, "notices-new", r.text("notices.new"), view)
}

func (k *Console) addSubscription(r *request) error {
	added, secret, err := k.Notices.Add(r.ctx(), r.scope(), r.noticeInput(r.Form["kind"]), r.event("", ""))
	if err != nil {
		f, status, err := r.refusedFields(err, r.typedSubscription(), subscriptionFields...)
		if err != nil {
			return err
		}
		return k.showNewSubscription(r, status, f)
	}
	if secret == "" {
		return r.done(noticesPath, "notices.added")
	}
	return k.showSecret(r, added, secret)
}

// showSecret shows the secret of a webhook this once, as the answer to the form itself.
func (k *Console) showSecret(r *request, s admin.NoticeSubscription, secret string) error {
	r.crumbs = []link{{r.text("area.notices"), noticesPath}}
	return r.show(http.StatusOK, "notices-secret", r.text("notices.secret.title", "subscription", s.Name), struct {
		S      admin.NoticeSubscription
		Secret string
	}{s, secret})
}

// subscriptionOf is the subscription that a request names.
func (k *Console) subscriptionOf(r *request, name string) (s admin.NoticeSubscription, ok bool, err error) {
	s, err = k.Notices.Get(r.ctx(), r.scope(), plaintext.Cut(name, maxNamed))
	if e, refused := admin.AsError(err); refused && e.Kind == admin.Missing {
		r.Log(err)
		return s, false, nil
	}
	return s, err == nil, err
}

func (k *Console) subscription(r *request) error {
	s, ok, err := k.subscriptionOf(r, r.QueryParam("name"))
	if err != nil {
		return err
	}
	if !ok {
		return r.Missing("subscription")
	}
	f, err := r.newForm(storedSubscription(s), nil)
	if err != nil {
		return err
	}
	return k.showSubscription(r, http.StatusOK, s, f)
}

// storedSubscription is what the form of a subscription shows first.
func storedSubscription(s admin.NoticeSubscription) web.Fields {
	values := web.Fields{"name": s.Name, "quiet": admin.QuietText(s.Subscription), "seen": s.Version}
	if s.Names {
		values["names"] = "1"
	}
	var rest []string
	for _, class := range s.Classes {
		if i := slices.IndexFunc(noticeGroups(), func(g noticeGroup) bool { return g.Pattern == class }); i >= 0 {
			values[classField+class] = "1"
		} else {
			rest = append(rest, class)
		}
	}
	values["classes"] = strings.Join(rest, "\n")
	return values
}

func (k *Console) showSubscription(r *request, status int, s admin.NoticeSubscription, f form) error {
	return r.show(status, "notices-one", s.Name, struct {
		Form   form
		S      admin.NoticeSubscription
		Groups []noticeGroup
	}{f, s, noticeGroups()})
}

func (k *Console) setSubscription(r *request) error {
	s, ok, err := k.subscriptionOf(r, r.Form["was"])
	if err != nil {
		return err
	}
	if !ok {
		return r.Missing("subscription")
	}
	in := r.noticeInput("")
	in.NewSecret = r.Form["secret"] != ""
	changed, secret, err := k.Notices.SetIf(r.ctx(), r.scope(), s.Name, admin.IsVersion(r.Form["seen"]), in,
		r.event("", ""))
	if err != nil {
		values := r.typedSubscription()
		if e, refused := admin.AsError(err); refused && e.Kind == admin.Changed {
			// What somebody else has stored is shown in place of what was typed over the former: saved again it would undo that.
			if s, ok, err = k.subscriptionOf(r, s.Name); err != nil {
				return err
			}
			if !ok {
				return r.Missing("subscription")
			}
			err, values = e, storedSubscription(s)
		}
		f, status, err := r.refusedFields(err, values, subscriptionFields...)
		if err != nil {
			return err
		}
		return k.showSubscription(r, status, s, f)
	}
	if secret == "" {
		return r.done(noticesPath, "notices.changed")
	}
	return k.showSecret(r, changed, secret)
}

// testSubscription sends a test at once, and shows what the receiver answered.
func (k *Console) testSubscription(r *request) error {
	answer, err := k.Notices.Test(r.ctx(), r.scope(), plaintext.Cut(r.Form["name"], maxNamed))
	status := http.StatusOK
	var f form
	if err != nil {
		f, status, err = r.refusedForm(err, nil)
	} else {
		f, err = r.newForm(nil, nil)
	}
	if err != nil {
		return err
	}
	return k.showNotices(r, status, f, answer)
}

func (k *Console) removeSubscriptionPage(r *request) error {
	s, ok, err := k.subscriptionOf(r, r.QueryParam("name"))
	if err != nil {
		return err
	}
	if !ok {
		return r.Missing("subscription")
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showRemoveSubscription(r, http.StatusOK, s, f)
}

func (k *Console) showRemoveSubscription(r *request, status int, s admin.NoticeSubscription, f form) error {
	return r.show(status, "notices-remove", r.text("notices.remove"), confirmation{Form: f,
		Question: r.text("notices.remove.question", "subscription", s.Name), Button: r.text("notices.remove"), Danger: true,
		Points: []string{r.text("notices.remove.waiting"), r.text("notices.remove.stop")},
		Action: noticesPath + "/remove", Back: noticesPath, Hidden: []option{{"name", s.Name}, {"seen", s.Version}}})
}

func (k *Console) removeSubscription(r *request) error {
	name := plaintext.Cut(r.Form["name"], maxNamed)
	err := k.Notices.RemoveIf(r.ctx(), r.scope(), name, admin.IsVersion(r.Form["seen"]), r.event("", ""))
	if e, refused := admin.AsError(err); refused && e.Kind == admin.Missing {
		r.Log(err)
		return r.Missing("subscription")
	} else if refused && e.Kind == admin.Changed {
		s, ok, err := k.subscriptionOf(r, name)
		if err != nil {
			return err
		}
		if !ok {
			return r.Missing("subscription")
		}
		f, status, err := r.refusedForm(e, nil)
		if err != nil {
			return err
		}
		return k.showRemoveSubscription(r, status, s, f)
	}
	if err != nil {
		return err
	}
	return r.done(noticesPath, "notices.removed")
}
