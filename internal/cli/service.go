package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"openmail/internal/agenthost"
)

// Who keeps a bridge running.
const (
	bySystemd = "systemd"
	byLaunchd = "launchd"
	byProcess = "process"
	byNobody  = "none"
)

const (
	toolTime   = 20 * time.Second // that systemctl or launchctl may take
	bridgeTime = 10 * time.Second // that a bridge may take to begin or to end
)

// unitPath and launchPath are where the two look for a user's services.
func (c *cli) unitPath() string {
	return filepath.Join(c.Home, ".config", "systemd", "user", agenthost.UnitName)
}

func (c *cli) launchPath() string {
	return filepath.Join(c.Home, "Library", "LaunchAgents", agenthost.LaunchName+".plist")
}

// tool runs a program of the system.
func tool(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	text := cut(strings.TrimSpace(string(out)), 300)
	if err != nil {
		return text, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}

func systemctl(ctx context.Context, args ...string) error {
	_, err := tool(ctx, "systemctl", append([]string{"--user"}, args...)...)
	return err
}

// keeper is who keeps bridges running on this machine.
func (s *session) keeper(ctx context.Context) string {
	switch s.GOOS {
	case "darwin":
		return byLaunchd
	case "linux":
		if systemctl(ctx, "show-environment") == nil {
			return bySystemd
		}
	}
	return byProcess
}

// service is a bridge to be kept running.
type service struct {
	keeper  string
	program string
	env     []agenthost.Var
	envFile string
}

// install writes the file of whoever keeps the bridge, if there is one.
func (s *session) install(v service, w *written) error {
	unit := agenthost.Service{Program: v.program, EnvFile: v.envFile, Log: s.bridgeLog()}
	switch v.keeper {
	case bySystemd:
		b, err := unit.Unit()
		if err != nil {
			return err
		}
		return w.write(s.unitPath(), b)
	case byLaunchd:
		return w.write(s.launchPath(), unit.LaunchAgent())
	}
	return nil
}

func (s *session) bridgeLog() string {
	return filepath.Join(filepath.Dir(s.bridgeState()), "bridge.log")
}

// start has the bridge run, and returns once it does.
func (s *session) start(ctx context.Context, v service) (pid int, err error) {
	switch v.keeper {
	case bySystemd:
		for _, args := range [][]string{{"daemon-reload"}, {"enable", agenthost.UnitName}, {"restart", agenthost.UnitName}} {
			if err := systemctl(ctx, args...); err != nil {
				return 0, err
			}
		}
	case byLaunchd:
		if _, err := tool(ctx, "launchctl", "load", "-w", s.launchPath()); err != nil {
			return 0, err
		}
	default:
		return s.startProcess(ctx, v)
	}
	pid, err = s.awaitBridge(ctx, func() bool { return false })
	if err != nil && v.keeper == bySystemd {
		return 0, fmt.Errorf("%w: see journalctl --user -u %s", err, agenthost.UnitName)
	}
	return pid, err
}

// startProcess runs a bridge that outlives this process. What it says goes into
// a file, which begins anew.
func (s *session) startProcess(ctx context.Context, v service) (int, error) {
	if err := os.MkdirAll(filepath.Dir(s.bridgeLog()), 0o700); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(s.bridgeLog(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(v.program, "ws", "bridge") // not of this context: it is to go on
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Home, log, log
	cmd.Env = os.Environ()
	for _, x := range v.env {
		cmd.Env = append(cmd.Env, x.Name+"="+x.Value)
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	held, err := s.awaitBridge(ctx, func() bool { return exited(pid) })
	if errors.Is(err, errNotStarted) {
		err = fmt.Errorf("%w: %s", err, s.lastWords())
	}
	return held, err
}

var errNotStarted = errors.New("the bridge did not start")

// awaitBridge returns when a bridge has announced itself, or when it has failed.
func (s *session) awaitBridge(ctx context.Context, failed func() bool) (int, error) {
	for end := time.Now().Add(bridgeTime); ; {
		if pid, held := s.bridgeHolder(); held && pid > 0 {
			return pid, nil
		}
		if failed() || time.Now().After(end) {
			return 0, errNotStarted
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// lastWords is the last line that a bridge has logged.
func (s *session) lastWords() string {
	b, err := readSmall(s.bridgeLog())
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return "it left no word"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return cut(strings.TrimPrefix(lines[len(lines)-1], "openmail: "), 300)
}

// bridgeHolder tells which process is the bridge, if one runs.
func (s *session) bridgeHolder() (pid int, held bool) { return lockHolder(lockPath(s.bridgeState())) }

// stopBridge ends the bridge of this user, whoever keeps it running.
func (s *session) stopBridge(ctx context.Context) error {
	if s.GOOS == "linux" && exists(s.unitPath()) {
		_ = systemctl(ctx, "disable", "--now", agenthost.UnitName) // where systemd does not answer, it runs nothing
	}
	if s.GOOS == "darwin" && exists(s.launchPath()) {
		_, _ = tool(ctx, "launchctl", "unload", "-w", s.launchPath()) // likewise
	}
	asked := false
	for end := time.Now().Add(bridgeTime); ; {
		pid, held := s.bridgeHolder()
		if !held {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the bridge that runs (process %d) does not end: stop it, and try again", pid)
		}
		if !asked && pid > 0 {
			asked = true
			if err := terminate(pid); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("the bridge that runs (process %d) cannot be stopped: %w", pid, err)
			}
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
