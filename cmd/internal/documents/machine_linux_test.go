package documents_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"ssobridge/internal/testkind"
)

const patience = time.Minute

// machine is this Debian once more: its files below an empty layer in memory, with users, processes, systemd and a
// network of its own. That has one neighbour, outside, where browsers and Constant Contact are, and ends there. What
// happens there is gone with it.
type machine struct {
	t               *testing.T
	first           int // its systemd, by its process id here
	inside, outside int // file descriptors of the networks
	words           *strings.Replacer
	pki             *authority
}

// boot makes the machine out of the namespaces that unshare has given it, and becomes its systemd. No service of this
// Debian starts there by itself.
const boot = `set -eu
mkdir "$1/layer"
mount -t tmpfs -o mode=755 layer "$1/layer"
mkdir "$1/layer/upper" "$1/layer/work" "$1/layer/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/layer/upper,workdir=$1/layer/work" overlay "$1/layer/root"
cd "$1/layer/root"
mount -t proc proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null:3 zero:5 full:7 random:8 urandom:9; do
	mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 dev/tty c 5 0
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
rm -rf etc/systemd/system/*.wants usr/sbin/policy-rc.d
rm -rf etc/ssobridge var/lib/ssobridge var/log/ssobridge usr/local/bin/ssobridge
cp "$1/hosts" etc/hosts
hostname machine
ip link set lo up
pivot_root . mnt
umount -l mnt
exec env -i container=documents PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --unit=basic.target --log-target=journal
`

// outsideNet makes the neighbour of the machine's network.
const outsideNet = `ip netns add outside
ip link add to-outside type veth peer name to-machine netns outside
ip address add 192.0.2.1/24 dev to-outside
ip link set to-outside up
ip netns exec outside ip address add 192.0.2.2/24 dev to-machine
ip netns exec outside ip link set to-machine up
ip netns exec outside ip link set lo up
`

// hosts are where the names of the documents lead: the bridge or the proxy before it, the sandbox outside, the
// directory, the database.
const hosts = `127.0.0.1 localhost machine
192.0.2.1 sso.example.com sso-admin.example.com
192.0.2.2 api.cc.email authz.constantcontact.com identity.constantcontact.com
127.0.0.3 ldap1.example.com ldap2.example.com
127.0.0.4 db1.example.com
127.0.0.5 db2.example.com
`

func newMachine(t *testing.T, words map[string]string) *machine {
	t.Helper()
	testkind.Starts(t, "a machine in namespaces")
	if os.Getuid() != 0 {
		t.Skip("only root makes a machine in namespaces of its own")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	group := cgroup(t)
	// The shell moves into the cgroup first: the machine's systemd sees what is below it.
	cmd := exec.Command("sh", "-c", `echo $$ >"$2/cgroup.procs" && exec unshare --mount --pid --fork --net --uts --ipc `+
		`--cgroup --kill-child --propagation private sh -c "$3" boot "$1"`, "sh", dir, group, boot)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = dieWithTest()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	m := &machine{t: t, inside: -1, outside: -1, pki: newAuthority(t)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and with it, its first process and all others
		<-ended
		for _, fd := range []int{m.inside, m.outside} {
			if fd >= 0 {
				_ = unix.Close(fd)
			}
		}
		removeCgroup(group)
	})
	var pairs []string
	for from, to := range maps.All(words) {
		pairs = append(pairs, from, to)
	}
	m.words = strings.NewReplacer(pairs...)
	m.until("systemd has started", func() error {
		select {
		case <-ended:
			t.Fatalf("the machine ended: %s", said.String())
		default:
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if err != nil {
			return err
		}
		if m.first, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
			return err
		}
		_, err = m.shell("systemctl is-active --quiet basic.target")
		return err
	})
	m.must(outsideNet)
	var err error
	for name, fd := range map[string]*int{
		fmt.Sprintf("/proc/%d/ns/net", m.first): &m.inside,
		m.path("/run/netns/outside"):            &m.outside,
	} {
		if *fd, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	bundle, err := os.ReadFile(m.path("/etc/ssl/certs/ca-certificates.crt"))
	if err != nil {
		t.Fatalf("read the authorities of this Debian (package ca-certificates): %v", err)
	}
	m.write("/etc/ssl/certs/ca-certificates.crt", string(bundle)+"\n"+m.pki.pem)
	return m
}

// cgroup makes a control group for a machine.
func cgroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 3 && f[2] == "cgroup2" {
			name, err := os.MkdirTemp(f[1], "documents-")
			if err != nil {
				t.Fatalf("make a control group for systemd: %v", err)
			}
			return name
		}
	}
	t.Skip("systemd needs control groups of version 2, and none are mounted here")
	return ""
}

