package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"
)

// entry is one file, folder or link of a layer.
type entry struct {
	kind     byte // of package tar
	mode     int64
	uid, gid int
	at       time.Time
	link     string
	data     []byte
}

// layer is a set of files by their names, without a slash in front.
type layer map[string]entry

// merged are the folders of Debian's root file system that are links into usr.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// maxUnpacked is what one package may have unpacked.
const maxUnpacked = 256 << 20

// addPackage puts the files of a Debian package into the layer; what nothing in the image uses is left out.
func (l layer) addPackage(files io.Reader) error {
	r := tar.NewReader(io.LimitReader(files, maxUnpacked))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := place(h.Name)
		if name == "" || !wanted(name) {
			continue
		}
		e := entry{kind: h.Typeflag, mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, at: h.ModTime.UTC(), link: h.Linkname}
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeSymlink:
		case tar.TypeLink:
			// Its target may come later by its name: it is a file of its own here.
			other, ok := l[place(h.Linkname)]
			if !ok {
				return fmt.Errorf("%s is a link to %s, which is not there", h.Name, h.Linkname)
			}
			e = other
		case tar.TypeReg:
			e.mode &= 0o755 // nothing is setuid, and nobody but root writes it
			if e.data, err = io.ReadAll(r); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", h.Name)
		}
		if was, ok := l[name]; ok && was.kind != tar.TypeDir {
			return fmt.Errorf("%s is in two packages", h.Name)
		}
		l[name] = e
	}
}

// place is where a file goes: as it is named, or below usr where the folder is a link there.
func place(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains(merged, first) {
		return "usr/" + name
	}
	return name
}

// wanted leaves out what no program of the image reads: manuals, translations, the converters of iconv, scripts and
// settings for people who log in. Licences stay.
func wanted(name string) bool {
	if rest, ok := strings.CutPrefix(name, "usr/share/doc/"); ok {
		return !strings.Contains(rest, "/") || strings.HasSuffix(rest, "/copyright")
	}
	for _, kept := range []string{"etc/debian_version", "etc/os-release", "usr/lib/os-release",
		"usr/share/ca-certificates", "usr/share/common-licenses", "usr/share/zoneinfo"} {
		if name == kept || strings.HasPrefix(name, kept+"/") {
			return true
		}
	}
	return strings.HasPrefix(name, "usr/lib/") && strings.Contains(name, "-linux-gnu/") &&
		!strings.Contains(name, "/gconv/") || strings.HasPrefix(name, "usr/lib64/") || strings.HasPrefix(name, "usr/lib/ld-")
}

// newest is the time of the newest file: that of what is made of others.
func (l layer) newest() (at time.Time) {
	for _, e := range l {
		if e.at.After(at) {
			at = e.at
		}
	}
	return at
}

// folder and text add what no package has.
func (l layer) folder(name string, mode int64, uid, gid int, at time.Time) {
	l[name] = entry{kind: tar.TypeDir, mode: mode, uid: uid, gid: gid, at: at}
}

func (l layer) text(name, text string, at time.Time) {
	l[name] = entry{kind: tar.TypeReg, mode: 0o644, at: at, data: []byte(text)}
}

// archive writes the layer, folders before what is in them.
func (l layer) archive() ([]byte, error) {
	at := l.newest()
	for _, name := range slices.Collect(maps.Keys(l)) {
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			if _, ok := l[up]; !ok {
				l.folder(up, 0o755, 0, 0, at)
			}
		}
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(l)) {
		e := l[name]
		h := &tar.Header{Typeflag: e.kind, Name: name, Mode: e.mode, Uid: e.uid, Gid: e.gid, ModTime: e.at, Linkname: e.link,
			Size: int64(len(e.data))}
		if e.kind == tar.TypeDir {
			h.Name += "/"
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %s into the image: %w", name, err)
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, fmt.Errorf("write %s into the image: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write a layer of the image: %w", err)
	}
	return out.Bytes(), nil
}

// rootFileSystem is the lowest layer: it depends on the lock file alone, so that it is the same in many releases.
func rootFileSystem(ctx context.Context, packages []debianPackage, files []string) (layer, error) {
	l := layer{}
	var status strings.Builder
	for i, p := range packages {
		control, err := command(ctx, "", []string{"LC_ALL=C"}, "dpkg-deb", "--field", files[i])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p.name, err)
		}
		if f := fields(control); f["Package"] != p.name || f["Version"] != p.version || f["Architecture"] != p.arch {
			return nil, fmt.Errorf("the package of the sum %s is %s %s for %s, and %s says another one", p.sha256,
				f["Package"], f["Version"], f["Architecture"], lockFile)
		}
		status.WriteString(strings.Replace(control, "\n", "\nStatus: install ok installed\n", 1) + "\n\n")
		if err := l.unpack(ctx, files[i]); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", p.name, err)
		}
	}
	at := l.newest()
	for _, name := range merged {
		l[name] = entry{kind: tar.TypeSymlink, mode: 0o777, at: at, link: "usr/" + name}
		if _, ok := l["usr/"+name]; !ok {
			l.folder("usr/"+name, 0o755, 0, 0, at)
		}
	}
	// A container engine mounts something at each of these, also where the root is not writable.
	for _, name := range []string{"dev", "etc/ssobridge", "proc", "run", "sys"} {
		l.folder(name, 0o755, 0, 0, at)
	}
	l.folder("tmp", 0o1777, 0, 0, at)
	l.text("etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n"+
		"ssobridge:x:10001:10001::/var/lib/ssobridge:/usr/sbin/nologin\n"+
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", at)
	l.text("etc/group", "root:x:0:\nssobridge:x:10001:\nnogroup:x:65534:\n", at)
	l.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n", at)
	// By this list scanners know which packages there are.
	l.text("var/lib/dpkg/status", status.String(), at)
	authorities := l.authorities()
	if authorities == "" {
		return nil, errors.New("ca-certificates has no certificates: nothing outside could be reached")
	}
	l.text("etc/ssl/certs/ca-certificates.crt", authorities, at)
	return l, nil
}

// unpack reads the files of a package by dpkg-deb.
func (l layer) unpack(ctx context.Context, name string) error {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", name)
	cmd.Stderr = &stderr
	files, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = l.addPackage(files)
	_, drained := io.Copy(io.Discard, files)
	if waited := cmd.Wait(); err == nil && waited != nil {
		err = fmt.Errorf("%w: %s", waited, strings.TrimSpace(stderr.String()))
	}
	return errors.Join(err, drained)
}

// authorities makes of the certificates of ca-certificates the one file that programs read, as its script does.
func (l layer) authorities() string {
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if strings.HasPrefix(name, "usr/share/ca-certificates/") && strings.HasSuffix(name, ".crt") {
			all.WriteString(strings.TrimRight(string(l[name].data), "\n") + "\n")
		}
	}
	return all.String()
}
