package console

import (
	"bytes"
	"fmt"
	"net/http"

	"ssobridge/web"
	"ssobridge/web/admin"
)

func (k *Console) exportMappings(r *request) error {
	var b bytes.Buffer
	if err := k.Mappings.Export(r.ctx(), admin.Everything(), &b); err != nil {
		return fmt.Errorf("export mappings: %w", err)
	}
	return r.File("mappings.yaml", "application/yaml", b.Bytes())
}

type importMappingsView struct {
	Form    form
	Effects *effectsView
	Same    bool
}

func (k *Console) importPage(r *request) error {
	var b bytes.Buffer
	if err := k.Mappings.Export(r.ctx(), admin.Everything(), &b); err != nil {
		f, status, err := r.refusedFields(err, nil)
		if err != nil {
			return err
		}
		return r.show(status, "mappings-import", r.text("mappings.import"), importMappingsView{Form: f})
	}
	f, err := r.newForm(web.Fields{"file": b.String()}, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "mappings-import", r.text("mappings.import"), importMappingsView{Form: f})
}

// importMappings takes a whole set: what it would change is shown first.
func (k *Console) importMappings(r *request) error {
	show := func(values web.Fields, effects *effectsView, same bool) error {
		f, err := r.newForm(values, nil)
		if err != nil {
			return err
		}
		return r.show(http.StatusOK, "mappings-import", r.text("mappings.import"), importMappingsView{f, effects, same})
	}
	refuse := func(err error) error {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return r.show(status, "mappings-import", r.text("mappings.import"), importMappingsView{Form: f})
	}
	set, err := k.Mappings.ReadFile(r.ctx(), admin.Everything(), []byte(r.Form["file"]), false, r.actor())
	if err != nil {
		return refuse(err)
	}
	if set.Empty() {
		return show(r.Form, nil, true)
	}
	if r.Form["seen"] != set.Seen {
		effects, err := k.effects(r, set.Change)
		if err != nil {
			return refuse(err)
		}
		return show(web.Fields{"file": r.Form["file"], "seen": set.Seen}, effects, false)
	}
	if err := k.Mappings.Apply(r.ctx(), admin.Everything(), set, r.actor()); err != nil {
		return refuse(err)
	}
	return r.done(mappingsPath, "mapping.imported")
}
