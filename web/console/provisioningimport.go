package console

import (
	"net/http"
	"strings"

	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

const tellPath = provisioningPath + "/users/tell"

// tellView is the page on which users are imported that exist already.
type tellView struct {
	Form   form
	Seen   []admin.AdoptionItem // what would become of each line
	More   int
	Faults int
	Counts []admin.AdoptionCount // what became of all
}

// shownTellings is how many lines of a file a page shows.
const shownTellings = 200

func (k *Console) tellPage(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showTell(r, http.StatusOK, tellView{Form: f})
}

func (k *Console) showTell(r *request, status int, v tellView) error {
	return r.show(status, "provisioning-tell", r.text("provisioning.tell"), v)
}

// tellUsers takes a CSV file of users that exist already: what would become of each line
// is shown first. An export of the ledger is imported at once, as by the command.
func (k *Console) tellUsers(r *request) error {
	file := strings.NewReader(r.Form["file"])
	if r.Form["do"] == "import" {
		counts, err := k.Users.Import(r.ctx(), r.scope(), file, r.actor())
		if err != nil {
			return k.refusedFile(r, err)
		}
		return k.showAdopted(r, counts)
	}
	adoption, err := k.Users.ReadAdoption(r.ctx(), r.scope(), file, false)
	if err != nil {
		return k.refusedFile(r, err)
	}
	if r.Form["do"] != "tell" || r.Form["seen"] != adoption.Seen {
		return k.previewAdoption(r, adoption)
	}
	counts, err := k.Users.Adopt(r.ctx(), r.scope(), adoption, r.actor())
	if err != nil {
		return k.refusedFile(r, err)
	}
	return k.showAdopted(r, counts)
}

// refusedFile shows the page again with what is wrong with the file.
func (k *Console) refusedFile(r *request, err error) error {
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showTell(r, status, tellView{Form: f})
}

func (k *Console) previewAdoption(r *request, a admin.Adoption) error {
	f, err := r.newForm(web.Fields{"file": r.Form["file"], "seen": a.Seen}, nil)
	if err != nil {
		return err
	}
	v := tellView{Form: f, Seen: a.Items, Faults: a.Faults}
	if len(v.Seen) > shownTellings {
		v.Seen, v.More = v.Seen[:shownTellings], len(v.Seen)-shownTellings
	}
	return k.showTell(r, http.StatusOK, v)
}

func (k *Console) showAdopted(r *request, counts map[store.Adoption]int) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showTell(r, http.StatusOK, tellView{Form: f, Counts: admin.AdoptionCounts(counts)})
}
