package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/internal/testkind"
)

// unpackedImage has the image of an architecture read by tools of others, which compare every digest, and returns its
// root file system and how it is run.
func unpackedImage(t *testing.T, arch string) (rootfs string, run runConfig) {
	t.Helper()
	testkind.Starts(t, "skopeo and umoci")
	archive := filepath.Join(releaseOf(t, "1.2.3"), "ssobridge-1.2.3-linux-"+arch+".oci.tar")
	folder := t.TempDir()
	copied := filepath.Join(folder, "layout")
	if out, err := exec.CommandContext(t.Context(), "skopeo", "copy", "--quiet", "--insecure-policy",
		"--override-arch="+arch, "oci-archive:"+archive+":1.2.3", "oci:"+copied+":1.2.3").CombinedOutput(); err != nil {
		t.Fatalf("skopeo as OCI: %v\n%s", err, out)
	}
	// docker load reads the same file in another way.
	if out, err := exec.CommandContext(t.Context(), "skopeo", "copy", "--quiet", "--insecure-policy",
		"--override-arch="+arch, "docker-archive:"+archive+":ssobridge:1.2.3",
		"oci:"+filepath.Join(folder, "docker")).CombinedOutput(); err != nil {
		t.Fatalf("skopeo as Docker: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "skopeo", "inspect", "--config", "--raw", "oci:"+copied+":1.2.3").Output()
	if err != nil {
		t.Fatalf("skopeo inspect: %v", err)
	}
	var config imageConfig
	if err := json.Unmarshal(out, &config); err != nil {
		t.Fatal(err)
	}
	if config.Architecture != arch || config.Created != "2026-11-29T00:00:00Z" {
		t.Errorf("the image is for %s, of %s", config.Architecture, config.Created)
	}
	bundle := filepath.Join(folder, "bundle")
	if out, err := exec.CommandContext(t.Context(), "umoci", "unpack", "--image", copied+":1.2.3",
		bundle).CombinedOutput(); err != nil {
		t.Fatalf("umoci: %v\n%s", err, out)
	}
	return filepath.Join(bundle, "rootfs"), config.Config
}

// TestAcceptanceImageOfArm64: the program for the other architecture runs, in an emulator, and finds its libcrypto.
// ID-42
func TestAcceptanceImageOfArm64(t *testing.T) {
	rootfs, run := unpackedImage(t, "arm64")
	testkind.Starts(t, "qemu-aarch64")
	says, err := exec.CommandContext(t.Context(), "qemu-aarch64", "-L", rootfs, filepath.Join(rootfs, run.Entrypoint[0]),
		"version").Output()
	checkVersion(t, "the image's program", string(says), err, "1.2.3", "arm64")
}

// TestAcceptanceImage runs the image by its own entrypoint, with a root file system that can't be written, as its own
// user and as one user after the other that a platform has made up, with the group of root. ID-42
func TestAcceptanceImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("a root file system is mounted by root")
	}
	rootfs, run := unpackedImage(t, "amd64")
	checkRoot(t, rootfs)
	if run.User != "10001:10001" || run.StopSignal != "SIGTERM" || run.Labels["org.opencontainers.image.version"] !=
		"1.2.3" || strings.Join(run.Healthcheck.Test, " ") != "CMD "+builtPath+" health" {
		t.Errorf("the image is run as %+v", run)
	}
	for name, users := range map[string][][2]int{
		"its own user": {{imageUser, imageUser}},
		"made-up user": {{1234567, 0}, {7654321, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, rootfs, run)
			for i, user := range users {
				c.uid, c.gid = user[0], user[1]
				says, err := c.command("version").Output()
				checkVersion(t, "the image's program", string(says), err, "1.2.3", "amd64")
				if i == 0 {
					if out, err := c.command("init", "--key-only", "--create").CombinedOutput(); err != nil {
						t.Fatalf("init as %v: %v\n%s", user, err, out)
					}
				}
				c.serve(t)
			}
			// The configuration alone is given: nothing else of the root can be written.
			c.data = ""
			if out, err := c.command("init", "--key-only", "--create").CombinedOutput(); err == nil {
				t.Errorf("with a root that can't be written it makes a database: %s", out)
			}
		})
	}
}

