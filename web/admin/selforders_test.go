package admin_test

import (
	"testing"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// TestSelfOrderState: who reads that Constant Contact has refused something can rely on it.
func TestSelfOrderState(t *testing.T) {
	failed := store.SelfOrder{State: store.SelfOrderFailed}
	for _, c := range []struct {
		order admin.SelfOrder
		want  string
	}{
		{admin.SelfOrder{SelfOrder: failed, Request: store.AccountRequest{State: store.RequestRefused,
			ErrorKey: "contacts.email"}}, "was not taken by Constant Contact"},
		{admin.SelfOrder{SelfOrder: failed, Request: store.AccountRequest{State: store.RequestRefused,
			ErrorKey: admin.OrderExpired}}, "was not sent within a day: nothing was created"},
	} {
		if got := admin.SelfOrderState(c.order); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
