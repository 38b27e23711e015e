package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"ssobridge/cmd/internal/cli"
	"ssobridge/store"
)

// prepared is what init leaves in a folder beside the configuration: most of its time goes into the schema and into an
// RSA key, which are as good for the next world.
type prepared struct {
	empty  []byte            // the database with the schema alone
	secret []byte            // secret_key
	data   map[string][]byte // the files of the folder data: the database with the first key, and what belongs to it
}

// preparations are made once for each kind of key.
var preparations struct {
	sync.Mutex
	of map[string]prepared
}

func prepare(algorithm string) (prepared, error) {
	preparations.Lock()
	defer preparations.Unlock()
	if p, ok := preparations.of[algorithm]; ok {
		return p, nil
	}
	p, err := newPrepared(algorithm)
	if err != nil {
		return p, fmt.Errorf("prepare a folder: %w", err)
	}
	if preparations.of == nil {
		preparations.of = map[string]prepared{}
	}
	preparations.of[algorithm] = p
	return p, nil
}

func newPrepared(algorithm string) (p prepared, err error) {
	dir, err := os.MkdirTemp("", "e2e-prepared-")
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	schema := filepath.Join(dir, "schema.db")
	db, err := store.Open(context.Background(), store.Options{DSN: "sqlite:" + schema})
	if err == nil {
		err = db.Close() // writes what is in the log into the file
	}
	if err == nil {
		p.empty, err = os.ReadFile(schema)
	}
	if err != nil {
		return p, err
	}
	folder, said := filepath.Join(dir, "bridge"), &output{}
	if err := p.layEmpty(folder); err != nil {
		return p, err
	}
	args := []string{"init", folder, "--public-url", "http://localhost:1", "--algorithm", algorithm}
	if code := cli.Main(context.Background(), args, nil, strings.NewReader(""), said, said); code != 0 {
		return p, fmt.Errorf("ssobridge init: exit code %d\n%s", code, said)
	}
	if p.secret, err = os.ReadFile(filepath.Join(folder, "secret_key")); err != nil {
		return p, err
	}
	files, err := os.ReadDir(filepath.Join(folder, "data"))
	p.data = map[string][]byte{}
	for _, f := range files {
		text, e := os.ReadFile(filepath.Join(folder, "data", f.Name()))
		p.data[f.Name()], err = text, errors.Join(err, e)
	}
	return p, err
}

// layEmpty makes a folder in which init finds the schema.
func (p prepared) layEmpty(folder string) error {
	if err := os.MkdirAll(filepath.Join(folder, "data"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "data", "ssobridge.db"), p.empty, 0o600)
}

// lay puts the key into a folder after init.
func (p prepared) lay(folder string) error {
	data := filepath.Join(folder, "data")
	// Nothing that init left there goes with this database.
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(folder, "secret_key"), p.secret, 0o600)
	for name, text := range p.data {
		err = errors.Join(err, os.WriteFile(filepath.Join(data, name), text, 0o600))
	}
	return err
}
