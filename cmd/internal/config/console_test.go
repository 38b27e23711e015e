package config_test

import (
	"strings"
	"testing"
)

// ID-19: what says from where the console is served must hold, or the start stops.
func TestConsoleConfiguration(t *testing.T) {
	folder := initFolder(t)
	const group = "SSOBRIDGE_CONSOLE_ADMIN_GROUP=cn=admins,dc=example,dc=com"
	const proxy = "SSOBRIDGE_TRUSTED_PROXIES=10.0.0.1"
	for name, c := range map[string]struct {
		set  []string
		want string // part of the fault; "": none
	}{
		"by a proxy": {[]string{group, proxy,
			"CONSOLE_ALLOW_FROM=10.20.0.0/16,192.0.2.7,2001:db8::/32"}, ""},
		"no way to know": {[]string{group, "CONSOLE_ALLOW_FROM=10.20.0.0/16"},
			"console.allow_from: needs clients' addresses"},
		"no network": {[]string{group, proxy, "CONSOLE_ALLOW_FROM=office"},
			`console.allow_from: "office" is neither`},
		"too many bits": {[]string{group, proxy, "CONSOLE_ALLOW_FROM=10.0.0.0/33"},
			"console.allow_from: "},
		"IPv4 as IPv6": {[]string{group, proxy, "CONSOLE_ALLOW_FROM=::ffff:10.20.0.0/112"},
			"matches nobody"},
		"proxies alone": {[]string{group, "TRUSTED_PROXIES=10.0.0.0/8,192.0.2.7",
			"CONSOLE_ALLOW_FROM=10.20.0.0/16,192.0.2.7"}, "names addresses of trusted_proxies alone"},
		"proxies among others": {[]string{group, "TRUSTED_PROXIES=10.20.9.0/24",
			"CONSOLE_ALLOW_FROM=10.20.0.0/16,10.20.9.1"}, ""},
		"proxy as IPv6": {[]string{group, "TRUSTED_PROXIES=::ffff:10.20.9.1",
			"CONSOLE_ALLOW_FROM=10.20.0.0/16"}, "trusted_proxies: \"::ffff:10.20.9.1\" is an IPv4 network"},
		"no console": {[]string{proxy, "CONSOLE_ALLOW_FROM=10.20.0.0/16"},
			"nobody has a role in the console"},
		"other port": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://localhost:8444"}, ""},
		"other host": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://admin.localhost:8444"}, ""},
		"address alone": {[]string{group, "CONSOLE_PUBLIC_URL=http://localhost:8444"},
			"console.public_url: is set without console.listen"},
		"listener alone": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444"},
			"console.listen: is set without console.public_url"},
		"same port": {[]string{group, "LISTEN=127.0.0.1:8080", "CONSOLE_LISTEN=127.0.0.1:8080",
			"CONSOLE_PUBLIC_URL=http://localhost:8444"}, "console.listen: is the same as listen"},
		"same as metrics": {[]string{group, "METRICS_LISTEN=127.0.0.1:9090",
			"CONSOLE_LISTEN=127.0.0.1:9090", "CONSOLE_PUBLIC_URL=http://localhost:8444"},
			"console.listen: is the same as metrics.listen"},
		"same address": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://localhost:8080/"}, "console.public_url: is the address of public_url"},
		"other scheme": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=https://localhost:8444"}, "console.public_url: has another scheme"},
		"http for others": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://admin.example.com"}, "console.public_url: is http for a host that others reach"},
		"http, look-alike": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://xlocalhost:8444"}, "console.public_url: is http for a host that others reach"},
		"with a path": {[]string{group, "CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://localhost:8444/admin"}, "console.public_url: "},
		"no port": {[]string{group, "CONSOLE_LISTEN=127.0.0.1",
			"CONSOLE_PUBLIC_URL=http://localhost:8444"}, "console.listen: "},
		"listener, no console": {[]string{"CONSOLE_LISTEN=127.0.0.1:8444",
			"CONSOLE_PUBLIC_URL=http://localhost:8444"}, "nobody has a role in the console"},
		"idle too short":                        {[]string{group, "CONSOLE_IDLE=10s"}, "console.idle: 10s is out of range"},
		"idle about as short as uses are noted": {[]string{group, "CONSOLE_IDLE=1m"}, "console.idle: 1m is out of range"},
		"idle too long":                         {[]string{group, "CONSOLE_IDLE=2h"}, "console.idle: 2h is out of range"},
		"life too long":                         {[]string{group, "CONSOLE_LIFE=48h"}, "console.life: 48h is out of range"},
		"idle longer than life": {[]string{group, "CONSOLE_IDLE=50m", "CONSOLE_LIFE=30m"},
			"console.idle: is longer than console.life"},
	} {
		t.Run(name, func(t *testing.T) {
			var set []string
			for _, v := range c.set {
				set = append(set, "SSOBRIDGE_"+strings.TrimPrefix(v, "SSOBRIDGE_"))
			}
			_, err := loadFolder(t, folder, set...)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no fault", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
