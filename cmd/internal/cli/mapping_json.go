package cli

import (
	"ssobridge/cmd/internal/server"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// jsonMappingChange is a change of mappings as JSON: one that was saved, or one that is looked at before.
type jsonMappingChange struct {
	ID      int64         `json:"id,omitempty"` // of the one mapping that is changed
	Remove  []jsonMapping `json:"remove"`       // what it was
	Add     []jsonMapping `json:"add"`          // what it becomes
	Saved   bool          `json:"saved"`
	Effects *jsonEffects  `json:"effects,omitempty"` // of one that is looked at
}

// jsonEffects is what a change means for whom.
type jsonEffects struct {
	Read      int           `json:"people_read"`
	Gains     int           `json:"gains"`
	Losses    int           `json:"losses"`
	Roles     int           `json:"roles"`
	Creations int           `json:"creations"`
	AtSignIn  int           `json:"at_sign_in"`
	Primary   int           `json:"by_primary_group"`
	Forecast  *jsonForecast `json:"forecast,omitempty"`
	People    []jsonEffect  `json:"people"`
}

// jsonEffect is what it means for one person in one client account.
type jsonEffect struct {
	Kind    string          `json:"kind"` // gains, loses, role
	Person  store.PersonID  `json:"person_id"`
	Login   string          `json:"login"`
	Name    string          `json:"name"`
	Account store.AccountID `json:"account"`
	Before  store.Role      `json:"before,omitempty"`
	After   store.Role      `json:"after,omitempty"`
	Exists  bool            `json:"exists"`
	Why     string          `json:"why"`
}

func toJSONChange(id int64, change mapping.Change, saved bool) jsonMappingChange {
	j := jsonMappingChange{ID: id, Remove: []jsonMapping{}, Add: []jsonMapping{}, Saved: saved}
	for _, m := range change.Remove {
		j.Remove = append(j.Remove, toJSONMapping(m))
	}
	for _, m := range change.Add {
		one := toJSONMapping(m)
		one.ExternalID = change.OwnersID(m)
		j.Add = append(j.Add, one)
	}
	return j
}

// effectsJSON prints a change with what it means for everybody whom it concerns.
func effectsJSON(p *server.App, s *invocation, j jsonMappingChange, change mapping.Change) error {
	out := &jsonEffects{People: []jsonEffect{}}
	sum, err := p.Mappings().Effects(s.ctx, admin.Everything(), change, func(e provisioning.Effect) error {
		out.People = append(out.People, jsonEffect{e.Kind, e.Person, e.Login, e.Name, e.Account, e.Before, e.After, e.Exists,
			e.Why})
		return nil
	})
	if err != nil {
		return err
	}
	out.Read, out.Gains, out.Losses, out.Roles = sum.People, sum.Gains, sum.Losses, sum.Roles
	out.Creations, out.AtSignIn, out.Primary = sum.Creations, sum.AtSignIn, sum.Primary
	if sum.Creations > 0 {
		forecast := toJSONForecast(sum.Forecast)
		out.Forecast = &forecast
	}
	j.Effects = out
	return s.object(j)
}
