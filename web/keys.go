package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

const keysPath = "/admin/keys"

func (k *console) keysRoutes() []consoleRoute {
	return []consoleRoute{
		{method: http.MethodGet, path: "/admin/keys", role: idp.Viewer, handle: k.keys},
		{method: http.MethodGet, path: "/admin/keys/:key/certificate.pem", role: idp.Viewer, handle: k.keyCertificate},
		{method: http.MethodPost, path: "/admin/keys/generate", role: idp.Admin, fresh: true, handle: k.generateKey},
		{method: http.MethodPost, path: "/admin/keys/publish", role: idp.Admin, fresh: true, handle: k.publishKey},
		{method: http.MethodPost, path: "/admin/keys/promote", role: idp.Admin, fresh: true, handle: k.promoteKey},
		{method: http.MethodPost, path: "/admin/keys/rollback", role: idp.Admin, fresh: true, handle: k.rollbackKey},
		{method: http.MethodPost, path: "/admin/keys/retire", role: idp.Admin, fresh: true, handle: k.retireKey},
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

func (k *console) keys(r *consoleRequest) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showKeys(r, http.StatusOK, f)
}

func (k *console) showKeys(r *consoleRequest, status int, f form) error {
	list, err := k.Keys.List(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	return r.show(status, "keys", r.text("area.keys"), struct {
		Form  form
		Board admin.KeyList
		Path  rollover
		Admin bool
		Now   time.Time
	}{f, list, rolloverOf(list), r.may(idp.Admin), k.now()})
}

// keyCertificate is one certificate as a file to hand over. It is no secret.
func (k *console) keyCertificate(r *consoleRequest) error {
	list, err := k.Keys.List(r.ctx(), r.scope())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	for _, key := range list.Keys {
		if key.ID == r.Param("key") {
			r.Response().Header().Set("Content-Disposition", `attachment; filename="ssobridge-`+key.ID+`.pem"`)
			return r.Blob(http.StatusOK, "application/x-pem-file", []byte(key.PEM()))
		}
	}
	return r.missing("key")
}

// keyStep shows how the keys stand after a step, or why it was refused.
func (k *console) keyStep(r *consoleRequest, word string, err error) error {
	if err == nil {
		return r.done(keysPath, word)
	}
	f, status, err := r.refusedForm(err, nil)
	if err != nil {
		return err
	}
	return k.showKeys(r, status, f)
}

func (k *console) generateKey(r *consoleRequest) error {
	_, err := k.Keys.Generate(r.ctx(), r.scope(), admin.NewKey{Algorithm: r.form["algorithm"]}, r.event("", ""))
	return k.keyStep(r, "generated", err)
}

func (k *console) publishKey(r *consoleRequest) error {
	return k.keyStep(r, "published", k.Keys.Publish(r.ctx(), r.scope(), r.form["key"], r.event("", "")))
}

func (k *console) promoteKey(r *consoleRequest) error {
	p := admin.Promotion{Key: r.form["key"], EntityID: r.form["sp"],
		ConfirmedBy: cut(strings.TrimSpace(r.form["confirmed_by"]), 200)}
	if text := strings.TrimSpace(r.form["at"]); text != "" {
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

func (k *console) rollbackKey(r *consoleRequest) error {
	_, err := k.Keys.Rollback(r.ctx(), r.scope(), r.form["sp"], false, r.event("", ""))
	return k.keyStep(r, "rolledback", err)
}

// retireKey wants the key's id typed: its private part goes for good.
func (k *console) retireKey(r *consoleRequest) error {
	id := r.form["key"]
	if id == "" || r.form["typed"] != id {
		return k.keyStep(r, "", &admin.Error{Fault: r.text("keys.typed")})
	}
	return k.keyStep(r, "retired", k.Keys.Retire(r.ctx(), r.scope(), id, r.event("", "")))
}
