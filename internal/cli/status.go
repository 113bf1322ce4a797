package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/internal/agenthost"
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
	Health       string `json:"health"`       // ok, error
	APIKeySource string `json:"apiKeySource"` // flag_or_env, state, root-key, missing
	APIKeyFrom   source `json:"apiKeyFrom"`   // flag, env, state, root-key, none
	Auth         string `json:"auth"`         // ok, error, skipped
}

type statusSetup struct {
	UsageMode    string          `json:"usageMode"` // tool, notify, channel, unknown
	OpenclawHome string          `json:"openclawHome"`
	Files        map[string]bool `json:"files"` // whether each is there
}

type statusBridge struct {
	Type   string `json:"type"`   // systemd, launchd, process
	Status string `json:"status"` // running, stopped; of systemd what it calls it
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
	st := status{API: statusAPI{BaseURL: s.base, APIKeySource: s.source.short(), APIKeyFrom: s.source}, Setup: s.setup(home), Bridge: s.bridgeStatus(ctx)}
	_, err := s.client.Health(ctx)
	st.API.Health = okOr(err)
	st.API.Auth = "skipped"
	if s.key != "" {
		_, err := s.client.InboxPage(ctx, openmail.Page{Limit: 1})
		st.API.Auth = okOr(err)
	}
	st.OK = st.API.Health == "ok" && st.API.Auth == "ok"
	return st
}

// short is the source in the words of other programs.
func (s source) short() string {
	switch s {
	case fromFlag, fromEnv:
		return "flag_or_env"
	case fromNowhere:
		return "missing"
	}
	return string(s)
}

func okOr(err error) string {
	if err == nil {
		return "ok"
	}
	return "error"
}

func (s *session) setup(home string) statusSetup {
	a := agent{home: s.openclawHome(home)}
	return statusSetup{
		UsageMode:    cmp.Or(s.env("OPENMAIL_MODE"), s.state.DefaultUsageMode, "unknown"),
		OpenclawHome: a.home,
		Files: map[string]bool{
			"env": exists(a.envFile()), "skill": exists(a.skill()), "state": exists(s.path),
			"systemdUnit": exists(s.unitPath()), "launchdPlist": exists(s.launchPath()),
		},
	}
}

// bridgeStatus tells who keeps a bridge running, and whether one runs.
func (s *session) bridgeStatus(ctx context.Context) statusBridge {
	st := statusBridge{Type: byProcess, Status: "stopped"}
	if _, held := s.bridgeHolder(); held {
		st.Status = "running"
	}
	switch {
	case s.GOOS == "darwin" && exists(s.launchPath()):
		st.Type = byLaunchd
	case s.GOOS == "linux" && exists(s.unitPath()):
		st.Type = bySystemd
		// It fails for all that is not active, and says what it is.
		if word, _ := tool(ctx, "systemctl", "--user", "is-active", agenthost.UnitName); word != "" && !strings.ContainsAny(word, " \n") {
			st.Status = word
		}
	}
	return st
}

func (p printer) status(st status) error {
	return p.pairs(
		"server", st.API.BaseURL+", "+st.API.Health, "key", "from "+string(st.API.APIKeyFrom)+", "+st.API.Auth,
		"mode", st.Setup.UsageMode, "bridge", st.Bridge.Type+", "+st.Bridge.Status,
	)
}
