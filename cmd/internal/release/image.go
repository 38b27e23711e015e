package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	// imageUser owns the data folder; nothing runs as root.
	imageUser   = 10001
	imageFolder = "var/lib/ssobridge"
	// maxImage is what an image may weigh as it is transferred.
	maxImage = 60_000_000
)

// The documents of an image (OCI image specification 1.1), with what Docker reads beside it.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	manifest struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Config        descriptor        `json:"config"`
		Layers        []descriptor      `json:"layers"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
	imageIndex struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	imageConfig struct {
		Created string `json:"created"`
		platform
		Config  runConfig `json:"config"`
		RootFS  rootFS    `json:"rootfs"`
		History []history `json:"history"`
	}
	runConfig struct {
		User         string              `json:"User"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Env          []string            `json:"Env"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		Volumes      map[string]struct{} `json:"Volumes"`
		WorkingDir   string              `json:"WorkingDir"`
		Labels       map[string]string   `json:"Labels"`
		StopSignal   string              `json:"StopSignal"`
		Healthcheck  healthcheck         `json:"Healthcheck"` // of Docker; others pass it over
	}
	healthcheck struct {
		Test        []string      `json:"Test"`
		Interval    time.Duration `json:"Interval"`
		Timeout     time.Duration `json:"Timeout"`
		StartPeriod time.Duration `json:"StartPeriod"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	history struct {
		Created   string `json:"created"`
		CreatedBy string `json:"created_by"`
	}
	// dockerManifest is what docker load reads.
	dockerManifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
)

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// image makes the container image, as an archive that docker, podman, skopeo and containerd read, and the list of its
// components.
func image(ctx context.Context, o options, p program, files []file) (archive, list []byte, err error) {
	packages, err := locked(lockText, p.arch)
	if err != nil {
		return nil, nil, err
	}
	if err := runsOn(p, packages); err != nil {
		return nil, nil, err
	}
	debs, err := fetch(ctx, o, packages)
	if err != nil {
		return nil, nil, err
	}
	base, err := rootFileSystem(ctx, packages, debs)
	if err != nil {
		return nil, nil, err
	}
	if list, err = imageBill(find(files, components).data, packages); err != nil {
		return nil, nil, err
	}
	layers := []struct {
		layer
		by string
	}{
		{base, "Debian " + debianRelease + ": " + strings.Join(imagePackages, ", ")},
		{programLayer(o, files, list), "make release"},
	}
	b := blobs{at: o.date}
	config := imageConfig{Created: o.date.Format(time.RFC3339), platform: platform{p.arch, "linux"},
		Config: runOf(o), RootFS: rootFS{Type: "layers"}}
	m := manifest{SchemaVersion: 2, MediaType: typeManifest}
	docker := dockerManifest{RepoTags: []string{"ssobridge:" + o.version}}
	for _, l := range layers {
		plain, err := l.archive()
		if err != nil {
			return nil, nil, err
		}
		packed, err := compress(plain)
		if err != nil {
			return nil, nil, err
		}
		d := b.add(typeLayer, packed)
		m.Layers, docker.Layers = append(m.Layers, d), append(docker.Layers, blobName(d))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest(plain))
		config.History = append(config.History, history{Created: l.newest().Format(time.RFC3339), CreatedBy: l.by})
	}
	if m.Config, err = b.addJSON(typeConfig, config); err != nil {
		return nil, nil, err
	}
	docker.Config = blobName(m.Config)
	top, err := b.addJSON(typeManifest, m)
	if err != nil {
		return nil, nil, err
	}
	top.Platform = &platform{p.arch, "linux"}
	top.Annotations = map[string]string{"org.opencontainers.image.ref.name": o.version,
		"io.containerd.image.name": "docker.io/library/ssobridge:" + o.version}
	archive, err = b.archive(imageIndex{2, typeIndex, []descriptor{top}}, []dockerManifest{docker})
	if err == nil && len(archive) > maxImage {
		err = fmt.Errorf("the image has %d bytes, more than %d: find out what got in", len(archive), maxImage)
	}
	return archive, list, err
}

// runsOn refuses a program that was built with a newer C library than the image has.
func runsOn(p program, packages []debianPackage) error {
	for _, d := range packages {
		if version, _, _ := strings.Cut(d.version, "-"); d.name == "libc6" && compareVersions(p.glibc, version) > 0 {
			return fmt.Errorf("the program needs version %s of the C library, and the image has %s: build on Debian %s",
				p.glibc, version, debianRelease)
		}
	}
	return nil
}

// programLayer has what is ours. The group of the data folder is root's, and files in it get that group: platforms that
// give each run a user id of its own, such as OpenShift, run with it.
func programLayer(o options, files []file, list []byte) layer {
	l := layer{}
	l.folder(imageFolder, 0o2770, imageUser, 0, o.date)
	program := entry{kind: tar.TypeReg, mode: 0o755, at: o.date, data: find(files, "ssobridge").data}
	l[strings.TrimPrefix(builtPath, "/")] = program
	for _, f := range files {
		if strings.HasPrefix(f.name, "LICENSES/") || f.name == ownLicence {
			l.text(strings.TrimPrefix(documentsFolder, "/")+f.name, string(f.data), o.date)
		}
	}
	l.text(strings.TrimPrefix(documentsFolder, "/")+components, string(list), o.date)
	return l
}

// runOf says how the image is run.
func runOf(o options) runConfig {
	labels := map[string]string{
		"org.opencontainers.image.title":       "ssobridge",
		"org.opencontainers.image.description": summary,
		"org.opencontainers.image.version":     o.version,
		"org.opencontainers.image.created":     o.date.Format(time.RFC3339),
	}
	if o.commit != "" {
		labels["org.opencontainers.image.revision"] = o.commit
	}
	return runConfig{
		User:         fmt.Sprintf("%d:%d", imageUser, imageUser),
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          []string{"PATH=/usr/local/bin:/usr/bin"},
		Entrypoint:   []string{builtPath},
		Cmd:          []string{"serve"},
		Volumes:      map[string]struct{}{"/" + imageFolder: {}},
		WorkingDir:   "/",
		Labels:       labels,
		StopSignal:   "SIGTERM",
		Healthcheck: healthcheck{Test: []string{"CMD", builtPath, "health"}, Interval: 10 * time.Second,
			Timeout: 5 * time.Second, StartPeriod: 10 * time.Second},
	}
}

// blobs are the parts of an image by their digests.
type blobs struct {
	at    time.Time
	files []file
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// blobName is where a part is in the archive.
func blobName(d descriptor) string { return "blobs/" + strings.Replace(d.Digest, ":", "/", 1) }

func (b *blobs) add(mediaType string, data []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digest(data), Size: len(data)}
	b.files = append(b.files, file{name: blobName(d), data: data})
	return d
}

func (b *blobs) addJSON(mediaType string, value any) (descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, fmt.Errorf("describe the image: %w", err)
	}
	return b.add(mediaType, data), nil
}

// archive writes the image layout: for OCI oci-layout and index.json, for docker load manifest.json.
func (b *blobs) archive(index imageIndex, docker []dockerManifest) ([]byte, error) {
	files := b.files
	for _, f := range []struct {
		name  string
		value any
	}{{"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}}, {"index.json", index}, {"manifest.json", docker}} {
		data, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("describe the image: %w", err)
		}
		files = append(files, file{name: f.name, data: data})
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: b.at}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %s of the image: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("write %s of the image: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the image: %w", err)
	}
	return out.Bytes(), nil
}
