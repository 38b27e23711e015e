package console

import (
	"net/http"

	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

func (k *Console) ourMetadata(r *request) error {
	doc, err := k.OurMetadata.Served(r.ctx(), "")
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "providers-metadata", r.text("providers.ours"), struct{ Document, Address string }{
		string(doc), k.public.JoinPath("saml", "metadata").String(),
	})
}

// metadataDownload is the copy to hand over, which has no end.
func (k *Console) metadataDownload(r *request) error {
	doc, err := k.OurMetadata.File(r.ctx(), "", false)
	if err != nil {
		return err
	}
	return r.File("ssobridge-metadata.xml", "application/samlmetadata+xml", doc)
}

// handover is the one page that the support engineer of Constant Contact needs, or of the service provider that the
// query names.
func (k *Console) handover(r *request) error {
	sheet, err := k.Handover.Sheet(r.ctx(), r.scope(), plaintext.Cut(r.QueryParam("id"), 1024))
	if e, ok := admin.AsError(err); ok && e.Kind == admin.Missing {
		return r.Missing("service provider")
	}
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "providers-handover", r.text("providers.handover"), sheet)
}
