package console

import (
	"fmt"
	"net/http"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

func (k *Console) ourMetadata(r *request) error {
	doc, err := k.Provider.Metadata(r.ctx())
	if err != nil {
		return fmt.Errorf("make our metadata: %w", err)
	}
	return r.show(http.StatusOK, "providers-metadata", r.text("providers.ours"), struct{ Document, Address string }{
		string(doc), k.public.JoinPath("saml", "metadata").String(),
	})
}

// metadataDownload is the copy to hand over, which has no end.
func (k *Console) metadataDownload(r *request) error {
	doc, err := k.Provider.MetadataFile(r.ctx(), "", false)
	if err != nil {
		return fmt.Errorf("make our metadata: %w", err)
	}
	return r.File("ssobridge-metadata.xml", "application/samlmetadata+xml", doc)
}

// handover is the one page that the support engineer of Constant Contact needs.
func (k *Console) handover(r *request) error {
	list, err := k.Keys.List(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	all, err := k.Providers.List(r.ctx(), r.scope())
	if err != nil {
		return err
	}
	view := struct {
		EntityID, SSO, Metadata string
		Certificates            []admin.Key
		Provider                *store.ServiceProvider // Constant Contact, where it is registered
		Contact                 []string
		Date                    time.Time
	}{
		EntityID: k.EntityID, SSO: k.public.JoinPath("saml", "sso").String(), Metadata: k.public.JoinPath("saml",
			"metadata").String(),
		Contact: k.Contacts, Date: k.now(),
	}
	for _, key := range list.Keys {
		if key.Use == admin.Signing && (key.State == admin.KeyActive || key.State == admin.KeyPublished) {
			view.Certificates = append(view.Certificates, key)
		}
	}
	for i := range all {
		if all[i].Kind == store.ConstantContact && view.Provider == nil {
			view.Provider = &all[i].ServiceProvider
		}
	}
	return r.show(http.StatusOK, "providers-handover", r.text("providers.handover"), view)
}
