package api

import (
	"net/http"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

type secondFactor struct {
	Kind      string     `json:"kind" doc:"Such as totp, passkey or recovery; more can be added."`
	AddedAt   time.Time  `json:"added_at" doc:"When it was enrolled."`
	UsedAt    *time.Time `json:"used_at,omitempty" doc:"When it was last used; left out: never."`
	Left      int        `json:"left" doc:"Recovery codes that are not used."`
	Confirmed bool       `json:"confirmed" doc:"An invitation or a confirmed factor stands for it, which the console asks for."`
}

type factorReset struct {
	Person  store.PersonID `json:"person_id" doc:"The person, whose sessions have ended."`
	Removed int            `json:"removed" doc:"Second factors that were removed."`
}

func factorOperations() []operation {
	const area = "Second factors"
	return []operation{
		serves(operation{
			id: "listFactors", method: http.MethodGet, path: "/people/{who}/factors", area: area, scope: admin.FactorsRead,
			summary: "List the second factors of a person", doc: "What proves them can't be read.",
		}, func(c *call, in who) (list[secondFactor], error) {
			id, err := c.api.o.Users.Find(c.ctx, in.Who)
			if err != nil {
				return list[secondFactor]{}, err
			}
			all, err := c.api.o.Factors.List(c.ctx, c.scope(), id)
			out := list[secondFactor]{Items: []secondFactor{}}
			for _, f := range all {
				out.Items = append(out.Items, secondFactor{f.Kind, f.Added.UTC(), optional(f.Used), f.Left, f.Confirmed})
			}
			return out, err
		}),
		serves(operation{
			id: "resetFactors", method: http.MethodDelete, path: "/people/{who}/factors", area: area,
			scope: admin.FactorsWrite, summary: "Remove all second factors of a person",
			doc: "For somebody who has lost them: who knows the password enrols anew. Their sessions end, and they are told by " +
				"mail where a subscription of kind people is there.",
		}, func(c *call, in who) (factorReset, error) {
			id, err := c.api.o.Users.Find(c.ctx, in.Who)
			if err != nil {
				return factorReset{}, err
			}
			n, err := c.api.o.Factors.Reset(c.ctx, c.scope(), id, c.event())
			return factorReset{id, n}, err
		}),
	}
}
