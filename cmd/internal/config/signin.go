package config

import "time"

// Sessions says how long people stay signed in at the bridge.
type Sessions struct {
	// How long a session lasts without use.
	// Default 1h.
	// Example: 1h
	Idle time.Duration `yaml:"idle"`

	// How long a session lasts at most.
	// Default 10h.
	// Example: 10h
	Life time.Duration `yaml:"life"`
}

// SignIn limits a sign-in.
type SignIn struct {
	// How long a started sign-in can be finished. At least 15m, since it is also the
	// record that refuses a request that comes a second time.
	// Default 1h.
	// Example: 1h
	Life time.Duration `yaml:"life"`

	// How long a page waits for a new Constant Contact user before it says so and
	// goes on by itself, 0s to 5s.
	// Default 1s.
	// Example: 1s
	Patience time.Duration `yaml:"patience"`

	// Wrong passwords for one person within login_window, by whatever spelling of the
	// login, after which further tries are refused without asking the directory. The
	// last two are reserved for browsers in which the person signed in before: others
	// have two less, so that strangers can't shut anybody out. Set it below the
	// directory's own lockout threshold, which check compares.
	// Default 5.
	// Example: 5
	LoginFailures int `yaml:"login_failures"`

	// How long after the last one wrong passwords are forgotten. Set it no shorter than
	// the time after which the directory forgets them.
	// Default 15m.
	// Example: 15m
	LoginWindow time.Duration `yaml:"login_window"`

	// Started sign-ins without a session that one client address may have stored. It is of no
	// effect but while a replica of the version before is running, during an upgrade: since
	// then nothing is stored of a sign-in before the right password. It will go with the next version.
	// Default 200.
	// Example: 200
	PendingPerAddress int `yaml:"pending_per_address"`

	// Started sign-ins without a session that may be stored in all. Of no effect but during an
	// upgrade, like pending_per_address.
	// Default 20000.
	// Example: 20000
	PendingTotal int `yaml:"pending_total"`

	// Bytes that a RelayState of a service provider may have, 80 to 16384. Many products
	// put the whole address of the page into it that somebody wanted.
	// Default 8192.
	// Example: 8192
	RelayStateMax int `yaml:"relay_state_max"`

	// Ask for one click where another site leads a browser to a launch link, so that no
	// site can sign somebody in unasked. Leave it off where action buttons stand on
	// sites of other domains and should work with one click.
	// Default false.
	// Example: false
	ConfirmLaunch bool `yaml:"confirm_launch"`
	// Show a box on the login page by which people have their browser remember their
	// login name for a year, so that only the password is left to type. Leave it off
	// where people share computers and login names are not for others to see.
	// Default false.
	// Example: false
	RememberLogin bool `yaml:"remember_login"`
	// The source to which sign-ins go at once that begin at the bridge, in place of the login page: one with login_url.
	// Links with ?source=NAME or ?source=directory choose another way.
	// Default none: the login page has a button for each source with login_url.
	// Example: portal
	Source string `yaml:"source"`
	// Whether the login page asks for a password of the directory. Off, only sources sign people in at service
	// providers, and the login page is not shown where there is one of them. The admin console and the page of second
	// factors always ask for the password.
	// Default true.
	// Example: true
	Password bool `yaml:"password"`
}
