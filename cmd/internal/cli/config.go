package cli

import (
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
)

type configCmd struct {
	Show configShowCmd `cmd:"" help:"Show each value that is in effect, and where it comes from."`
}

type configShowCmd struct{ asJSON }

// Help is shown by config show --help.
func (configShowCmd) Help() string {
	return "SOURCE is default, file (the configuration file), or the name of the environment variable or of the secret's " +
		"file. Secrets are shown as ***. Only the configuration is read: a running bridge has the values of its start, " +
		"or of its last SIGHUP.\n\nExamples:\n\n    ssobridge config show\n\n    ssobridge config show --json"
}

// jsonSetting is a value of the configuration as JSON.
type jsonSetting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Run shows them. It opens neither store nor directory: it is asked for when these don't work.
func (c configShowCmd) Run(s *invocation) error {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "KEY", "VALUE", "SOURCE")
	for _, one := range server.Settings(&cfg) {
		t.row(jsonSetting{one.Key, one.Value, one.Source}, one.Key, plainText(one.Value), one.Source)
	}
	return t.end()
}
