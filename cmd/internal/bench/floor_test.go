package main

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFloorServesAPage (COST-40): as long as asked for, and taken as a launch by those who count launches; no signer is
// pretended.
func TestFloorServesAPage(t *testing.T) {
	for _, size := range []int{2000, 9000} {
		handler, err := floorOptions{size: size, signer: engineGo}.handler()
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/launch/"+account, nil))
		page, err := io.ReadAll(w.Result().Body)
		if err != nil || len(page) != size {
			t.Errorf("got %d bytes, %v, want %d", len(page), err, size)
		}
		if err := delivered(answer{status: w.Code, body: page}); err != nil {
			t.Error(err)
		}
	}
	for _, o := range []floorOptions{{size: 100, signer: engineGo}, {size: 9000, signer: "abacus"}} {
		if _, err := o.handler(); err == nil {
			t.Errorf("%+v: want an error", o)
		}
	}
	var said strings.Builder
	if code := serveFloor([]string{"--signer", "abacus", "--size", "9000"}, &said); code != exitNotWhole ||
		!strings.Contains(said.String(), "can't sign by abacus") {
		t.Errorf("got exit code %d and %q", code, said.String())
	}
}
