package cli

import (
	"net"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
)

// checkMachine looks at what the machine gives the bridge: its TLS certificate, its ports, and how many files it may
// open.
func checkMachine(r *findings, cfg config.Config) {
	for _, f := range server.TLSFaults(cfg, r.now()) {
		if f.Certain {
			r.fail("tls.cert "+cfg.TLS.Cert, f.Text, f.Fix)
		} else {
			r.warn("tls.cert "+cfg.TLS.Cert, f.Text, f.Fix)
		}
	}
	for _, one := range []struct{ key, address string }{{"listen", cfg.Listen}, {"console.listen", cfg.Console.Listen},
		{"metrics.listen", cfg.Metrics.Listen}} {
		if _, port, err := net.SplitHostPort(one.address); err == nil && (port == "0" || port == "") {
			r.warn(one.key, one.address+" has port 0: the system chooses another port at each start", "write the port that the "+
				"proxy, or whoever asks, is to reach")
		}
	}
	if fault := server.OpenFilesFault(); fault != "" {
		r.warn("open files", fault, server.OpenFilesFix)
	}
}
