package cli

import (
	"runtime"
	"runtime/debug"

	"ssobridge/certs"
)

type versionCmd struct{ asJSON }

// Help is shown by version --help.
func (versionCmd) Help() string { return "Example:\n\n    ssobridge version" }

// Run prints the version, and who would make RSA signatures on this machine.
func (c versionCmd) Run(s *invocation) error {
	if c.JSON {
		return s.object(map[string]string{
			"version": version(), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH,
			"rsa_signatures_by": certs.NewEngine(certs.EngineOptions{}).Status().String(),
		})
	}
	s.printf("ssobridge %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	s.printf("RSA signatures by %s\n", certs.NewEngine(certs.EngineOptions{}).Status())
	return nil
}

// release is set at build time: -ldflags "-X ssobridge/cmd/internal/cli.release=1.2.3".
var release string

// version is the release, or else the commit that the program was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", ""
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			revision = setting.Value[:min(12, len(setting.Value))]
		case "vcs.modified":
			if setting.Value == "true" {
				modified = "+changes"
			}
		}
	}
	if revision == "" {
		return "development"
	}
	return "development-" + revision + modified
}
