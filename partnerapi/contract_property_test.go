package partnerapi_test

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/partnerapi"
)

// spoil puts other texts into some of the text fields of a struct.
func spoil(rt *rapid.T, body any) {
	v := reflect.ValueOf(body).Elem()
	for _, at := range rapid.SliceOfN(rapid.IntRange(0, v.NumField()-1), 0, 3).Draw(rt, "fields") {
		switch f := v.Field(at); f.Kind() {
		case reflect.String:
			f.SetString(anyText.Draw(rt, v.Type().Field(at).Name))
		case reflect.Int:
			f.SetInt(int64(rapid.IntRange(-1, 40).Draw(rt, v.Type().Field(at).Name)))
		}
	}
}

var anyText = rapid.OneOf(
	rapid.StringOfN(rapid.RuneFrom([]rune("aZ09-_@.+é ,/\\{}?#%\n\x00\u2028\u00ad\u2003")), 0, 12, -1),
	rapid.StringOfN(rapid.RuneFrom([]rune("aé")), 20, 300, -1),
	rapid.SampledFrom([]string{"us", "USA", "GOLD", "TRIAL", "GET", "/a/{k}", "/contacts", "System", "a@b.test", `{"a":1}`,
		"owner", "account_manager"}),
	rapid.StringN(0, 30, -1),
)

// Whatever the client lets through keeps to the document. What it does not let through is not sent: then no call is
// seen.
func TestContractOfWhateverIsValid(t *testing.T) {
	r := newRemote(t, teapot)
	k := newContract(t, r.URL, answerer(func(*http.Request) (int, string, []byte) { return 500, "", nil }))
	c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Transport = k })
	const class = partnerapi.PriorityPlan
	ctx := t.Context()
	calls := map[string]func(*rapid.T) error{
		"createSSOUser": func(rt *rapid.T) error {
			user := somebody()
			spoil(rt, &user)
			return c.CreateSSOUser(ctx, class, account, user)
		},
		"createAccount": func(rt *rapid.T) error {
			n := newAccount(1)
			spoil(rt, &n)
			_, err := c.CreateAccount(ctx, class, n)
			return err
		},
		"changePlan": func(rt *rapid.T) error {
			p := partnerapi.PlanChange{PlanType: "GOLD"}
			spoil(rt, &p)
			_, err := c.SetPlan(ctx, class, account, p)
			return err
		},
		"cancelAccount": func(rt *rapid.T) error {
			_, err := c.CancelAccount(ctx, class, account, partnerapi.Cancellation{ReasonID: rapid.IntRange(-1,
				31).Draw(rt, "reason")})
			return err
		},
		"operateAccount": func(rt *rapid.T) error {
			o := partnerapi.Operation{Method: "POST", URL: "/contacts", Payload: "{}"}
			spoil(rt, &o)
			for _, list := range []*[]partnerapi.Param{&o.Query, &o.Path, &o.Headers} {
				for range rapid.IntRange(0, 2).Draw(rt, "params") {
					p := partnerapi.Param{Key: "k", Value: "v"}
					spoil(rt, &p)
					*list = append(*list, p)
				}
			}
			_, err := c.Operate(ctx, class, account, o)
			return err
		},
		"unsubscribeContacts": func(rt *rapid.T) error {
			u := partnerapi.Unsubscription{EmailAddresses: []string{"a@b.test", "c@d.test"}, UpdateSource: "Contact",
				OptOutReason: "asked to"}
			spoil(rt, &u)
			if rapid.Bool().Draw(rt, "spoil an address") {
				u.EmailAddresses[1] = anyText.Draw(rt, "address")
			}
			_, err := c.UnsubscribeContacts(ctx, class, account, u)
			return err
		},
		"subscribe": func(rt *rapid.T) error {
			_, err := c.Subscribe(ctx, class, rapid.IntRange(-1, 9).Draw(rt, "topic"), "https://"+anyText.Draw(rt, "uri"))
			return err
		},
		"readPlan": func(rt *rapid.T) error {
			_, err := c.Plan(ctx, class, anyText.Draw(rt, "account"))
			return err
		},
	}
	for operation, call := range calls {
		t.Run(operation, func(t *testing.T) {
			refused := 0
			rapid.Check(t, func(rt *rapid.T) {
				before := k.count(operation, 500)
				err := call(rt)
				e, ok := errors.AsType[*partnerapi.Error](err)
				switch sent := k.count(operation, 500) - before; {
				case !ok:
					rt.Fatalf("got %v, want an error of the package", err)
				case e.Kind == partnerapi.BadRequest && sent == 0:
					refused++
				case e.Kind != partnerapi.Unknown || sent != 1:
					rt.Fatalf("sent %d times, got %v", sent, err)
				}
				for _, broken := range k.take() {
					rt.Errorf("contract broken: %.2000v", broken)
				}
			})
			if n := k.count(operation, 500); n == 0 || refused == 0 {
				t.Errorf("sent %d, refused %d: this has tried nothing", n, refused)
			}
		})
	}
}
