package api

import (
	"net/http"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type liveSession struct {
	Person          store.PersonID `json:"person_id" doc:"The person."`
	Login           string         `json:"login" doc:"Their login name."`
	AuthenticatedAt time.Time      `json:"authenticated_at" doc:"When they logged in."`
	LastUsed        time.Time      `json:"last_used" doc:"When it was last used."`
	EndsAt          time.Time      `json:"ends_at" doc:"When it ends at the latest."`
	Methods         []string       `json:"methods" doc:"What was proved, such as password."`
}

type lockout struct {
	Kind      string         `json:"kind" doc:"person (passwords), code (second factors) or address; more can be added."`
	Person    store.PersonID `json:"person_id,omitempty" doc:"The person."`
	Login     string         `json:"login,omitempty" doc:"Their login name, where the directory says it."`
	Address   string         `json:"address,omitempty" doc:"The block of addresses."`
	Tries     int            `json:"tries" doc:"Tries that were made."`
	Limit     int            `json:"limit" doc:"Tries that can be made."`
	Everybody bool           `json:"everybody" doc:"Browsers that the person used before are locked out too."`
	Until     time.Time      `json:"until" doc:"When it is over."`
}

func lockoutOf(l idp.Lockout) lockout {
	return lockout{string(l.Kind), l.Person, l.Login, l.Address, l.Tries, l.Limit, l.Everybody, l.Until.UTC()}
}

type who struct {
	Who string `path:"who" maxlen:"200" doc:"Login name or person id."`
}

func sessionOperations() []operation {
	const area = "Sessions and lockouts"
	return []operation{
		serves(operation{
			id: "listSessions", method: http.MethodGet, path: "/people/{who}/sessions", area: area, scope: admin.SessionsRead,
			summary: "List the live sessions of a person", doc: "The last used first, up to 100.",
		}, func(c *call, in who) (list[liveSession], error) {
			id, err := c.api.o.Sessions.Find(c.ctx, in.Who)
			if err != nil {
				return list[liveSession]{}, err
			}
			all, err := c.api.o.Sessions.List(c.ctx, c.scope(), id)
			out := list[liveSession]{Items: []liveSession{}}
			for _, s := range all {
				out.Items = append(out.Items, liveSession{s.Person, s.Login, s.AuthenticatedAt.UTC(), s.SeenAt.UTC(),
					s.EndsAt.UTC(), append([]string{}, s.Methods...)})
			}
			return out, err
		}),
		serves(operation{
			id: "listLockouts", method: http.MethodGet, path: "/lockouts", area: area, scope: admin.LockoutsRead,
			summary: "List who is locked out", doc: "People and addresses whose tries to log in are used up, up to 200.",
		}, func(c *call, _ none) (list[lockout], error) {
			all, err := c.api.o.Lockouts.List(c.ctx, c.scope())
			out := list[lockout]{Items: []lockout{}}
			for _, l := range all {
				out.Items = append(out.Items, lockoutOf(l))
			}
			return out, err
		}),
		serves(operation{
			id: "endSessions", method: http.MethodDelete, path: "/people/{who}/sessions", area: area, scope: admin.SessionsWrite,
			summary: "End all sessions of a person",
			doc:     "The person has to log in again. Sessions at service providers go on.",
		}, func(c *call, in who) (sessionsEnded, error) {
			id, err := c.api.o.Sessions.Find(c.ctx, in.Who)
			if err != nil {
				return sessionsEnded{}, err
			}
			n, err := c.api.o.Sessions.End(c.ctx, c.scope(), id, c.event())
			return sessionsEnded{id, n}, err
		}),
		serves(operation{
			id: "liftLockout", method: http.MethodPost, path: "/lockouts/lift", area: area, scope: admin.LockoutsWrite,
			keyed: true, summary: "Give tries back to a person or an address",
			doc: "A person gets as many as the directory still leaves.",
		}, func(c *call, in struct {
			Body lockoutInput `body:"json"`
		}) (lockoutLifted, error) {
			l, err := c.api.o.Lockouts.Lift(c.ctx, c.scope(), in.Body.Who, c.event())
			return lockoutLifted{l.Given, l.Left}, err
		}),
	}
}

type sessionsEnded struct {
	Person store.PersonID `json:"person_id" doc:"The person."`
	Ended  int            `json:"ended" doc:"How many sessions there were."`
}

type lockoutInput struct {
	Who string `json:"who" maxlen:"200" doc:"Person id, login name, or client address or block of addresses."`
}

type lockoutLifted struct {
	Given int `json:"given_back" doc:"Tries that were given back."`
	Left  int `json:"left" doc:"Tries of the person's password that there are now."`
}
