package provisioning_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// selfWorld is a world in which everybody may order for themselves.
func selfWorld(tb testing.TB, approval time.Duration) *world {
	tb.Helper()
	return accountWorld(tb, settings{service: provisioning.Options{SelfService: &provisioning.SelfService{
		May:     func(context.Context, directory.Entry) (bool, error) { return true, nil },
		Country: "us", Limits: store.SelfOrderLimits{PerDay: 100, PerPerson: 1}, Approval: approval,
	}}})
}

func (w *world) orderSelf(p directory.Entry) store.SelfOrder {
	w.tb.Helper()
	st, err := w.PlaceSelfOrder(w.tb.Context(), p, provisioning.SelfOrderInput{Organization: newShop, State: "MA",
		Mail: p.ID + "@example.test", FirstName: "Jane", LastName: "Doe"}, 0, "ref", "")
	if err != nil {
		w.tb.Fatalf("PlaceSelfOrder: %v", err)
	}
	return st.Order
}

// switchedOff is a service over the same store whose configuration lets nobody order any more.
func (w *world) switchedOff() *provisioning.Service {
	w.options.SelfService = nil
	return w.serve(w.db, w.client)
}

// TestSelfServiceSwitchedOff: what was not sent within an hour is stopped, and nothing is approved.
func TestSelfServiceSwitchedOff(t *testing.T) {
	t.Run("ordered", func(t *testing.T) {
		w := selfWorld(t, 0)
		o := w.orderSelf(person("alice"))
		// Another replica may have it switched on while they are restarted one after the other, and sends the order.
		r, err := w.switchedOff().RetryAccount(t.Context(), o.Request, "", "worker")
		if err != nil || r.State != store.RequestWanted {
			t.Errorf("got request %+v, %v, want it left to others", r, err)
		}
		if o, err := w.db.SelfOrders().Get(t.Context(), o.ID); err != nil || o.State != store.SelfOrderOrdered {
			t.Errorf("got order %+v, %v, want it as it was", o, err)
		}
		w.options.Now = func() time.Time { return o.CreatedAt.Add(time.Hour) }
		r, err = w.switchedOff().RetryAccount(t.Context(), o.Request, "", "worker")
		if err != nil || r.State != store.RequestRefused {
			t.Errorf("got request %+v, %v, want it refused", r, err)
		}
		o, err = w.db.SelfOrders().Get(t.Context(), o.ID)
		if err != nil || o.State != store.SelfOrderStopped || o.Reason == "" {
			t.Errorf("got order %+v, %v, want it stopped, with a reason", o, err)
		}
	})
	t.Run("waiting", func(t *testing.T) {
		w := selfWorld(t, time.Hour)
		o := w.orderSelf(person("alice"))
		_, err := w.switchedOff().ApproveSelfOrder(t.Context(), o.ID, "admin:test")
		if e := (*provisioning.InputError)(nil); !errors.As(err, &e) {
			t.Errorf("approved: %v, want an InputError", err)
		}
		if o, err = w.db.SelfOrders().Get(t.Context(), o.ID); err != nil || o.State != store.SelfOrderWaiting {
			t.Errorf("got order %+v, %v, want it to wait", o, err)
		}
	})
}
