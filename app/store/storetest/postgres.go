// Package storetest starts a PostgreSQL for tests, and makes databases in it.
package storetest

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// Address is the variable that names a PostgreSQL to use instead of one of the tests' own: a
// URL of its database postgres.
const Address = "KEYWARD_TEST_DATABASE_URL"

// databases counts the databases that were made.
var databases atomic.Int64

// NewDatabase makes an empty database in a server for the time of a test, and returns its
// URL. Without a server the test is skipped.
func NewDatabase(t testing.TB, server string) string {
	t.Helper()
	if server == "" {
		t.Skip("no PostgreSQL: install it (Debian: postgresql) or set " + Address)
	}
	name := fmt.Sprintf("keyward_test_%d_%d", os.Getpid(), databases.Add(1))
	do := func(statement string) error {
		db, err := sql.Open("pgx", server)
		if err != nil {
			return err
		}
		_, err = db.Exec(statement)
		return errors.Join(err, db.Close())
	}
	if err := do("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = do("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") }) // the whole server goes with the tests
	return strings.Replace(server, "/postgres?", "/"+name+"?", 1)
}

// A Postgres is a server of its own for the tests of one package.
type Postgres struct {
	URL string // of the database postgres, in which databases can be made
	bin string // directory of the programs
	dir string
	as  *syscall.SysProcAttr
	opt string // of the server
}

// Start starts a PostgreSQL with its files below dir. It returns nil if none is installed.
func Start(dir string) (*Postgres, error) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // as Debian has it; the pattern is well formed
	if len(bins) == 0 {
		return nil, nil
	}
	p := &Postgres{bin: bins[len(bins)-1], dir: filepath.Join(dir, "pg")}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		if err := p.lower(dir); err != nil {
			return nil, err
		}
		if p.as == nil {
			return nil, nil
		}
	}
	if err := p.run("initdb", "-D", p.dir, "-U", "keyward", "-A", "trust", "--no-sync"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p.opt = fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1 -c max_connections=200", port, p.dir)
	if err := p.run("pg_ctl", "-D", p.dir, "-w", "-l", p.log(), "-o", p.opt, "start"); err != nil {
		return nil, err
	}
	p.URL = fmt.Sprintf("postgres://keyward@127.0.0.1:%d/postgres?sslmode=disable", port)
	return p, nil
}

// lower has the server run as the user postgres, if there is one.
func (p *Postgres) lower(dir string) error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("user postgres: %w", err)
	}
	p.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return errors.Join(os.Chmod(dir, 0o755), os.Mkdir(p.dir, 0o700), os.Chown(p.dir, uid, gid))
}

// Restart stops the server at once, as a crash would, and starts it again.
func (p *Postgres) Restart() error {
	return p.run("pg_ctl", "-D", p.dir, "-w", "-m", "immediate", "-l", p.log(), "restart")
}

// Stop stops the server.
func (p *Postgres) Stop() { _ = p.run("pg_ctl", "-D", p.dir, "-m", "immediate", "stop") } // its files go with the tests

func (p *Postgres) log() string { return filepath.Join(p.dir, "log") }

func (p *Postgres) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.SysProcAttr, cmd.Dir = p.as, "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
