package cli_test

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/internal/testkind"
)

// SET-04: a backup that is killed in the middle leaves nothing that counts as one.
func TestBackupKilled(t *testing.T) {
	testkind.Starts(t, "ssobridge")
	folder, to := initFolder(t), filepath.Join(t.TempDir(), "backups")
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(folder, "data", "ssobridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	// So many rows that a backup takes a while.
	if _, err := db.Exec(`
		INSERT INTO people (person_id, login, name, seen_at)
		SELECT hex(randomblob(16)), hex(randomblob(100)), hex(randomblob(100)), 1
		  FROM (WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	env := append(programEnv(t), "SSOBRIDGE_CONFIG="+filepath.Join(folder, "ssobridge.yaml"))
	program := func() *exec.Cmd {
		cmd := exec.Command("ssobridge", "backup", "--to", to, "--keep", "1")
		cmd.Env = env
		for _, e := range env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok {
				cmd.Path, cmd.Err = filepath.Join(strings.Split(path, ":")[0], "ssobridge"), nil
			}
		}
		return cmd
	}
	names := func(pattern string) []string {
		all, err := filepath.Glob(filepath.Join(to, pattern))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	cmd := program()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the beginning of a backup", func() bool { return len(names(".*.part*")) > 0 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if found := names("ssobridge-*"); len(found) > 0 {
		t.Fatalf("a backup that was killed has left %v", found)
	}
	out, err := program().CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("an interrupted backup or restore has left "+to)) {
		t.Fatalf("the next backup: %v\n%s", err, out)
	}
	if good := names("ssobridge-*.db"); len(good) != 1 || len(names("ssobridge-*.json")) != 1 {
		t.Errorf("after the next backup there are %v", good)
	}
	if _, err := os.Stat(names(".*.part*")[0]); err != nil {
		t.Errorf("what nobody has verified was removed: %v", err)
	}
}
