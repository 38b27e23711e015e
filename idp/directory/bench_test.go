package directory_test

import (
	"sync/atomic"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// BenchmarkSignIn measures fresh sign-ins (search, bind, group search over TLS) by eight callers at once.
func BenchmarkSignIn(b *testing.B) {
	const people = 1000
	s := directorytest.StartSlapdWith(b, directorytest.SlapdOptions{Empty: true, People: people})
	for _, mode := range []string{"search", "member_of"} {
		b.Run(mode, func(b *testing.B) {
			o := s.Options()
			o.GroupMode = mode
			d := open(b, o)
			var next atomic.Int64
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					login := directorytest.LoadLogin(int(next.Add(1) % people))
					e, err := d.Authenticate(b.Context(), login, directorytest.Password)
					if err != nil || len(e.Groups) != 1 {
						b.Errorf("%s: %d groups, %v", login, len(e.Groups), err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
