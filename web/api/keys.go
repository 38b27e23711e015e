package api

import (
	"fmt"
	"net/http"
	"time"

	"ssobridge/web/admin"
)

type signingKey struct {
	ID          string     `json:"id" doc:"Its id."`
	Use         string     `json:"use" doc:"signing or metadata."`
	State       string     `json:"state" doc:"next, published, active, retiring or retired."`
	Algorithm   string     `json:"algorithm" doc:"Such as rsa-3072."`
	Since       time.Time  `json:"since" doc:"When it came into its state."`
	NotAfter    *time.Time `json:"not_after,omitempty" doc:"When its certificate ends."`
	Fingerprint string     `json:"fingerprint" doc:"SHA-256 of the certificate."`
	Certificate string     `json:"certificate" doc:"As PEM. It is no secret; the private key can't be read."`
}

func shownKey(k admin.Key) signingKey {
	return signingKey{k.ID, k.Use, k.State, k.Algorithm, k.Since.UTC(), optional(k.NotAfter), k.Fingerprint, k.PEM()}
}

type keyUse struct {
	EntityID string     `json:"entity_id" doc:"The service provider."`
	Key      string     `json:"key,omitempty" doc:"The key that signs for it; left out: none."`
	Next     string     `json:"next,omitempty" doc:"The key that will sign from switch_at on."`
	SwitchAt *time.Time `json:"switch_at,omitempty" doc:"When it will."`
}

type keyRing struct {
	Keys []signingKey `json:"keys" doc:"Our keys, the oldest first."`
	Uses []keyUse     `json:"signs_for" doc:"Which key signs for which service provider."`
}

type keyID struct {
	ID string `path:"id" maxlen:"100" doc:"The key's id, or how it begins."`
}

type newKeyInput struct {
	Algorithm string `json:"algorithm,omitempty" enum:"rsa-3072,rsa-2048,p-256,p-384" doc:"Left out: rsa-3072."`
	Use       string `json:"use,omitempty" enum:"signing,metadata" doc:"Left out: signing."`
	Label     string `json:"label,omitempty" maxlen:"100" doc:"In the PKCS #11 token; left out: the key is kept in the store, sealed."`
	Days      int    `json:"days,omitempty" min:"1" max:"3650" doc:"Life of the certificate; left out: three years."`
}

type promotionInput struct {
	EntityID    string     `json:"entity_id,omitempty" maxlen:"1000" doc:"The service provider for which it shall sign; left out: see all."`
	All         bool       `json:"all,omitempty" doc:"For all, and for those that are registered later."`
	At          *time.Time `json:"at,omitempty" doc:"The agreed time; left out: now."`
	ConfirmedBy string     `json:"confirmed_by" maxlen:"200" doc:"Who has said that the certificate is loaded there."`
}

type promotion struct {
	Key  signingKey `json:"key" doc:"As it is now."`
	Left []string   `json:"left" doc:"Service providers that hold one certificate, and that a promotion for all has passed over."`
}

type rollbackInput struct {
	EntityID string `json:"entity_id,omitempty" maxlen:"1000" doc:"The service provider; left out: see all."`
	All      bool   `json:"all,omitempty" doc:"At all of them."`
}

// key is one of our keys as an answer shows it.
func (c *call) signingKey(id string) (signingKey, error) {
	k, err := c.api.o.Keys.Find(c.ctx, c.scope(), id)
	return shownKey(k), err
}

