package directory_test

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// peakMemory is the most memory that the process has had since resetPeak, in MB.
func peakMemory(tb testing.TB) float64 {
	tb.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip("the peak of memory is read from /proc: ", err)
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(after)
	if len(fields) == 0 {
		tb.Fatal("/proc/self/status does not tell VmHWM")
	}
	kb, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil {
		tb.Fatal(err)
	}
	return kb / 1024
}

func resetPeak(tb testing.TB) {
	tb.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		tb.Skip("the peak of memory can't be reset: ", err)
	}
}

// BenchmarkWalk walks over a large directory of which 200 groups matter. Run it with -benchtime 1x; loading takes most
// of its time.
func BenchmarkWalk(b *testing.B) {
	const wanted = 200
	s := directorytest.StartSlapdWith(b, directorytest.SlapdOptions{Empty: true, People: 100_000, Groups: 10_000,
		MembersPerGroup: 30, BigGroup: 50_000, NestDepth: 5})
	matters := map[string]bool{}
	for i := range wanted {
		matters[directorytest.LoadGroup(i)] = true
	}
	for _, mode := range []string{"search", "member_of"} {
		b.Run(mode, func(b *testing.B) {
			o := s.Options()
			o.GroupMode, o.Nested = mode, true
			d := open(b, o)
			resetPeak(b)
			for b.Loop() {
				in := 0
				walked, err := d.Walk(b.Context(),
					directory.WalkOptions{Wanted: func(g directory.Group) bool { return matters[g.Name] }},
					func(e directory.Entry) error {
						in += len(e.Groups)
						return nil
					})
				if err != nil || walked.People != 100_000 || walked.Wanted != wanted || walked.Skipped != 0 {
					b.Fatalf("got %+v, %v", walked, err)
				}
				b.ReportMetric(float64(in), "memberships")
			}
			b.ReportMetric(peakMemory(b), "MB-peak")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/walk")
			b.ReportMetric(0, "ns/op")
		})
	}
}
