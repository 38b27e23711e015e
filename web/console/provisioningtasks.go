package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// taskKinds are the kinds of manual tasks, in the order in which they are offered.
var taskKinds = []string{store.ItemLeaver, store.ItemDrift, store.ItemData}

func (k *Console) work(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	q := r.QueryParams()
	filter := store.ManualTaskFilter{Limit: pageSize, Done: q.Get("done_work") == "1"}
	if kind := q.Get("kind"); slices.Contains(taskKinds, kind) {
		filter.Kind = kind
	}
	if after, err := parseMicros(q.Get("since")); err == nil {
		filter.After = store.ManualTask{Since: after, Person: personNamed(q.Get("person")),
			Account: store.AccountID(plaintext.Cut(q.Get("account"), 100)), Kind: plaintext.Cut(q.Get("after_kind"), 20)}
	}
	list, err := k.Users.Tasks(r.ctx(), r.scope(), filter)
	if err != nil {
		return err
	}
	view := struct {
		Form   form
		Filter store.ManualTaskFilter
		Kinds  []string
		Work   []store.ManualTask
		First  string
		Next   string
		Helps  bool
		// Orders are those of people that wait for approval, since when the first has.
		Orders int
		Since  time.Time
	}{Form: f, Filter: filter, Kinds: taskKinds, Work: list, Helps: r.may(idp.Operator)}
	orders, err := k.SelfOrders.Waiting(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view.Orders = len(orders)
	for i, o := range orders {
		if i == 0 || o.CreatedAt.Before(view.Since) {
			view.Since = o.CreatedAt
		}
	}
	if len(list) == pageSize {
		last := list[pageSize-1]
		view.Next = provisioningPath + "/work?" + url.Values{
			"kind": {filter.Kind}, "since": {strconv.FormatInt(last.Since.UnixMicro(), 10)}, "person": {string(last.Person)},
			"account": {string(last.Account)}, "after_kind": {last.Kind}, "done_work": {q.Get("done_work")},
		}.Encode()
	}
	return r.show(http.StatusOK, "provisioning-work", r.text("provisioning.work"), view)
}

// workDone ticks off what an admin did at Constant Contact.
func (k *Console) workDone(r *request) error {
	account, err := k.accountNamed(r, r.Form["account"])
	if err != nil {
		r.Log(err)
		return r.Missing("work")
	}
	err = k.Users.TaskDone(r.ctx(), r.scope(), store.UserKey{Person: personNamed(r.Form["person"]), Account: account},
		r.Form["kind"], r.actor())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.Missing("work")
	case err != nil:
		return err
	}
	return r.done(provisioningPath+"/work", "ticked")
}
