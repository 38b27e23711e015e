package api

import (
	"net/http"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

type finding struct {
	Name   string `json:"name" doc:"What was looked at."`
	Level  string `json:"level" doc:"ok, warning or down; more can be added."`
	Detail string `json:"detail,omitempty" doc:"What was found, in a sentence."`
	Fix    string `json:"fix,omitempty" doc:"What to do about it."`
}

type partHealth struct {
	Part     string    `json:"part" doc:"Such as directory or constant_contact; more can be added."`
	Level    string    `json:"level" doc:"ok, warning or down; more can be added."`
	Since    time.Time `json:"since" doc:"When the level became what it is."`
	Findings []finding `json:"findings" doc:"What is wrong, the worst first."`
	More     int       `json:"more" doc:"How many findings are left out."`
}

type bridgeHealth struct {
	Level string       `json:"level" doc:"Of the worst part: ok, warning or down."`
	At    time.Time    `json:"at" doc:"When it was looked at: twice a minute."`
	Stale bool         `json:"stale" doc:"Nobody has looked for too long: what is said here may be over."`
	Parts []partHealth `json:"parts" doc:"All parts of the bridge."`
}

type callBudget struct {
	Used       int       `json:"used" doc:"Today's calls to Constant Contact."`
	Limit      int       `json:"limit" doc:"Calls that may be made today."`
	Background int       `json:"background" doc:"Of them, for retries, plans and this API."`
	Left       int       `json:"left_for_background" doc:"Calls that these may still make today."`
	PerSecond  float64   `json:"per_second" doc:"Calls a second that may be made at most."`
	Rate       float64   `json:"rate" doc:"Calls a second that are made at present."`
	Throttled  int       `json:"throttled" doc:"How often Constant Contact throttled today."`
	Exhausted  bool      `json:"exhausted" doc:"Constant Contact said that the day is used up."`
	Reset      time.Time `json:"reset" doc:"When the day ends."`
}

func statusOperations() []operation {
	const area = "Status"
	return []operation{
		serves(operation{
			id: "getStatus", method: http.MethodGet, path: "/status", area: area, scope: admin.StatusRead,
			summary: "Read the health of all parts",
			doc:     "The same snapshot that the console's overview shows.",
		}, func(c *call, _ none) (bridgeHealth, error) {
			h, err := c.api.o.Status.Health(c.ctx, c.scope())
			if err != nil {
				return bridgeHealth{}, err
			}
			out := bridgeHealth{Level: h.Level().Word(), At: h.At.UTC(), Stale: h.Stale(), Parts: []partHealth{}}
			for _, p := range h.Parts {
				part := partHealth{Part: string(p.Part), Level: p.Level.Word(), Since: p.Since.UTC(), Findings: []finding{},
					More: p.More}
				for _, f := range p.Findings {
					part.Findings = append(part.Findings, finding{f.Name, f.Level.Word(), f.Detail,
						fixOf(&admin.Error{Hint: f.Hint, Act: f.Act, About: f.About})})
				}
				out.Parts = append(out.Parts, part)
			}
			return out, nil
		}),
		serves(operation{
			id: "getBudget", method: http.MethodGet, path: "/budget", area: area, scope: admin.StatusRead,
			summary: "Read the budget of calls to Constant Contact",
		}, func(c *call, _ none) (callBudget, error) {
			b, err := c.api.o.Plans.Calls(c.ctx, c.scope())
			return budgetOf(b), err
		}),
	}
}

func budgetOf(b store.BudgetStatus) callBudget {
	return callBudget{Used: b.Used, Limit: b.Limit, Background: b.Background,
		Left: max(0, b.Background-b.Used), PerSecond: b.PerSecond, Rate: b.Rate,
		Throttled: b.Throttled, Exhausted: b.Exhausted, Reset: b.Reset.UTC()}
}

// optional is a time that may be none.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
