package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/term"

	"openmail/api"
	"openmail/internal/agenthost"
)

// setupDone is what setup prints with --json. It holds no key and no token.
type setupDone struct {
	OK           bool        `json:"ok"`
	Status       string      `json:"status"` // configured, already_configured, reset_done
	Agent        string      `json:"agent"`
	ChangedFiles []string    `json:"changedFiles,omitempty"`
	RemovedFiles []string    `json:"removedFiles,omitempty"`
	OpenclawHome string      `json:"openclawHome,omitempty"`
	ClaudeHome   string      `json:"claudeHome,omitempty"`
	Inbox        *setupInbox `json:"inbox,omitempty"`
	Files        *setupFiles `json:"files,omitempty"`
	Next         *setupNext  `json:"next,omitempty"`
}

type setupInbox struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

type setupFiles struct {
	Skill   string  `json:"skill"`
	Env     string  `json:"env"`
	Config  *string `json:"config"`
	Systemd *string `json:"systemd"`
	Launchd *string `json:"launchd"`
}

func (d setupDone) of(a agent) setupDone {
	d.OK, d.Agent = true, a.name
	if a.name == openClaw {
		d.OpenclawHome = a.home
	} else {
		d.ClaudeHome = a.home
	}
	return d
}

func (s *session) setupDone(a agent, inbox api.Inbox, w written, next setupNext) setupDone {
	d := setupDone{
		Status: "configured", ChangedFiles: w.changed, Next: &next,
		Inbox: &setupInbox{inbox.ID, inbox.Address}, Files: &setupFiles{Skill: a.skill(), Env: a.envFile()},
	}
	if len(w.changed) == 0 {
		d.Status = "already_configured"
	}
	if a.name == openClaw {
		d.Files.Config = orNil(a.config())
	}
	switch next.BridgeStatus {
	case bySystemd:
		d.Files.Systemd = orNil(s.unitPath())
	case byLaunchd:
		d.Files.Launchd = orNil(s.launchPath())
	}
	return d.of(a)
}

func (p printer) setup(d setupDone) error {
	list := []string{"agent", d.Agent, "status", strings.ReplaceAll(d.Status, "_", " ")}
	if d.Inbox != nil {
		list = append(list, "inbox", d.Inbox.Address, "mode", d.Next.UsageMode)
		bridge := d.Next.BridgeStatus
		if d.Next.BridgePID > 0 {
			bridge += ", process " + strconv.Itoa(d.Next.BridgePID)
		}
		list = append(list, "bridge", bridge)
	}
	for _, path := range d.ChangedFiles {
		list = append(list, "written", path)
	}
	for _, path := range d.RemovedFiles {
		list = append(list, "removed", path)
	}
	if d.Next != nil && d.Next.PersistHint != "" {
		list = append(list, "note", d.Next.PersistHint)
	}
	return p.pairs(list...)
}

// reset takes out what setup has written, and forgets what it has remembered.
func (s *session) reset(ctx context.Context, a agent, f setupFlags) (setupDone, error) {
	if a.name == openClaw {
		if _, err := readConfig(a.config()); err != nil { // before anything is gone
			return setupDone{}, err
		}
	}
	if err := s.confirmReset(a, f.force); err != nil {
		return setupDone{}, err
	}
	var d setupDone
	removed := &d.RemovedFiles
	if a.name == openClaw {
		var w written
		if err := s.removeBridge(ctx, removed); err != nil {
			return d, err
		}
		if exists(a.config()) {
			if err := changeConfig(a.config(), &w, (*agenthost.Config).Remove); err != nil {
				return d, err
			}
		}
		d.ChangedFiles = w.changed
	}
	s.revokeAgentKey(ctx, readVars(a.envFile()))
	if err := remove(removed, a.envFile(), a.skill()); err != nil {
		return d, err
	}
	_ = os.Remove(filepath.Dir(a.skill())) // unless somebody has put something there
	d.Status = "reset_done"
	return d.of(a), s.forget(a, removed)
}

// forget removes what the command line has remembered of the agent. The bridge is
// OpenClaw's, and while that is set up the rest is too.
func (s *session) forget(a agent, removed *[]string) error {
	if a.name == openClaw {
		return remove(removed, s.path, s.bridgeState())
	}
	if other := (agent{home: s.openclawHome("")}); exists(other.envFile()) {
		return nil
	}
	return remove(removed, s.path)
}

// revokeAgentKey makes the key invalid that setup has made for the agent.
func (s *session) revokeAgentKey(ctx context.Context, vars map[string]string) {
	id := vars["OPENMAIL_KEY_ID"]
	if id == "" {
		return
	}
	err := fmt.Errorf("the server is not the same")
	if vars["OPENMAIL_BASE_URL"] == s.base {
		err = s.explain(s.client.RevokeInboxKey(ctx, vars["OPENMAIL_INBOX_ID"], id))
	}
	if err != nil {
		fmt.Fprintf(s.Stderr, "the agent's key is still valid (%s): openmail inbox keys revoke %s --inbox-id %s\n",
			oneLine(err.Error()), oneLine(id), oneLine(vars["OPENMAIL_INBOX_ID"]))
	}
}

// confirmReset asks at a terminal; elsewhere --force has to be there.
func (s *session) confirmReset(a agent, force bool) error {
	if force {
		return nil
	}
	if f, ok := s.Stdin.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return usage("--reset removes what setup has written to %s: give --force, or run it at a terminal", a.home)
	}
	fmt.Fprintf(s.Stderr, "This removes what setup has written to %s. Type RESET to go on: ", oneLine(a.home))
	line, err := bufio.NewReader(s.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "RESET" {
		return fmt.Errorf("nothing is removed")
	}
	return nil
}
