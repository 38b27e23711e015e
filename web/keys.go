package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// Keyring is what the console does with signing keys, by the functions of the
// commands. Fault puts a refusal into a sentence for an admin; "" for another error.
type Keyring interface {
	Board(ctx context.Context) (KeyBoard, error)
	Generate(ctx context.Context, algorithm string, e store.Event) error
	Publish(ctx context.Context, id string, e store.Event) error
	Promote(ctx context.Context, p KeyPromotion, e store.Event) error
	Rollback(ctx context.Context, entityID string, e store.Event) error
	Retire(ctx context.Context, id string, e store.Event) error
	Fault(err error) string
}

// KeyBoard is how the signing keys stand.
type KeyBoard struct {
	Keys    []Key // the oldest first
	Holders []KeyHolder
}

// Key is one of our keys.
type Key struct {
	ID, Use, State, Algorithm, Holder string // Holder: "" for the store
	Since, NotAfter                   time.Time
	Fingerprint                       string // SHA-256 of the certificate
	PEM                               string
}

// KeyHolder is a service provider that holds our certificate.
type KeyHolder struct {
	EntityID, Name string
	Key, Previous  string // that signs for it; that did before, "" for none to go back to
	One            bool   // it holds a single certificate: a time has to be agreed
	Next           string // that will sign from SwitchAt on; "" for none
	SwitchAt       time.Time
	ConfirmedBy    string
}

// KeyPromotion has a key sign for one service provider, at once or at an agreed time.
type KeyPromotion struct {
	Key, EntityID string
	At            time.Time
	By            string // who at the service provider has confirmed that it is loaded
}

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
	New     Key         // from stepPublish to stepPromote
	Waiting []KeyHolder // not yet signed for by the new key
	Planned []KeyHolder // with a switch to come
	Old     []Key       // that sign for nobody any more, at stepRetire
}

func rolloverOf(b KeyBoard) rollover {
	var r rollover
	for _, key := range b.Keys {
		if key.Use != "signing" {
			continue
		}
		switch key.State {
		case "next":
			r.Step, r.New = stepPublish, key
		case "published":
			if r.Step != stepPublish {
				r.Step, r.New = stepPromote, key
			}
		case "retiring":
			r.Old = append(r.Old, key)
		case "active":
			// Active for some, while an older one still signs for others.
			if r.Step == 0 && slices.ContainsFunc(b.Holders, func(h KeyHolder) bool { return h.Key != key.ID }) && newest(b.Keys, key) {
				r.Step, r.New = stepPromote, key
			}
		}
	}
	if r.Step == stepPromote {
		for _, h := range b.Holders {
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
func newest(keys []Key, k Key) bool {
	for i := len(keys) - 1; i >= 0; i-- {
		if keys[i].Use == k.Use && keys[i].State != "retired" {
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
	b, err := k.Keyring.Board(r.ctx())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	return r.show(status, "keys", r.text("area.keys"), struct {
		Form  form
		Board KeyBoard
		Path  rollover
		Admin bool
		Now   time.Time
	}{f, b, rolloverOf(b), r.may(idp.Admin), k.now()})
}

// keyCertificate is one certificate as a file to hand over. It is no secret.
func (k *console) keyCertificate(r *consoleRequest) error {
	b, err := k.Keyring.Board(r.ctx())
	if err != nil {
		return fmt.Errorf("read how the keys stand: %w", err)
	}
	for _, key := range b.Keys {
		if key.ID == r.Param("key") {
			r.Response().Header().Set("Content-Disposition", `attachment; filename="ssobridge-`+key.ID+`.pem"`)
			return r.Blob(http.StatusOK, "application/x-pem-file", []byte(key.PEM))
		}
	}
	return r.missing("key")
}

// keyStep does one step and shows how the keys stand then, or why it was refused.
func (k *console) keyStep(r *consoleRequest, word string, do func() error) error {
	err := do()
	if err == nil {
		return r.done("/admin/keys", word)
	}
	text := k.Keyring.Fault(err)
	if text == "" {
		return err
	}
	r.visit.cause = err
	f, ferr := r.newForm(r.form, map[string]string{"": text})
	if ferr != nil {
		return ferr
	}
	return k.showKeys(r, http.StatusUnprocessableEntity, f)
}

func (k *console) generateKey(r *consoleRequest) error {
	return k.keyStep(r, "generated", func() error {
		return k.Keyring.Generate(r.ctx(), r.form["algorithm"], r.event("key-add", ""))
	})
}

func (k *console) publishKey(r *consoleRequest) error {
	return k.keyStep(r, "published", func() error {
		return k.Keyring.Publish(r.ctx(), r.form["key"], r.event("key-publish", r.form["key"]))
	})
}

// errPromotion is a form that is not filled in.
var errPromotion = errors.New("promotion without a confirmation or a time")

func (k *console) promoteKey(r *consoleRequest) error {
	p := KeyPromotion{Key: r.form["key"], EntityID: r.form["sp"], By: cut(strings.TrimSpace(r.form["confirmed_by"]), 200)}
	faults := map[string]string{}
	if text := strings.TrimSpace(r.form["at"]); text != "" {
		at, err := time.Parse("2006-01-02T15:04", text)
		if err != nil {
			at, err = time.Parse(time.RFC3339, text)
		}
		if err != nil || !at.After(k.now()) {
			faults[""] = r.text("keys.at.bad")
		}
		p.At = at
	}
	if p.At.IsZero() && p.By == "" && len(faults) == 0 {
		faults[""] = r.text("keys.confirm.missing")
	}
	if len(faults) > 0 {
		r.visit.cause = errPromotion
		f, err := r.newForm(r.form, faults)
		if err != nil {
			return err
		}
		return k.showKeys(r, http.StatusUnprocessableEntity, f)
	}
	return k.keyStep(r, "promoted", func() error { return k.Keyring.Promote(r.ctx(), p, r.event("key-promote", p.Key)) })
}

func (k *console) rollbackKey(r *consoleRequest) error {
	if r.form["sp"] == "" {
		return r.missing("service provider")
	}
	return k.keyStep(r, "rolledback", func() error {
		return k.Keyring.Rollback(r.ctx(), r.form["sp"], r.event("key-rollback", ""))
	})
}

// retireKey wants the key's id typed: its private part goes for good.
func (k *console) retireKey(r *consoleRequest) error {
	if id := r.form["key"]; id == "" || r.form["typed"] != id {
		f, err := r.newForm(r.form, map[string]string{"": r.text("keys.typed")})
		if err != nil {
			return err
		}
		return k.showKeys(r, http.StatusUnprocessableEntity, f)
	}
	return k.keyStep(r, "retired", func() error { return k.Keyring.Retire(r.ctx(), r.form["key"], r.event("key-retire", r.form["key"])) })
}
