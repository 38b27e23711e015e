package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

const keysPath = "/admin/keys"

func (k *Console) keysRoutes() []route {
	return []route{
		get("/admin/keys", idp.Viewer, k.keys),
		get("/admin/keys/:key/certificate.pem", idp.Viewer, k.keyCertificate),
		post("/admin/keys/generate", idp.Admin, k.generateKey).fresh(),
		post("/admin/keys/publish", idp.Admin, k.publishKey).fresh(),
		post("/admin/keys/promote", idp.Admin, k.promoteKey).fresh(),
		post("/admin/keys/rollback", idp.Admin, k.rollbackKey).fresh(),
		post("/admin/keys/retire", idp.Admin, k.retireKey).fresh(),
	}
}

// Steps of a roll-over. Each is what has to happen next.
const (
	stepGenerate = 1 + iota
	stepPublish
	stepPromote
	stepRetire
)

// rollover is the guided path: which key is new, and where one stands.
type rollover struct {
	Step    int
	New     admin.Key         // from stepPublish to stepPromote
	Waiting []admin.SignedFor // not yet signed for by the new key
	Planned []admin.SignedFor // with a switch to come
	Old     []admin.Key       // that sign for nobody any more, at stepRetire
}

func rolloverOf(b admin.KeyList) rollover {
	var r rollover
	for _, key := range b.Keys {
		if key.Use != admin.Signing {
			continue
		}
		switch key.State {
		case admin.KeyNext:
			r.Step, r.New = stepPublish, key
		case admin.KeyPublished:
			if r.Step != stepPublish {
				r.Step, r.New = stepPromote, key
			}
		case admin.KeyRetiring:
			r.Old = append(r.Old, key)
		case admin.KeyActive:
			// Active for some, while an older one still signs for others.
			if r.Step == 0 && slices.ContainsFunc(b.SignedFor, func(h admin.SignedFor) bool { return h.Key != key.ID }) &&
				newest(b.Keys, key) {
				r.Step, r.New = stepPromote, key
			}
		}
	}
	if r.Step == stepPromote {
		for _, h := range b.SignedFor {
			switch {
			case h.Next == r.New.ID:
				r.Planned = append(r.Planned, h)
			case h.Key != r.New.ID:
				r.Waiting = append(r.Waiting, h)
			}
		}
	}
	if r.Step == 0 {
		r.Step = stepGenerate
		if len(r.Old) > 0 {
			r.Step = stepRetire
		}
	}
	return r
}

// newest tells whether no later signing key is in use.
func newest(keys []admin.Key, k admin.Key) bool {
	for i := len(keys) - 1; i >= 0; i-- {
		if keys[i].Use == k.Use && keys[i].State != admin.KeyRetired {
			return keys[i].ID == k.ID
		}
	}
	return false
}

func (k *Console) keys(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showKeys(r, http.StatusOK, f)
}

func (k *Console) showKeys(r *request, status int, f form) error {
	list, err := k.Keys.List(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	signer, signs := signerOf(list)
	return r.show(status, "keys", r.text("area.keys"), struct {
		Form   form
		Board  admin.KeyList
		Path   rollover
		Signer admin.Key // that signs for most; without an ID: none does
		Signs  int       // for so many service providers
		Old    bool      // its certificate has ended
		Admin  bool
		Now    time.Time
	}{f, list, rolloverOf(list), signer, signs, !signer.NotAfter.IsZero() && !k.now().Before(signer.NotAfter),
		r.may(idp.Admin), k.now()})
}

// signerOf is the key that signs for most service providers, and for how many. Of several the newest one is taken.
func signerOf(b admin.KeyList) (signer admin.Key, signs int) {
	count := map[string]int{}
	for _, h := range b.SignedFor {
		count[h.Key]++
	}
	for _, key := range b.Keys { // the oldest first
		if n := count[key.ID]; n > 0 && n >= signs {
			signer, signs = key, n
		}
	}
	return signer, signs
}

// keyCertificate is one certificate as a file to hand over. It is no secret.
func (k *Console) keyCertificate(r *request) error {
	list, err := k.Keys.List(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	for _, key := range list.Keys {
		if key.ID == r.Param("key") {
			return r.File("ssobridge-"+key.ID+".pem", "application/x-pem-file", []byte(key.PEM()))
		}
	}
	return r.Missing("key")
}

// keyStep shows how the keys stand after a step, or why it was refused.
func (k *Console) keyStep(r *request, word string, err error) error {
	if err == nil {
		return r.done(keysPath, word)
	}
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showKeys(r, status, f)
}

func (k *Console) generateKey(r *request) error {
	_, err := k.Keys.Generate(r.ctx(), r.scope(), admin.NewKey{Algorithm: r.Form["algorithm"]}, r.event("", ""))
	return k.keyStep(r, "generated", err)
}

func (k *Console) publishKey(r *request) error {
	return k.keyStep(r, "published", k.Keys.Publish(r.ctx(), r.scope(), r.Form["key"], r.event("", "")))
}

func (k *Console) promoteKey(r *request) error {
	p := admin.Promotion{Key: r.Form["key"], EntityID: r.Form["sp"],
		ConfirmedBy: plaintext.Cut(strings.TrimSpace(r.Form["confirmed_by"]), 200)}
	if text := strings.TrimSpace(r.Form["at"]); text != "" {
		at, err := time.Parse("2006-01-02T15:04", text)
		if err != nil {
			at, err = time.Parse(time.RFC3339, text)
		}
		if err != nil {
			return k.keyStep(r, "", &admin.Error{Fault: r.text("keys.at.bad"), Err: err})
		}
		p.At = at
	}
	_, err := k.Keys.Promote(r.ctx(), r.scope(), p, r.event("", ""))
	return k.keyStep(r, "promoted", err)
}

func (k *Console) rollbackKey(r *request) error {
	_, err := k.Keys.Rollback(r.ctx(), r.scope(), r.Form["sp"], false, r.event("", ""))
	return k.keyStep(r, "rolledback", err)
}

// retireKey wants the key's id typed: its private part goes for good.
func (k *Console) retireKey(r *request) error {
	id := r.Form["key"]
	if id == "" || r.Form["typed"] != id {
		return k.keyStep(r, "", &admin.Error{Fault: r.text("keys.typed")})
	}
	return k.keyStep(r, "retired", k.Keys.Retire(r.ctx(), r.scope(), id, r.event("", "")))
}
