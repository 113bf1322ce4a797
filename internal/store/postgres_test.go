package store_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// cluster is a PostgreSQL server of the tests' own, on a free loopback port. It
// is started by the first test that wants it and stopped by TestMain.
type cluster struct {
	dir    string
	port   int
	server *exec.Cmd
	output sync.WaitGroup
	next   int
	err    error
}

var (
	startOnce sync.Once
	postgres  cluster
)

// newDatabase makes an empty database and returns its URL.
func newDatabase(t testing.TB) string {
	t.Helper()
	startOnce.Do(func() { postgres.err = postgres.start() })
	if postgres.err != nil {
		t.Fatalf("PostgreSQL is needed for this test (Debian: apt-get install postgresql): %v", postgres.err)
	}
	db, err := sql.Open("pgx", postgres.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	postgres.next++
	name := fmt.Sprintf("test%d", postgres.next)
	if _, err := db.ExecContext(t.Context(), "create database "+name); err != nil {
		t.Fatal(err)
	}
	return postgres.url(name)
}

func (c *cluster) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

func (c *cluster) start() (err error) {
	bin, err := binaries()
	if err != nil {
		return err
	}
	// The account that runs the server must reach the folder.
	if c.dir, err = os.MkdirTemp("/tmp", "openmail-postgres-"); err != nil {
		return err
	}
	as, err := unprivileged(c.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(c.dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, c.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	if c.port, err = freePort(); err != nil {
		return err
	}
	c.server = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(c.port), "-h", "127.0.0.1", "-k", c.dir, "-c", "fsync=off")
	c.server.SysProcAttr, c.server.Dir = as, c.dir
	log, err := c.server.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.server.Start(); err != nil {
		return err
	}
	return c.awaitReady(log)
}

// awaitReady reads the server's log until it says that it is ready, and throws
// away the rest.
func (c *cluster) awaitReady(log io.Reader) error {
	lines := bufio.NewScanner(log)
	var said bytes.Buffer
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to accept connections") {
			c.output.Go(func() { _, _ = io.Copy(io.Discard, log) })
			return nil
		}
		said.WriteString(lines.Text() + "\n")
	}
	return fmt.Errorf("the server ended: %s", said.String())
}

// stop stops the server, if one was started.
func (c *cluster) stop() {
	if c.server != nil && c.server.Process != nil {
		_ = c.server.Process.Signal(syscall.SIGINT)
		c.output.Wait()
		_ = c.server.Wait()
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// binaries is the folder of the newest PostgreSQL that is installed.
func binaries() (string, error) {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err == nil && len(found) > 0 {
		slices.Sort(found)
		return filepath.Dir(found[len(found)-1]), nil
	}
	initdb, err := exec.LookPath("initdb")
	return filepath.Dir(initdb), err
}

// unprivileged gives the folder to an account that the server may run as:
// PostgreSQL refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
