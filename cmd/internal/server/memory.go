package server

import (
	"runtime/debug"
	"strings"
)

// The bridge's live memory is small, so it may grow to several times that before it is
// collected: that costs megabytes and saves processor time at each sign-in. Near the
// limit the collector works as often as it has to.
const (
	gcPercent   = 300
	memoryLimit = 72 << 20 // bytes
)

// TuneMemory sets how often memory is collected, unless the operator has said so
// by Go's own variables.
func TuneMemory(environ []string) {
	for _, v := range environ {
		if strings.HasPrefix(v, "GOGC=") || strings.HasPrefix(v, "GOMEMLIMIT=") {
			return
		}
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}
