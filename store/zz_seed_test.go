package store_test
import ("container/heap"; "math/rand/v2"; "testing"; "time"; "ssobridge/store")
// TestZZSeeds: what Constant Contact would make of the slots where calls take 0 to 300 ms, half of it before they are counted, and
// another program makes one call of 40 a second, for which the share leaves room: at least 90 % of what is left gets through, and fewer
// than 0.1 % are refused, the search for the rate included.
func TestZZSeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("reserves 10,000 calls")
	}
	const (
		perSecond = 40
		foreign   = 1
		calls     = 5000
		half      = 150 * time.Millisecond
	)
	for seed := range 24 { sliding := true
		c := newClocked(t, noon)
		b := c.Budget(store.BudgetLimits{PerSecond: perSecond, PerDay: 1_000_000, Share: float64(perSecond-foreign) / perSecond})
		random := rand.New(rand.NewPCG(uint64(seed), 2))
		var (
			todo           events
			counted        []time.Time // of the last second, as Constant Contact counts it
			first, last    time.Time
			through, again int
		)
		heap.Push(&todo, onTheWay{noon.Add(300 * time.Millisecond), foreignCall})
		heap.Push(&todo, onTheWay{noon, nextCall})
		for through < calls {
			e := heap.Pop(&todo).(onTheWay)
			c.now = e.at
			switch e.what {
			case nextCall:
				wait, outcome, err := b.Reserve(t.Context(), "plan")
				if err != nil {
					t.Fatal(err)
				}
				if outcome == "taken" {
					heap.Push(&todo, onTheWay{c.now.Add(wait + time.Duration(random.Float64()*float64(half))), arrival})
					wait = 0
				}
				heap.Push(&todo, onTheWay{c.now.Add(wait), nextCall})
				continue
			case refusal:
				if err := b.Throttled(t.Context()); err != nil {
					t.Fatal(err)
				}
				continue
			case foreignCall:
				heap.Push(&todo, onTheWay{c.now.Add(time.Second / foreign), foreignCall})
			}
			for len(counted) > 0 && (sliding && c.now.Sub(counted[0]) >= time.Second ||
				!sliding && counted[0].Before(c.now.Truncate(time.Second))) {
				counted = counted[1:]
			}
			counted = append(counted, c.now)
			switch {
			case e.what == foreignCall:
			case len(counted) > perSecond:
				again++
				heap.Push(&todo, onTheWay{c.now.Add(time.Duration(random.Float64() * float64(half))), refusal})
			default:
				if through++; through == 1 {
					first = c.now
				}
				last = c.now
			}
		}
		rate := float64(calls-1) / last.Sub(first).Seconds() / (perSecond - foreign)
		refused := float64(again) / float64(calls+again)
		t.Logf("sliding %t: %.3f of what is left, %.3f %% refused", sliding, rate, 100*refused)
		if rate < 0.9 || refused >= 0.001 {
			t.Errorf("sliding %t: %.3f of what is left, %.3f %% refused; want at least 0.9 and less than 0.1 %%", sliding, rate, 100*refused)
		}
	}
}