// removeCgroup removes a group and those that systemd made below it. The kernel takes a moment to see that they are
// empty.
func removeCgroup(group string) {
	for range 100 {
		var folders []string
		_ = filepath.WalkDir(group, func(name string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				folders = append(folders, name)
			}
			return nil
		})
		for i := len(folders) - 1; i >= 0; i-- {
			_ = os.Remove(folders[i])
		}
		if _, err := os.Stat(group); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// path is where a file of the machine is found here.
func (m *machine) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.first, name) }

// write puts a file onto the machine. One that is there keeps owner and mode.
func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// edit puts the sections of a YAML text into a YAML file, as somebody with an editor does.
func (m *machine) edit(name, text string) {
	m.t.Helper()
	old, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	var have, more map[string]any
	if err := yaml.Unmarshal(old, &have); err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
	if err := yaml.Unmarshal([]byte(text), &more); err != nil {
		m.t.Fatalf("%s: %v", text, err)
	}
	mergeSections(have, more)
	edited, err := yaml.Marshal(have)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name, string(edited))
}

// shell runs commands as root of the machine, where the last ones have left it, and returns what they print.
func (m *machine) shell(script string) (string, error) {
	testkind.Starts(m.t, "nsenter")
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(m.first), "--mount", "--uts", "--ipc", "--net",
		"--pid", "--cgroup", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"bash", "-euo", "pipefail", "-c", "cd \"$(cat /run/folder 2>/dev/null || echo /root)\"\n"+script+"\npwd >/run/folder")
	cmd.WaitDelay = time.Second // for what was left in the background
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%w:\n%s", err, out)
	}
	return string(out), nil
}

// must runs commands that have to work.
func (m *machine) must(script string) string {
	m.t.Helper()
	out, err := m.shell(script)
	if err != nil {
		m.t.Fatalf("%s\n%v", script, err)
	}
	return out
}

// refuses runs commands that have to fail, with this exit code and text.
func (m *machine) refuses(code int, text, script string) {
	m.t.Helper()
	out, err := m.shell(fmt.Sprintf("code=0\n( %s ) || code=$?\n[ $code = %d ]", script, code))
	if err != nil || !strings.Contains(out, text) {
		m.t.Errorf("%s\nwant exit code %d and %q, got %v", script, code, text, out)
	}
}

// play runs a block.
func (m *machine) play(b block) {
	m.t.Helper()
	_, act, file := b.machine()
	text := m.words.Replace(b.text)
	switch act {
	case inBackground:
		m.must("nohup bash -c " + quoted(text) + " >/run/background.log 2>&1 </dev/null &")
	case "when":
		m.until(file+" is there", func() error { _, err := os.Stat(m.path(file)); return err })
		m.command(b, text)
	case "write":
		m.must("mkdir -p " + filepath.Dir(file))
		m.write(file, text)
	case "edit":
		m.edit(file, text)
	default:
		m.command(b, text)
	}
}

// command runs the commands of a block.
func (m *machine) command(b block, text string) {
	m.t.Helper()
	if out, err := m.shell(text); err != nil {
		log, _ := m.shell("journalctl --no-pager --lines=30")
		m.t.Errorf("%s:\n%s\n%v\nThe journal ends:\n%s", b, text, err, log)
	} else {
		m.t.Logf("%s:\n%s%s", b, text, out)
	}
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// until waits for something.
func (m *machine) until(what string, there func() error) {
	m.t.Helper()
	err := there()
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = there() {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		log, _ := m.shell("journalctl --no-pager --lines=30")
		m.t.Fatalf("waited in vain until %s: %v\nThe journal ends:\n%s", what, err, log)
	}
}

// inNet calls a function whose sockets are those of a network.
func inNet(network int, f func() error) error {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(own) }()
	if err := unix.Setns(network, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the machine's network: %w", err)
	}
	result := f()
	if err := unix.Setns(own, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leave the machine's network: %w", err) // the thread stays locked, and ends with the goroutine
	}
	runtime.UnlockOSThread()
	return result
}

// dial connects to a name of the documents from outside, and to the machine's loopback from inside.
func (m *machine) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(hosts) {
		if f := strings.Fields(line); strings.Contains(" "+strings.Join(f[1:], " ")+" ", " "+host+" ") {
			host = f[0]
		}
	}
	from := m.outside
	if a, err := netip.ParseAddr(host); err == nil && a.IsLoopback() {
		from = m.inside
	}
	err = inNet(from, func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(host, port))
		return err
	})
	return conn, err
}

// listen listens on an address outside.
func (m *machine) listen(address string) (l net.Listener) {
	m.t.Helper()
	err := inNet(m.outside, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}
