package e2e_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// dragMapping drags the first mapping of the list onto the last one: it counts right after that one, no other mapping
// changes, and what it means is shown first. Let go beside the list, nothing happens.
func (b *browser) dragMapping(t *testing.T, w *world) {
	t.Helper()
	type place struct {
		ID             int64
		X, Y, ToX, ToY float64
	}
	find := func() (first, last place) {
		const js = `[...document.querySelectorAll("[data-place]")].map(r => {
			const g = r.querySelector("[data-grip]").getBoundingClientRect(), c = r.cells[2].getBoundingClientRect();
			return {ID: Number(r.dataset.place), X: g.x + g.width / 2, Y: g.y + g.height / 2, ToX: c.x + 9, ToY: c.y + 9} })`
		all, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]place](js))
		if err != nil || len(all) < 2 {
			t.Fatalf("rows that can be dragged: %v, %v", all, err)
		}
		return all[0], all[len(all)-1]
	}
	mouse := func(kind input.DispatchMouseEventType, x, y float64) {
		b.do("move the mouse", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: x, Y: y,
				Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1})
			return err
		}))
	}
	priorities := func() map[int64]int {
		all := map[int64]int{}
		for list := json.NewDecoder(strings.NewReader(w.command(t, "mapping", "list", "--json"))); list.More(); {
			var m struct {
				ID       int64 `json:"id"`
				Priority int   `json:"priority"`
				People   *int  `json:"people"`
			}
			if err := list.Decode(&m); err != nil {
				t.Fatal(err)
			}
			if all[m.ID] = m.Priority; m.People == nil {
				t.Errorf("mapping %d has no count of people", m.ID)
			}
		}
		return all
	}
	b.do("set the size", chromedp.EmulateViewport(1280, 900))
	first, _ := find()
	before := priorities()

	mouse("mousePressed", first.X, first.Y)
	mouse("mouseMoved", first.X-200, first.Y-100)
	mouse("mouseReleased", 5, 5)
	b.sees("People are counted by each plan")

	first, last := find()
	mouse("mousePressed", first.X, first.Y)
	mouse("mouseMoved", last.ToX, last.ToY)
	mouse("mouseReleased", last.ToX, last.ToY)
	b.sees("What would change")
	if now := priorities(); now[first.ID] != before[first.ID] {
		t.Errorf("before it was confirmed, mapping %d has priority %d", first.ID, now[first.ID])
	}
	b.press("Save")
	b.sees("Mapping saved.")
	now := priorities()
	for id, priority := range before {
		if id != first.ID && now[id] != priority {
			t.Errorf("mapping %d has priority %d, and had %d", id, now[id], priority)
		}
		if id != first.ID && now[first.ID] <= priority {
			t.Errorf("mapping %d has priority %d, and mapping %d before it has %d", first.ID, now[first.ID], id, priority)
		}
	}
	b.press("Undo")
	b.sees("Undone.")
	if now := priorities(); now[first.ID] != before[first.ID] {
		t.Errorf("undone, mapping %d has priority %d, want %d", first.ID, now[first.ID], before[first.ID])
	}
}
