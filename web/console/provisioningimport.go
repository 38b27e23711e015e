package console

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const tellPath = provisioningPath + "/users/tell"

// tellView is the page on which users are told that exist already.
type tellView struct {
	Form   form
	Seen   []provisioning.AdoptionItem // what would become of each line
	More   int
	Faults int
	Counts []tellCount // what became of all
}

type tellCount struct {
	Outcome store.Adoption
	Count   int
}

// shownTellings is how many lines of a file a page shows.
const shownTellings = 200

func (k *Console) tellPage(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "provisioning-tell", r.text("provisioning.tell"), tellView{Form: f})
}

// tellUsers takes a CSV file of users that exist already: what would become of each line
// is shown first. An export of the ledger is imported at once, as by the command.
func (k *Console) tellUsers(r *request) error {
	refuse := func(err error) error {
		faults := provisioning.FieldErrors(err)
		if text := admin.DirectoryFault(err); text != "" {
			faults[""] = text
		}
		if len(faults) == 0 {
			return err
		}
		all := ""
		for _, field := range slices.Sorted(maps.Keys(faults)) {
			all += strings.TrimPrefix(field+": "+faults[field]+"\n", ": ")
		}
		f, ferr := r.newForm(web.Fields{"file": r.Form["file"]}, map[string]string{"": all})
		if ferr != nil {
			return ferr
		}
		return r.show(http.StatusUnprocessableEntity, "provisioning-tell", r.text("provisioning.tell"), tellView{Form: f})
	}
	counts := map[store.Adoption]int{}
	if r.Form["do"] == "import" {
		done, err := k.Provisioning.ImportUsers(r.ctx(), strings.NewReader(r.Form["file"]), r.actor())
		if err != nil {
			return refuse(err)
		}
		counts = done
	} else {
		told, err := provisioning.ReadKnownUsers(strings.NewReader(r.Form["file"]))
		if err != nil {
			return refuse(err)
		}
		seen, err := k.Provisioning.PreviewAdoption(r.ctx(), told)
		if err != nil {
			return refuse(err)
		}
		if r.Form["do"] != "tell" || r.Form["seen"] != fingerprint(fmt.Appendf(nil, "%+v", seen)) {
			return k.previewTold(r, seen)
		}
		done, err := k.Provisioning.AdoptUsers(r.ctx(), seen, r.actor())
		if err != nil {
			return err
		}
		for _, t := range done {
			if t.Fault == "" {
				counts[t.Outcome]++
			}
		}
	}
	return k.showTold(r, counts)
}

func (k *Console) previewTold(r *request, seen []provisioning.AdoptionItem) error {
	f, err := r.newForm(web.Fields{"file": r.Form["file"], "seen": fingerprint(fmt.Appendf(nil, "%+v", seen))}, nil)
	if err != nil {
		return err
	}
	v := tellView{Form: f, Seen: seen}
	for _, t := range seen {
		if t.Fault != "" {
			v.Faults++
		}
	}
	if len(v.Seen) > shownTellings {
		v.Seen, v.More = v.Seen[:shownTellings], len(v.Seen)-shownTellings
	}
	return r.show(http.StatusOK, "provisioning-tell", r.text("provisioning.tell"), v)
}

func (k *Console) showTold(r *request, counts map[store.Adoption]int) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	v := tellView{Form: f}
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		v.Counts = append(v.Counts, tellCount{outcome, counts[outcome]})
	}
	return r.show(http.StatusOK, "provisioning-tell", r.text("provisioning.tell"), v)
}
