package provisioning_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// crowdFake makes up its people as it goes, so that what is measured is the plan's and not its own.
type crowdFake struct {
	people, groups, mapped int
	entry                  directory.Entry
}

func (c *crowdFake) group(i int) directory.Group { return group(fmt.Sprintf("group-%05d", i)) }

func (c *crowdFake) person(i int) directory.Entry {
	p := person(fmt.Sprintf("01234567-89ab-cdef-0123-%012d", i))
	p.Login, p.Mail = fmt.Sprintf("user%06d", i), fmt.Sprintf("user%06d@example.test", i)
	p.Groups = []directory.Group{c.group(i % c.mapped)}
	return p
}

func (c *crowdFake) Walk(ctx context.Context, o directory.WalkOptions,
	visit func(directory.Entry) error) (directory.Walked, error) {
	walked := directory.Walked{Groups: c.groups}
	for i := range c.groups {
		if o.Wanted(c.group(i)) {
			walked.Wanted++
		}
	}
	for i := range c.people {
		if err := ctx.Err(); err != nil {
			return walked, err
		}
		walked.People++
		if err := visit(c.person(i)); err != nil {
			return walked, err
		}
	}
	return walked, nil
}

func (c *crowdFake) Read(context.Context, string) (directory.Entry, error) { return c.entry, nil }
func (c *crowdFake) Find(context.Context, string) (directory.Entry, error) { return c.entry, nil }

// BenchmarkMakePlan is all of a plan but the directory itself: 100,000 people, 10,000 groups, of them 200 mapped, with
// a ledger in SQLite. The figure to stay under is 20 s and 100 MB together with the walk of a real directory, which
// takes most of both.
func BenchmarkMakePlan(b *testing.B) {
	for _, there := range []int{0, 50_000, 100_000} {
		b.Run(fmt.Sprintf("%d there", there), func(b *testing.B) {
			crowd := &crowdFake{people: 100_000, groups: 10_000, mapped: 200}
			w := newPlanWorld(b, nil, func(o *provisioning.Options) { o.Directory = crowd })
			for i := range crowd.mapped {
				g := crowd.group(i)
				m := store.Mapping{Kind: store.GroupMapping, GroupID: g.ID, GroupDN: g.DN, Account: harbour,
					Role: store.AccountManager, Priority: i + 1}
				if _, err := w.db.Mappings().Add(b.Context(), m, nil, store.Event{Action: "mapping-add"}); err != nil {
					b.Fatal(err)
				}
			}
			w.fill(crowd, there)
			w.settle()
			b.ResetTimer()
			for b.Loop() {
				heap := peakHeap()
				p, _, err := w.MakePlan(b.Context(), provisioning.PlanOptions{Kind: "admin"})
				if err != nil || p.Creations != crowd.people-there || p.Leavers != 0 {
					b.Fatalf("got %+v, %v", p, err)
				}
				b.ReportMetric(heap(), "peak-heap-MB")
			}
		})
	}
}

// fill puts the first people of a crowd into the ledger.
func (w *planWorld) fill(c *crowdFake, n int) {
	w.tb.Helper()
	for i := 0; i < n; i += 1000 {
		var some []store.SSOUser
		for k := i; k < min(i+1000, n); k++ {
			p := c.person(k)
			some = append(some, store.SSOUser{
				Person: store.PersonID(p.ID), Account: harbour, ExternalID: p.ID + "." + string(harbour),
				ExternalProvider: provider, LoginName: p.Login + "-" + string(harbour),
				ContactEmail: p.Mail, FirstName: p.FirstName, LastName: p.LastName, Role: store.AccountManager, State: store.Active,
			})
		}
		if _, err := w.db.Ledger().Adopt(context.Background(), some, store.Event{Action: "users-adopt",
			Outcome: "ok"}); err != nil {
			w.tb.Fatalf("fill the ledger: %v", err)
		}
	}
}

// peakHeap watches the heap in use until the returned function tells its peak in MB.
func peakHeap() func() float64 {
	runtime.GC()
	stop := make(chan struct{})
	var peak uint64
	var done sync.WaitGroup
	done.Go(func() {
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			select {
			case <-stop:
				return
			case <-look.C:
			}
		}
	})
	return func() float64 {
		close(stop)
		done.Wait()
		return float64(peak) / 1e6
	}
}

// BenchmarkMakePlanOnSlapd is the whole plan on a real directory: 100,000 people, 10,000 groups of 30, one of 50,000,
// nesting 5 deep with a circle, of them 200 mapped, half of the people with an SSO user. To stay under 20 s and 100 MB.
func BenchmarkMakePlanOnSlapd(b *testing.B) {
	for _, mode := range []string{"member_of", "search"} {
		b.Run(mode, func(b *testing.B) {
			const people, mapped = 100_000, 200
			server := directorytest.StartSlapdWith(b, directorytest.SlapdOptions{
				Empty: true, People: people, Groups: 10_000, MembersPerGroup: 30, BigGroup: 50_000, NestDepth: 5,
			})
			options := server.Options()
			options.GroupMode, options.Nested, options.MaxGroups = mode, true, 100_000
			if mode == "search" {
				options.GroupFilter = "(member={dn})"
			}
			d, err := directory.New(options)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { d.Close() })
			w := newPlanWorld(b, nil, func(o *provisioning.Options) { o.Directory, o.MaxCreate = d, people })
			for i := range mapped {
				g, err := d.Group(b.Context(), server.GroupDN(directorytest.LoadGroup(i)))
				if err != nil {
					b.Fatal(err)
				}
				m := store.Mapping{Kind: store.GroupMapping, GroupID: g.ID, GroupDN: g.DN, Account: harbour,
					Role: store.AccountManager, Priority: i + 1}
				if _, err := w.db.Mappings().Add(b.Context(), m, nil, store.Event{Action: "mapping-add"}); err != nil {
					b.Fatal(err)
				}
			}
			w.adoptHalf()
			w.settle()
			b.ResetTimer()
			for b.Loop() {
				heap := peakHeap()
				p, walked, err := w.MakePlan(b.Context(), provisioning.PlanOptions{Kind: "admin"})
				if err != nil || walked.People != people || p.Creations < 20_000 || p.Leavers != 0 {
					b.Fatalf("got %+v, %+v, %v", p, walked, err)
				}
				b.ReportMetric(heap(), "peak-heap-MB")
				b.ReportMetric(float64(p.Creations), "creations")
			}
		})
	}
}

// adoptHalf makes a plan, and puts each second person of its creations into the ledger.
func (w *planWorld) adoptHalf() {
	w.tb.Helper()
	plan := w.plan()
	for f := (store.ItemFilter{Kind: store.ItemCreate, Limit: 1000}); ; {
		items, err := w.db.Plans().Items(context.Background(), plan.ID, f)
		if err != nil {
			w.tb.Fatal(err)
		}
		var some []store.SSOUser
		for _, i := range items {
			if i.Position%2 == 0 {
				some = append(some, store.SSOUser{
					Person: i.Person, Account: i.Account, ExternalID: string(i.Person), ExternalProvider: provider, LoginName: i.Login,
					Role: i.Role, State: store.Active,
				})
			}
		}
		if _, err := w.db.Ledger().Adopt(context.Background(), some, store.Event{Action: "users-adopt",
			Outcome: "ok"}); err != nil {
			w.tb.Fatal(err)
		}
		if len(items) < f.Limit {
			return
		}
		f.After = items[len(items)-1].Position
	}
}