// checkRoot looks at what is in the root file system: nothing to log in with, nothing that gains rights.
func checkRoot(t *testing.T, rootfs string) {
	t.Helper()
	for _, name := range []string{"etc/os-release", "etc/ssl/certs/ca-certificates.crt", "etc/passwd",
		"usr/share/zoneinfo/Europe/Vienna", "var/lib/dpkg/status", "usr/share/doc/ssobridge/LICENSES/INDEX.txt",
		"usr/share/doc/libssl3/copyright", "usr/share/doc/ssobridge/" + components} {
		if info, err := os.Stat(filepath.Join(rootfs, name)); err != nil || info.Size() == 0 {
			t.Errorf("the image has no %s: %v", name, err)
		}
	}
	for _, name := range []string{"bin/sh", "usr/bin/apt", "usr/bin/dpkg"} {
		if _, err := os.Lstat(filepath.Join(rootfs, name)); err == nil {
			t.Errorf("the image has %s", name)
		}
	}
	err := filepath.WalkDir(rootfs, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		relative := strings.TrimPrefix(name, rootfs)
		stat, _ := info.Sys().(*syscall.Stat_t)
		switch {
		case relative == "/"+imageFolder:
			if stat.Uid != imageUser || stat.Gid != 0 || stat.Mode&0o7777 != 0o2770 {
				t.Errorf("%s is %d:%d %o", relative, stat.Uid, stat.Gid, stat.Mode&0o7777)
			}
		case stat.Uid != 0 || stat.Gid != 0 && info.IsDir():
			t.Errorf("%s belongs to %d:%d", relative, stat.Uid, stat.Gid)
		case stat.Mode&0o6000 != 0 || stat.Mode&0o002 != 0 && relative != "/tmp":
			t.Errorf("%s has mode %o", relative, stat.Mode&0o7777)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// container is the image with a configuration and a data folder, run without a container engine.
type container struct {
	t                           *testing.T
	rootfs, configuration, data string
	run                         runConfig
	uid, gid                    int
}

func newContainer(t *testing.T, rootfs string, run runConfig) *container {
	t.Helper()
	c := &container{t: t, rootfs: rootfs, run: run, configuration: t.TempDir(), data: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if err := os.WriteFile(filepath.Join(c.configuration, "secret_key"), []byte(strings.Repeat("A", 43)+"="),
		0o600); err != nil {
		t.Fatal(err)
	}
	configure(t, c.configuration, address)
	for _, name := range []string{"secret_key", "bind_password", "partner_secret", "api_key", "ssobridge.yaml"} {
		// All kinds of users read it.
		if err := os.Chmod(filepath.Join(c.configuration, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// An engine makes a new volume like the folder that the image has there.
	if err := errors.Join(os.Chmod(c.configuration, 0o755), os.Chown(c.data, imageUser, 0),
		syscall.Chmod(c.data, 0o2770)); err != nil {
		t.Fatal(err)
	}
	return c
}

// configure writes a configuration for this address, whose directory and Constant Contact nobody answers for.
func configure(t *testing.T, folder, address string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	for name, text := range map[string]string{
		"bind_password": "b", "partner_secret": "s", "api_key": "k",
		"ssobridge.yaml": strings.Join([]string{"public_url: http://localhost:" + port,
			"entity_id: http://localhost:" + port + "/saml/metadata", "listen: " + address,
			"data_dir: /" + imageFolder, "secret_key_file: secret_key",
			"directory:", "  preset: openldap", "  urls: [ldaps://127.0.0.1:9]", "  bind_dn: cn=b,dc=example,dc=test",
			"  bind_password_file: bind_password", "  base_dn: dc=example,dc=test",
			"constant_contact:", "  partner_client_id: p", "  partner_secret_file: partner_secret",
			"  api_key_file: api_key", "  external_provider: p", ""}, "\n"),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// mounted mounts what an engine mounts, and runs the rest of its arguments in it.
const mounted = `root=$1 configuration=$2 data=$3 user=$4
shift 4
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$configuration" "$root/etc/ssobridge"
mount -o remount,bind,ro "$root/etc/ssobridge"
[ -z "$data" ] || mount --bind "$data" "$root/var/lib/ssobridge"
exec chroot --userspec="$user" --groups= "$root" "$@"
`

// command is the image's entrypoint with other arguments.
func (c *container) command(args ...string) *exec.Cmd {
	testkind.Starts(c.t, "unshare")
	all := []string{"--mount", "--propagation", "private", "sh", "-euc", mounted, "sh", c.rootfs, c.configuration, c.data,
		strconv.Itoa(c.uid) + ":" + strconv.Itoa(c.gid)}
	cmd := exec.Command("unshare", append(append(all, c.run.Entrypoint...), args...)...)
	cmd.Env = append(slices.Clone(c.run.Env), "PATH=/usr/sbin:/usr/bin:/sbin:/bin") // of the mounting shell
	return cmd
}

// serve runs the image as it is, until its own health check passes, and stops it.
func (c *container) serve(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	cmd := c.command(c.run.Cmd...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	health := strings.TrimPrefix(c.run.Healthcheck.Test[1], c.run.Entrypoint[0])
	args := append(strings.Fields(health), c.run.Healthcheck.Test[2:]...)
	for deadline := time.Now().Add(time.Minute); ; {
		out, err := c.command(args...).CombinedOutput()
		if err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, log.String())
		default:
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			<-ended
			t.Fatalf("it does not become healthy: %v %s\n%s", err, out, log.String())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stopped as %d:%d it ends with %v\n%s", c.uid, c.gid, err, log.String())
		}
	case <-time.After(30 * time.Second):
		cmd.Process.Kill()
		t.Errorf("as %d:%d it does not stop\n%s", c.uid, c.gid, log.String())
	}
	entries, err := os.ReadDir(c.data)
	if err != nil || len(entries) == 0 {
		t.Errorf("the data folder has %v, %v", entries, err)
	}
}

// TestImageArchive: each part of an image is where its digest says, for both kinds of readers.
func TestImageArchive(t *testing.T) {
	b := blobs{at: time.Unix(1795910400, 0)}
	l := b.add(typeLayer, []byte("a layer"))
	config, err := b.addJSON(typeConfig, imageConfig{Config: runOf(options{})})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := b.archive(imageIndex{2, typeIndex, []descriptor{config}},
		[]dockerManifest{{blobName(config), []string{"ssobridge:1.2.3"}, []string{blobName(l)}}})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name] = true
		if sum, ok := strings.CutPrefix(h.Name, "blobs/"); ok && digest(data) != strings.Replace(sum, "/", ":", 1) {
			t.Errorf("%s has another digest", h.Name)
		}
	}
	for _, name := range []string{"oci-layout", "index.json", "manifest.json", blobName(l), blobName(config)} {
		if !names[name] {
			t.Errorf("the archive lacks %s: %v", name, names)
		}
	}
	if d := fmt.Sprint(runOf(options{})); strings.Contains(d, "revision") {
		t.Errorf("a commit that is not known is named: %s", d)
	}
}
