package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What runs when a package is installed, upgraded, removed and purged.
//
//go:embed scripts
var scripts embed.FS

const (
	summary     = "SAML identity provider for Constant Contact over LDAP"
	description = summary + "\n" +
		"Signs people in with the password of an LDAP directory or Active Directory, creates their Constant Contact\n" +
		"user where there is none yet, and hands them over by SAML 2.0."
	documentsFolder = "/usr/share/doc/ssobridge/"
	// maxDeb is what a package may weigh.
	maxDeb = 20_000_000
	// builtPath is where the unit starts the program from. Packages may not write there and have it in /usr/bin.
	builtPath = "/usr/local/bin/ssobridge"
)

// content is a file or a folder of a package, as nfpm reads it.
type content struct {
	Source      string   `json:"src,omitempty"`
	Destination string   `json:"dst"`
	Type        string   `json:"type,omitempty"`
	Info        fileInfo `json:"file_info"`
}

type fileInfo struct {
	Mode  uint32 `json:"mode"`
	Time  string `json:"mtime"`
	Owner string `json:"owner"`
	Group string `json:"group"`
}

// packages makes the packages for Debian and for RPM.
func packages(ctx context.Context, o options, p program, files []file, work string) ([]file, error) {
	staged, err := stage(o, files, filepath.Join(work, "staged"))
	if err != nil {
		return nil, err
	}
	copyright := filepath.Join(work, "copyright")
	if err := os.WriteFile(copyright, []byte(copyrightText(files)), 0o600); err != nil {
		return nil, fmt.Errorf("write the licences of the packages: %w", err)
	}
	own := func(kind, name string, mode uint32, owner, group string) content {
		return content{Destination: name, Type: kind,
			Info: fileInfo{mode, o.date.Format(time.RFC3339), owner, group}}
	}
	debian := append([]content{
		// The user is made after the files are unpacked: postinst hands the folders over.
		own("dir", "/etc/ssobridge", 0o750, "root", "root"),
		own("dir", "/var/lib/ssobridge", 0o700, "root", "root"),
	}, staged...)
	licence := own("", documentsFolder+"copyright", 0o644, "root", "root")
	licence.Source = copyright
	rpm := append([]content{
		own("dir", "/etc/ssobridge", 0o750, "root", "ssobridge"),
		own("dir", "/var/lib/ssobridge", 0o700, "ssobridge", "ssobridge"),
		own("dir", strings.TrimSuffix(documentsFolder, "/"), 0o755, "root", "root"),
	}, staged...)
	deb, err := nfpm(ctx, o, p, work, "deb", map[string]any{
		"contents": append(debian, licence),
		"depends": []string{"libc6 (>= " + p.glibc + ")", "ca-certificates", "passwd",
			"procps"}, // whose kill the unit reloads with
		"recommends": []string{"libssl3 | libssl3t64", "tzdata"},
	})
	if err != nil {
		return nil, err
	}
	if len(deb.data) > maxDeb {
		return nil, fmt.Errorf("%s has %d bytes, more than %d: find out what got in", deb.name, len(deb.data), maxDeb)
	}
	red, err := nfpm(ctx, o, p, work, "rpm", map[string]any{
		"contents": append(rpm, licence),
		"depends": []string{"libc.so.6(GLIBC_" + p.glibc + ")(64bit)", "ca-certificates", "/usr/sbin/useradd",
			"/usr/sbin/groupadd", "/usr/bin/kill"},
		"recommends": []string{"openssl-libs", "tzdata"},
		"release":    "1",
		// By default it would be this machine's name.
		"rpm": map[string]any{"summary": summary, "buildhost": "localhost"},
	})
	return []file{deb, red}, err
}

// stage writes the files for nfpm, and tells where each goes in a package.
func stage(o options, files []file, folder string) ([]content, error) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	var staged []content
	for i, f := range files {
		c := content{Source: filepath.Join(folder, strconv.Itoa(i)), Destination: documentsFolder + f.name,
			Info: fileInfo{0o644, o.date.Format(time.RFC3339), "root", "root"}}
		switch {
		case f.name == "ssobridge":
			c.Destination, c.Info.Mode = "/usr/bin/ssobridge", 0o755
		case slices.Contains(units, f.name):
			if f.name == unit && !strings.Contains(string(f.data), "ExecStart="+builtPath+" ") {
				return nil, fmt.Errorf("%s does not start %s", unit, builtPath)
			}
			f.data = []byte(strings.ReplaceAll(string(f.data), builtPath, "/usr/bin/ssobridge"))
			c.Destination = "/usr/lib/systemd/system/" + f.name
		}
		if err := os.WriteFile(c.Source, f.data, 0o600); err != nil {
			return nil, fmt.Errorf("write %s for the packages: %w", f.name, err)
		}
		staged = append(staged, c)
	}
	return staged, nil
}

// nfpm makes one package. Its configuration is YAML, which JSON is too.
func nfpm(ctx context.Context, o options, p program, work, kind string, more map[string]any) (file, error) {
	config := map[string]any{
		"name": "ssobridge", "arch": p.arch, "platform": "linux", "version": o.version, "section": "net",
		"priority": "optional", "maintainer": o.maintainer, "description": description, "license": "LicenseRef-ssobridge",
		"mtime": o.date.Format(time.RFC3339), "disable_globbing": true,
	}
	for key, value := range more {
		config[key] = value
	}
	hooks := map[string]string{}
	for hook, name := range map[string]string{"preinstall": "preinst", "postinstall": "postinst", "preremove": "prerm",
		"postremove": "postrm"} {
		text, err := scripts.ReadFile("scripts/" + kind + "." + name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return file{}, fmt.Errorf("read the scripts of the %s package: %w", kind, err)
		}
		hooks[hook] = filepath.Join(work, kind+"."+name)
		if err := os.WriteFile(hooks[hook], text, 0o600); err != nil {
			return file{}, fmt.Errorf("write the scripts of the %s package: %w", kind, err)
		}
	}
	config["scripts"] = hooks
	text, err := json.Marshal(config)
	if err != nil {
		return file{}, fmt.Errorf("describe the %s package: %w", kind, err)
	}
	described := filepath.Join(work, kind+".yaml")
	if err := os.WriteFile(described, text, 0o600); err != nil {
		return file{}, fmt.Errorf("describe the %s package: %w", kind, err)
	}
	tool, err := filepath.Abs(filepath.Join(o.tools, "nfpm"))
	if err != nil {
		return file{}, fmt.Errorf("find nfpm: %w", err)
	}
	// Debian and RPM sort 1.2.3~rc.1 before 1.2.3.
	version := strings.Replace(o.version, "-", "~", 1)
	name := "ssobridge_" + version + "_" + p.arch + ".deb"
	if kind == "rpm" {
		name = "ssobridge-" + version + "-1." + p.rpm + ".rpm"
	}
	target := filepath.Join(work, name)
	if _, err := command(ctx, work, []string{"LC_ALL=C"}, tool, "package", "--config", described, "--packager", kind,
		"--target", target); err != nil {
		return file{}, fmt.Errorf("make the %s package: %w", kind, err)
	}
	data, err := os.ReadFile(target)
	if err != nil {
		return file{}, fmt.Errorf("read the %s package: %w", kind, err)
	}
	return file{name: name, data: data}, nil
}

// copyrightText says where the licences are.
func copyrightText(files []file) string {
	own := "The project's own licence is not stated: ask its owner before you use it."
	for _, f := range files {
		if f.name == ownLicence {
			own = string(f.data)
		}
	}
	return "The licences of everything that ssobridge links are in " + documentsFolder + "LICENSES.\n\n" + own + "\n"
}