// keyOperations are those on our keys. None reads or takes a private key, and none forces a promotion: that is for
// emergencies, in which somebody looks.
func keyOperations() []operation {
	const area = "Keys"
	act := func(id, word, summary, doc string, do func(c *call, id string) error) operation {
		return serves(operation{
			id: id, method: http.MethodPost, path: "/keys/{id}/" + word, area: area, scope: admin.KeysWrite, keyed: true,
			act: "key-" + word, summary: summary, doc: doc,
		}, func(c *call, in keyID) (signingKey, error) {
			k, err := c.signingKey(in.ID)
			if err != nil {
				return signingKey{}, err
			}
			if c.made == "" {
				if err := do(c, k.ID); err != nil {
					return signingKey{}, err
				}
			}
			return c.signingKey(k.ID)
		})
	}
	return []operation{
		serves(operation{
			id: "listKeys", method: http.MethodGet, path: "/keys", area: area, scope: admin.KeysRead,
			summary: "Read our keys, and which signs for whom", doc: "Certificates alone: no private key can be read.",
		}, func(c *call, _ none) (keyRing, error) {
			l, err := c.api.o.Keys.List(c.ctx, c.scope())
			out := keyRing{Keys: []signingKey{}, Uses: []keyUse{}}
			for _, k := range l.Keys {
				out.Keys = append(out.Keys, shownKey(k))
			}
			for _, s := range l.SignedFor {
				out.Uses = append(out.Uses, keyUse{s.EntityID, s.Key, s.Next, optional(s.SwitchAt)})
			}
			return out, err
		}),
		serves(operation{
			id: "createKey", method: http.MethodPost, path: "/keys", area: area, scope: admin.KeysWrite, keyed: true,
			act: "key-add", status: http.StatusCreated, summary: "Make a key",
			doc: "Nobody knows of it before it is published. The first one of a use is active at once.",
		}, func(c *call, in struct {
			Body newKeyInput `body:"json"`
		}) (signingKey, error) {
			b := in.Body
			id := c.made // of a process that has died since
			if id == "" {
				k, err := c.api.o.Keys.Generate(c.ctx, c.scope(), admin.NewKey{Algorithm: b.Algorithm, Use: b.Use, Label: b.Label,
					Life: time.Duration(b.Days) * 24 * time.Hour}, c.event())
				if err != nil {
					return signingKey{}, err
				}
				id = k.ID
			}
			c.header.Set("Location", fmt.Sprintf("%s/keys", Path))
			return c.signingKey(id)
		}),
		act("publishKey", "publish", "Publish a key", "Our metadata then has it, so that service providers can load it.",
			func(c *call, id string) error { return c.api.o.Keys.Publish(c.ctx, c.scope(), id, c.event()) }),
		serves(operation{
			id: "promoteKey", method: http.MethodPost, path: "/keys/{id}/promote", area: area, scope: admin.KeysWrite,
			keyed: true, act: "key-promote", summary: "Have a key sign, for one service provider or for all",
			doc: "confirmed_by names who has said that its certificate is loaded there: without it sign-ins would fail.",
		}, func(c *call, in struct {
			keyID
			Body promotionInput `body:"json"`
		}) (promotion, error) {
			k, err := c.signingKey(in.ID)
			if err != nil {
				return promotion{}, err
			}
			out := promotion{Left: []string{}}
			if c.made == "" {
				p := admin.Promotion{Key: k.ID, EntityID: in.Body.EntityID, All: in.Body.All, ConfirmedBy: in.Body.ConfirmedBy}
				if in.Body.At != nil {
					p.At = *in.Body.At
				}
				left, err := c.api.o.Keys.Promote(c.ctx, c.scope(), p, c.event())
				if err != nil {
					return promotion{}, err
				}
				out.Left = append(out.Left, left...)
			}
			out.Key, err = c.signingKey(k.ID)
			return out, err
		}),
		serves(operation{
			id: "rollBackKey", method: http.MethodPost, path: "/key-rollback", area: area, scope: admin.KeysWrite, keyed: true,
			act: "key-rollback", summary: "Take the last promotion back, at one service provider or at all",
		}, func(c *call, in struct {
			Body rollbackInput `body:"json"`
		}) (signingKey, error) {
			id := c.made
			if id == "" {
				var err error
				if id, err = c.api.o.Keys.Rollback(c.ctx, c.scope(), in.Body.EntityID, in.Body.All, c.event()); err != nil {
					return signingKey{}, err
				}
			}
			return c.signingKey(id)
		}),
		act("retireKey", "retire", "Retire a key", "It is taken out of our metadata for good, and its private part removed.",
			func(c *call, id string) error { return c.api.o.Keys.Retire(c.ctx, c.scope(), id, c.event()) }),
	}
}
