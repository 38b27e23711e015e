package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ssobridge/idp/netname"
)

// ErrInsecure says that the connection to PostgreSQL would not be encrypted.
var ErrInsecure = errors.New("sslmode=disable sends everything over the network in clear")

// The modes of a connection to PostgreSQL that code asks for by name, as libpq calls them.
const (
	tlsDisable = "disable"
	tlsAllow   = "allow"
	tlsPrefer  = "prefer"
	tlsRequire = "require"
)

// Route is how the database is reached at one of the addresses that its DSN names.
type Route struct {
	Host    string
	Network bool   // it is reached over the network: neither by a Unix socket nor on this machine's loopback
	Mode    string // the sslmode in force; "" for a Unix socket
	Raised  bool   // the DSN would be content with less
}

// Verified tells whether nobody between here and the server can pass for it.
func (r Route) Verified() bool { return !r.Network || r.Mode == "verify-full" || r.Mode == "verify-ca" }

func (r Route) String() string {
	switch {
	case r.Mode == "":
		return "Unix socket in " + r.Host
	case !r.Network:
		return fmt.Sprintf("loopback (%s), sslmode %s", r.Host, r.Mode)
	}
	text := fmt.Sprintf("%s, sslmode %s", r.Host, r.Mode)
	if r.Raised {
		text += " (the DSN demands none)"
	}
	return text
}

// Routes tells how PostgreSQL is reached, in the order in which the addresses are tried; none for SQLite.
func (db *DB) Routes() []Route {
	return db.engine.reached()
}

// postgresConfig reads a DSN, with all that the environment and service files add to it. Unless insecure is set,
// nothing is sent over a network in clear: an sslmode that is absent, prefer or allow is taken as require, since
// whoever sits between can have the server seem to offer no TLS; disable is ErrInsecure. It looks at what would be
// dialed and not at the text, which has many places for a mode.
func postgresConfig(dsn string, insecure bool) (*pgx.ConnConfig, []Route, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The cause may repeat a password.
		return nil, nil, errors.New("postgres DSN can't be read: want " +
			"postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")
	}
	routes := routesOf(config)
	if insecure {
		return config, routes, nil
	}
	raise := false
	for _, r := range routes {
		if r.Network && r.Mode == tlsDisable {
			return nil, nil, fmt.Errorf("PostgreSQL at %s: %w", r.Host, ErrInsecure)
		}
		raise = raise || r.Network && (r.Mode == tlsPrefer || r.Mode == tlsAllow)
	}
	if raise {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, nil, errors.New("postgres DSN can't be read as an address")
		}
		q := u.Query()
		q.Set("sslmode", tlsRequire)
		u.RawQuery = q.Encode()
		strict, err := pgx.ParseConfig(u.String())
		if err != nil {
			return nil, nil, errors.New("postgres DSN can't be read with sslmode=require: write sslmode=verify-full into it")
		}
		var all []*pgconn.FallbackConfig
		for _, d := range dials(config) {
			switch {
			case !overNetwork(d.Host, d.Port):
				all = append(all, d) // as it was written
			case d.TLSConfig != nil:
				all = append(all, encrypted(strict, d))
			}
		}
		config.Host, config.Port, config.TLSConfig, config.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
		for i, r := range routesOf(config) { // in the same order
			r.Raised = r.Mode != routes[i].Mode
			routes[i] = r
		}
	}
	lookup := config.LookupFunc
	config.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		addresses, err := lookup(ctx, host)
		if err == nil && strings.EqualFold(host, "localhost") {
			// Its name alone exempts it from TLS, so it has to be this machine.
			addresses = slices.DeleteFunc(addresses, func(a string) bool { return !netname.LoopbackPeer(a) })
		}
		return addresses, err
	}
	return config, routes, nil
}

// dials are all that a configuration tries, in order.
func dials(c *pgx.ConnConfig) []*pgconn.FallbackConfig {
	return append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
}

// encrypted is what a strict configuration dials at the same address.
func encrypted(strict *pgx.ConnConfig, d *pgconn.FallbackConfig) *pgconn.FallbackConfig {
	for _, s := range dials(strict) {
		if s.Host == d.Host && s.Port == d.Port && s.TLSConfig != nil {
			return s
		}
	}
	return d
}

func routesOf(c *pgx.ConnConfig) (routes []Route) {
	var port uint16
	for _, d := range dials(c) {
		mode := modeOf(d.TLSConfig)
		if network, _ := pgconn.NetworkAddress(d.Host, d.Port); network == "unix" {
			mode = ""
		}
		last := len(routes) - 1
		switch {
		case last < 0 || routes[last].Host != d.Host || port != d.Port:
			routes = append(routes, Route{Host: d.Host, Network: overNetwork(d.Host, d.Port), Mode: mode})
		case routes[last].Mode == tlsDisable && mode != tlsDisable:
			routes[last].Mode = tlsAllow // in clear first
		case mode == tlsDisable && routes[last].Mode == tlsRequire:
			routes[last].Mode = tlsPrefer
		}
		port = d.Port
	}
	return routes
}

// modeOf names the sslmode that gives such a TLS configuration.
func modeOf(c *tls.Config) string {
	switch {
	case c == nil:
		return tlsDisable
	case !c.InsecureSkipVerify:
		return "verify-full"
	case c.VerifyPeerCertificate != nil:
		return "verify-ca"
	}
	return tlsRequire
}

// overNetwork tells whether others can be between this program and the server. A name that is not known to be this
// machine's is taken as another one's.
func overNetwork(host string, port uint16) bool {
	network, _ := pgconn.NetworkAddress(host, port)
	return network != "unix" && !netname.LoopbackPeer(host)
}
