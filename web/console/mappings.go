package console

import (
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const mappingsPath = "/admin/mappings"

func (k *Console) mappingsRoutes() []route {
	return []route{
		get(mappingsPath, idp.Viewer, k.mappings),
		get(mappingsPath+"/new", idp.Admin, k.newMapping),
		post(mappingsPath+"/new", idp.Admin, k.addMapping).fresh(),
		get(mappingsPath+"/groups", idp.Viewer, k.findGroups),
		get(mappingsPath+"/group", idp.Viewer, k.groupMembers),
		get(namedPath, idp.Viewer, k.namedGroups),
		post(namedPath, idp.Admin, k.acceptNamed).fresh(),
		post(namedPath+"/look", idp.Operator, k.lookNamed),
		get(mappingsPath+"/of/:id", idp.Viewer, k.mapping),
		post(mappingsPath+"/of/:id", idp.Admin, k.editMapping).fresh(),
		post(mappingsPath+"/of/:id/undo", idp.Admin, k.undoMapping).fresh(),
		get(mappingsPath+"/history", idp.Viewer, k.mappingHistory),
		get(mappingsPath+"/export.yaml", idp.Viewer, k.exportMappings),
		get(mappingsPath+"/import", idp.Admin, k.importPage),
		post(mappingsPath+"/import", idp.Admin, k.importMappings).fresh(),
	}
}

type mappingRow struct {
	store.Mapping
	Who  string
	Name string // of the person, where the mapping names one who is known
	Of   string // the name of the client account, where one is listed
	Risk string // who else can decide by it
	Stop string // of a pattern without a group base: when it stops

	ExternalID string // of the owner's user whom a change of mappings tells

	People  int  // to whom it gave a client account at the last plan
	Counted bool // the last plan knows it

	Up, Down int64 // the mappings whose place it takes to count before or after them; 0: none
}

// placed are the rows of all mappings, each with its neighbours of another priority. Owners' mappings keep theirs.
func placed(all []store.Mapping) []mappingRow {
	rows := make([]mappingRow, 0, len(all))
	for _, m := range all {
		rows = append(rows, rowOf(m))
	}
	neighbours := func(order iter.Seq[int], set func(row *mappingRow, id int64)) {
		var before, same *mappingRow // the last one of another priority, and of this one
		for i := range order {
			row := &rows[i]
			if row.Role == store.Owner {
				continue
			}
			if same != nil && same.Priority != row.Priority {
				before = same
			}
			if same = row; before != nil {
				set(row, before.ID)
			}
		}
	}
	forward := func(yield func(int) bool) {
		for i := range rows {
			if !yield(i) {
				return
			}
		}
	}
	backward := func(yield func(int) bool) {
		for i := range rows {
			if !yield(len(rows) - 1 - i) {
				return
			}
		}
	}
	neighbours(forward, func(row *mappingRow, id int64) { row.Up = id })
	neighbours(backward, func(row *mappingRow, id int64) { row.Down = id })
	return rows
}

func rowOf(m store.Mapping) mappingRow {
	return mappingRow{Mapping: m, Who: mapping.Describe(m), Risk: mapping.Risk(m)}
}

// nameBaseless says of the patterns among the rows that have no group base when they stop. Shown to an administrator,
// who can give them one, they count as named.
func (k *Console) nameBaseless(r *request, rows []mappingRow) error {
	list := make([]store.Mapping, 0, len(rows))
	for _, row := range rows {
		list = append(list, row.Mapping)
	}
	ends, err := k.Mappings.Stops(r.ctx(), r.scope(), list, r.may(idp.Admin), store.NoticeInConsole, r.actor())
	for i := range rows {
		if stop, ok := ends[rows[i].ID]; ok {
			rows[i].Stop = mapping.StopText(stop)
		}
	}
	return err
}

// namePeople says how the people are called whom mappings name by their ids.
func (k *Console) namePeople(r *request, rows []mappingRow) error {
	var ids []store.PersonID
	for _, row := range rows {
		if row.Person != "" {
			ids = append(ids, row.Person)
		}
	}
	names, err := k.People.Names(r.ctx(), r.scope(), ids)
	for i := range rows {
		rows[i].Name = names[rows[i].Person]
	}
	return err
}

// nameAccounts says how the client accounts are called that mappings give.
func (k *Console) nameAccounts(r *request, rows []mappingRow) error {
	var ids []store.AccountID
	for _, row := range rows {
		ids = append(ids, row.Account)
	}
	names, err := k.ClientAccounts.Names(r.ctx(), r.scope(), ids)
	for i := range rows {
		rows[i].Of = names[rows[i].Account]
	}
	return err
}

// accountsLike are the client accounts whose name or id has a text in it; none for no text.
func (k *Console) accountsLike(r *request, text string) (map[store.AccountID]bool, error) {
	like := map[store.AccountID]bool{}
	if text == "" {
		return like, nil
	}
	list, _, err := k.ClientAccounts.List(r.ctx(), r.scope(), admin.ClientAccountFilter{Find: text})
	for _, one := range list {
		like[one.ID] = true
	}
	return like, err
}

func (k *Console) mappings(r *request) error {
	all, err := k.Mappings.List(r.ctx(), admin.Everything())
	if err != nil {
		return err
	}
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	if moved, err := strconv.ParseInt(r.QueryParam("moved"), 10, 64); err == nil {
		if err := k.offerMappingUndo(r, moved); err != nil {
			return err
		}
	}
	view := struct {
		Form        form
		Find        string
		Mappings    []mappingRow
		First, Next string
		Total       int
		Admin       bool
		CountedAt   time.Time // zero: no plan was made yet
	}{Form: f, Find: plaintext.Cut(r.QueryParam("find"), 200), Total: len(all), Admin: r.may(idp.Admin)}
	after, _ := strconv.Atoi(r.QueryParam("after")) // none: the first page
	seen := 0
	like, err := k.accountsLike(r, view.Find)
	if err != nil {
		return err
	}
	for _, row := range placed(all) {
		if !like[row.Account] &&
			!strings.Contains(strings.ToLower(row.Who+" "+string(row.Account)), strings.ToLower(view.Find)) {
			continue
		}
		if seen++; seen <= after {
			continue
		}
		if len(view.Mappings) == pageSize {
			view.Next = mappingsPath + "?" + url.Values{"find": {view.Find}, "after": {strconv.Itoa(after + pageSize)}}.Encode()
			break
		}
		view.Mappings = append(view.Mappings, row)
	}
	if err := k.nameBaseless(r, view.Mappings); err != nil {
		return err
	}
	if err := k.namePeople(r, view.Mappings); err != nil {
		return err
	}
	if err := k.nameAccounts(r, view.Mappings); err != nil {
		return err
	}
	counted, err := k.Mappings.MappedPeople(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view.CountedAt = counted.At
	for i, row := range view.Mappings {
		n, known := counted.People[row.ID]
		view.Mappings[i].People, view.Mappings[i].Counted = n, known
	}
	if after > 0 {
		view.First = mappingsPath + "?" + url.Values{"find": {view.Find}}.Encode()
	}
	return r.show(http.StatusOK, "mappings", r.text("area.mappings"), view)
}

// effectsView is what a change would mean, for whom.
type effectsView struct {
	provisioning.Effects
	List  []provisioning.Effect
	More  int
	Share int // of what plans may still call today, in percent
	Add   []mappingRow
	Drop  []mappingRow

	Without string // why nobody is created for some of those who gain access

	Names map[store.AccountID]string // of the client accounts in List
}

// others says why nobody is created for some of those who gain access, in one sentence; "" where there are none.
func (v *effectsView) others(r *request) string {
	var parts []string
	for _, why := range provisioning.WithoutCreations() {
		if n := v.Effects.Others[why]; n > 0 {
			parts = append(parts, r.text("mappings.other."+string(why), "count", n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return r.text("mappings.others", "list", strings.Join(parts, ", "))
}

const shownEffects = 100

func (k *Console) effects(r *request, change mapping.Change) (*effectsView, error) {
	v := &effectsView{}
	for _, m := range change.Add {
		row := rowOf(m)
		row.ExternalID = change.OwnersID(m)
		v.Add = append(v.Add, row)
	}
	for _, m := range change.Remove {
		v.Drop = append(v.Drop, rowOf(m))
	}
	var err error
	v.Effects, err = k.Mappings.Effects(r.ctx(), admin.Everything(), change, func(e provisioning.Effect) error {
		if len(v.List) < shownEffects {
			v.List = append(v.List, e)
		} else {
			v.More++
		}
		return nil
	})
	v.Share = int(100 * v.Forecast.TodayShare)
	v.Without = v.others(r)
	if err != nil {
		return v, err
	}
	var ids []store.AccountID
	for _, e := range v.List {
		ids = append(ids, e.Account)
	}
	if v.Names, err = k.ClientAccounts.Names(r.ctx(), r.scope(), ids); err != nil {
		return v, err
	}
	return v, errors.Join(k.nameAccounts(r, v.Add[:min(len(v.Add), shownEffects)]),
		k.nameAccounts(r, v.Drop[:min(len(v.Drop), shownEffects)]))
}

// mappingRoles are the roles that a mapping gives; "" is captured by the pattern.
var mappingRoles = []store.Role{store.AccountManager, store.CampaignCreator, store.Owner}
