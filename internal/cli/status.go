package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"openmail"
)

// status is what the command of that name prints with --json.
type status struct {
	OK     bool         `json:"ok"`
	API    statusAPI    `json:"api"`
	Setup  statusSetup  `json:"setup"`
	Bridge statusBridge `json:"bridge"`
}

type statusAPI struct {
	BaseURL      string `json:"baseUrl"`
	Health       string `json:"health"`       // ok, failed
	APIKeySource source `json:"apiKeySource"` // flag, env, state, root-key, none
	Auth         string `json:"auth"`         // ok, failed, missing
}

type statusSetup struct {
	UsageMode    *string         `json:"usageMode"`
	OpenclawHome string          `json:"openclawHome"`
	Files        map[string]bool `json:"files"` // whether each is there
}

type statusBridge struct {
	Type   string `json:"type"`   // process
	Status string `json:"status"` // running, stopped
}

func (c *cli) statusCommand() *cobra.Command {
	var home string
	cmd := c.command("status", "Tell which server, key and files are in use", func(ctx context.Context, s *session, _ []string) error {
		st := s.status(ctx, home)
		if err := show(s.out, st, s.out.status); err != nil {
			return err
		}
		if !st.OK {
			return errTold
		}
		return nil
	})
	cmd.Flags().StringVar(&home, "openclaw-home", "", "where an agent host keeps its files (OPENCLAW_HOME); left out: ~/.openclaw")
	return cmd
}

func (s *session) status(ctx context.Context, home string) status {
	st := status{API: statusAPI{BaseURL: s.base, APIKeySource: s.source}, Setup: s.setup(home), Bridge: s.bridgeStatus()}
	_, err := s.client.Health(ctx)
	st.API.Health = okOr(err, "failed")
	switch {
	case s.key == "":
		st.API.Auth = "missing"
	default:
		_, err := s.client.InboxPage(ctx, openmail.Page{Limit: 1})
		st.API.Auth = okOr(err, "failed")
	}
	st.OK = st.API.Health == "ok" && st.API.Auth == "ok"
	return st
}

func okOr(err error, otherwise string) string {
	if err == nil {
		return "ok"
	}
	return otherwise
}

func (s *session) setup(home string) statusSetup {
	home = cmp.Or(home, s.env("OPENCLAW_HOME"), filepath.Join(s.Home, ".openclaw"))
	set := statusSetup{OpenclawHome: home, Files: map[string]bool{}}
	if mode := cmp.Or(s.env("OPENMAIL_MODE"), s.state.DefaultUsageMode); mode != "" {
		set.UsageMode = &mode
	}
	for _, path := range []string{s.path, filepath.Join(home, "openmail.env"), filepath.Join(home, "skills", "openmail", "SKILL.md")} {
		_, err := os.Stat(path)
		set.Files[path] = err == nil
	}
	return set
}

// bridgeStatus finds out whether a bridge runs by trying to take its place.
func (s *session) bridgeStatus() statusBridge {
	st := statusBridge{Type: "process", Status: "stopped"}
	path := lockPath(s.bridgeState())
	if _, err := os.Stat(path); err != nil {
		return st
	}
	lock, err := takeLock(path)
	if errors.Is(err, errHeld) {
		st.Status = "running"
	}
	if err == nil {
		lock.release()
	}
	return st
}

func (p printer) status(st status) error {
	mode := "-"
	if st.Setup.UsageMode != nil {
		mode = *st.Setup.UsageMode
	}
	return p.pairs(
		"server", st.API.BaseURL+", "+st.API.Health, "key", "from "+string(st.API.APIKeySource)+", "+st.API.Auth,
		"mode", mode, "bridge", st.Bridge.Status,
	)
}
