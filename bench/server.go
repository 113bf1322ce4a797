package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openmail/api"
	"openmail/client"
)

// How long the server may take to start, and to stop when it is asked to.
const (
	startPatience = 30 * time.Second
	stopPatience  = 30 * time.Second
)

// domain is the mail domain of the servers here.
const domain = "openmail.localhost"

// server is a process of the server under test.
type server struct {
	cmd        *exec.Cmd
	data       string
	http, smtp string
	key        string
	ended      chan struct{} // closed when the process is gone
	exit       error         // how it ended
}

// launch starts the server on a data folder, with every limit off. It does not
// wait until it serves. args are flags beside the folder's.
func launch(binary, data string, log *os.File, args ...string) (*server, error) {
	_ = os.Remove(filepath.Join(data, "addresses.json")) // of the process before
	args = append([]string{"serve", "--data", data, "--domain", domain}, args...)
	return launchCommand(exec.Command(binary, args...), data, log)
}

func launchCommand(cmd *exec.Cmd, data string, log *os.File) (*server, error) {
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "OPENMAIL_") }), "OPENMAIL_LIMITS=off")
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for us; the server is stopped in order
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server (is it built?): %w", err)
	}
	s := &server{cmd: cmd, data: data, ended: make(chan struct{})}
	go func() {
		s.exit = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// anyPorts are the flags for ports that the system picks.
func anyPorts() []string { return []string{"--http", "127.0.0.1:0", "--smtp", "127.0.0.1:0"} }

// start starts a server on a new data folder and waits until it serves.
func (b *bench) start(ctx context.Context) (*server, error) { return b.startWith(ctx) }

// startWith is start with flags.
func (b *bench) startWith(ctx context.Context, flags ...string) (*server, error) {
	data, log, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s, err := launch(b.binary, data, log, append(anyPorts(), flags...)...)
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// errEnded says that the server's process ended before it served.
var errEnded = errors.New("the server ended")

// ready waits until the server has written where it listens, and answers.
func (s *server) ready(ctx context.Context) error {
	return s.await(ctx, func() bool {
		var at struct{ HTTP, SMTP string }
		text, err := os.ReadFile(filepath.Join(s.data, "addresses.json"))
		if err != nil || json.Unmarshal(text, &at) != nil {
			return false
		}
		s.http, s.smtp = at.HTTP, at.SMTP
		key, err := os.ReadFile(filepath.Join(s.data, "root-key"))
		s.key = strings.TrimSpace(string(key))
		return err == nil && answers(s.http) && greets(s.smtp)
	})
}

// await asks every millisecond whether something is so.
func (s *server) await(ctx context.Context, so func() bool) error {
	return s.waitFor(ctx, startPatience, so)
}

// errWaited says that something did not come to be so.
var errWaited = errors.New("waited in vain")

// waitFor is await with a patience of its own.
func (s *server) waitFor(ctx context.Context, patience time.Duration, so func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errWaited)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("%w (%v): its log is in %s", errEnded, s.exit, filepath.Dir(s.data))
		case <-ctx.Done():
			return fmt.Errorf("the server is not where it should be within %v: %w", patience, context.Cause(ctx))
		}
	}
	return nil
}

// answers reports whether GET /health is answered with 200.
func answers(addr string) bool {
	resp, err := http.Get("http://" + addr + "/health")
	if err != nil {
		return false
	}
	closeAll(resp.Body)
	return resp.StatusCode == http.StatusOK
}

// greets reports whether the SMTP port says 220.
func greets(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	l, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.HasPrefix(l, "220 ")
}

// stop asks the server to stop and waits for it; it is killed when it does not.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return s.exit
	case <-time.After(stopPatience):
		return errors.Join(errors.New("the server does not stop"), s.kill())
	}
}

// kill ends the process with SIGKILL and waits for its end.
func (s *server) kill() error {
	err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
	if errors.Is(err, syscall.ESRCH) || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// pid is that of the server's process: this one, where it has none of its own.
func (s *server) pid() int {
	if s.cmd == nil {
		return os.Getpid()
	}
	return s.cmd.Process.Pid
}

// client speaks to the server with the key of its first account.
func (s *server) client() (*client.Client, error) {
	return client.New(client.Options{BaseURL: "http://" + s.http, APIKey: s.key})
}

// makeInboxes makes user0, user1, … and returns them.
func (s *server) makeInboxes(ctx context.Context, n int) ([]api.Inbox, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	all := make([]api.Inbox, n)
	for i := range all {
		if all[i], err = c.CreateInbox(ctx, api.InboxCreate{MailboxName: "user" + strconv.Itoa(i)}); err != nil {
			return nil, fmt.Errorf("make an inbox: %w", err)
		}
	}
	return all, nil
}

// metric reads a counter without labels from /metrics.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	values, err := s.metrics(ctx, name)
	if err == nil && len(values) != 1 {
		err = fmt.Errorf("/metrics has %d values of %s", len(values), name)
	}
	if err != nil {
		return 0, err
	}
	return values[0], nil
}

// metrics reads the values of a metric, one for each set of labels.
func (s *server) metrics(ctx context.Context, name string) (values []float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %w", err)
		}
		values = append(values, v)
	}
	return values, lines.Err()
}

// watchMemory looks at the server's memory ten times a second, until the function that it returns is called: that tells the most
// there was, in KiB.
func (s *server) watchMemory(ctx context.Context) (peak func() float64) {
	ctx, stop := context.WithCancel(ctx)
	most := make(chan float64, 1)
	go func() {
		m := 0.0
		for {
			if kb, err := residentKB(s.pid()); err == nil {
				m = max(m, kb)
			}
			if rest(ctx, 100*time.Millisecond) != nil {
				most <- m
				return
			}
		}
	}()
	return func() float64 { stop(); return <-most }
}
