package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/internal/agenthost"
)

// The agent hosts that setup knows.
const (
	openClaw   = "openclaw"
	claudeCode = "claude-code"
)

type setupFlags struct {
	agent, mode, home, hookPath, hooksToken, inbox string
	mailboxName, displayName                       string
	systemd, reconfigure, reset, force, scoped     bool
}

func (c *cli) setupCommand() *cobra.Command {
	var f setupFlags
	cmd := c.command("setup", "Give an agent host a mailbox: OpenClaw or Claude Code", func(ctx context.Context, s *session, _ []string) error {
		a, err := s.agent(&f)
		if err != nil {
			return err
		}
		var done setupDone
		if f.reset {
			done, err = s.reset(ctx, a, f)
		} else {
			done, err = s.setUp(ctx, a, f)
		}
		if err != nil {
			return err
		}
		return show(s.out, done, s.out.setup)
	})
	cmd.Long = "Write what an agent host needs to use a mailbox: a skill, an environment file, for OpenClaw its\n" +
		"configuration too, and keep a bridge running where mail is to wake the agent. It may be run again\n" +
		"and again. --reset takes it all out."
	flags := cmd.Flags()
	flags.StringVar(&f.agent, "agent", openClaw, "openclaw or claude-code")
	flags.StringVar(&f.mode, "mode", "", "tool: the agent looks; notify: mail wakes it, and it tells its user; channel: it answers (OPENMAIL_MODE); left out: as the last time, else tool")
	flags.StringVar(&f.inbox, "inbox-id", "", "the inbox, by id or address (OPENMAIL_INBOX_ID, OPENMAIL_ADDRESS)")
	flags.StringVar(&f.mailboxName, "mailbox-name", "", "the part before the @ of an inbox to make, unless it is there")
	flags.StringVar(&f.displayName, "display-name", "", "the name beside the address of an inbox that is made")
	flags.StringVar(&f.home, "openclaw-home", "", "where OpenClaw keeps its files (OPENCLAW_HOME); left out: ~/.openclaw")
	flags.StringVar(&f.hookPath, "hook-path", "/hooks/openmail", "where the gateway takes mail")
	flags.StringVar(&f.hooksToken, "hooks-token", "", "the gateway's token for hooks (OPENCLAW_HOOK_TOKEN); left out: the one in its configuration, else a new one")
	flags.BoolVar(&f.scoped, "scoped-key", false, "give the agent a key of its own that reaches only its inbox; without it, the key in use, unless that is a server's root key")
	flags.BoolVar(&f.systemd, "with-systemd", false, "have systemd keep the bridge running, and fail where it cannot")
	flags.BoolVar(&f.reconfigure, "reconfigure", false, "forget the mode and the inbox of the last time")
	flags.BoolVar(&f.reset, "reset", false, "remove what setup has written")
	flags.BoolVar(&f.force, "force", false, "with --reset: do not ask")
	return cmd
}

// openclawCommands are another name of setup, for scripts that have it.
func (c *cli) openclawCommands() *cobra.Command {
	g := c.group("openclaw", "Another name of setup", c.setupCommand())
	g.Hidden = true
	return g
}

// agent is the host whose files are written.
type agent struct {
	name, home string
	mode       agenthost.Mode
}

func (a agent) envFile() string { return filepath.Join(a.home, "openmail.env") }
func (a agent) skill() string   { return filepath.Join(a.home, "skills", "openmail", "SKILL.md") }
func (a agent) config() string  { return filepath.Join(a.home, "openclaw.json") }

// nothingForeign refuses to go by what only a file of the current folder says, and
// to write into that folder: setup makes a server the agent's for good, and writes
// and removes files.
func (s *session) nothingForeign() error {
	switch {
	case s.Home == "":
		return usage("there is no home folder to write to: set HOME")
	case s.foreign():
		return usage("the folder that you are in names the server %s: give --base-url too, if the agent is to have it", s.base)
	case !s.ours:
		return usage("./.env says where the state file is: give --state-path, or run setup in another folder")
	case s.getenv("OPENMAIL_BRIDGE_STATE_PATH") == "" && s.dotenv["OPENMAIL_BRIDGE_STATE_PATH"] != "":
		return usage("./.env says where the bridge's state file is: set OPENMAIL_BRIDGE_STATE_PATH in the environment, or run setup in another folder")
	}
	return nil
}

// agent checks what the flags say of the host. Where its files are is never
// read from ./.env: that may be somebody else's, and keys go there.
func (s *session) agent(f *setupFlags) (agent, error) {
	if err := s.nothingForeign(); err != nil {
		return agent{}, err
	}
	a := agent{name: f.agent, home: filepath.Join(s.Home, ".claude"), mode: agenthost.Tool}
	switch f.agent {
	case openClaw:
		a.home = s.openclawHome(f.home)
		saved := s.state.DefaultUsageMode
		if f.reconfigure {
			saved = ""
		}
		mode, err := agenthost.ParseMode(cmp.Or(f.mode, s.getenv("OPENMAIL_MODE"), saved, string(agenthost.Tool)))
		if err != nil {
			return a, usage("%v", err)
		}
		a.mode = mode
	case claudeCode:
		if f.mode != "" && f.mode != string(agenthost.Tool) || f.home != "" || f.systemd {
			return a, usage("claude-code has the mode tool only, and --openclaw-home and --with-systemd are not for it")
		}
	default:
		return a, usage("--agent is %s or %s", openClaw, claudeCode)
	}
	if f.systemd && s.GOOS != "linux" {
		return a, usage("--with-systemd is for Linux")
	}
	var err error
	if a.home, err = filepath.Abs(a.home); err != nil {
		return a, err
	}
	if strings.ContainsFunc(a.home, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\'' }) {
		return a, usage("the folder %q has a character that no environment file can name", a.home)
	}
	return a, nil
}

// openclawHome is where OpenClaw keeps its files.
func (s *session) openclawHome(flag string) string {
	return cmp.Or(flag, s.getenv("OPENCLAW_HOME"), filepath.Join(s.Home, ".openclaw"))
}

// written is what a run has written.
type written struct{ changed []string }

// write has a file hold b, readable by its owner only.
func (w *written) write(path string, b []byte) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 == 0 {
		if now, err := readSmall(path); err == nil && bytes.Equal(now, b) {
			return nil
		}
	}
	if err := replaceFile(path, b); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	w.changed = append(w.changed, path)
	return nil
}

// setUp looks at everything that may refuse before it writes anything.
func (s *session) setUp(ctx context.Context, a agent, f setupFlags) (setupDone, error) {
	var hook *agenthost.Hook
	if a.name == openClaw {
		config, err := readConfig(a.config())
		if err != nil {
			return setupDone{}, err
		}
		if hook, err = s.hook(config, a, f); err != nil {
			return setupDone{}, inConfig(a.config(), err)
		}
		if err := config.Add(nil, hook, a.mode); err != nil {
			return setupDone{}, inConfig(a.config(), err)
		}
	}
	inbox, err := s.setupInbox(ctx, a, f)
	if err != nil {
		return setupDone{}, err
	}
	box := agenthost.Mailbox{BaseURL: s.base, InboxID: inbox.ID, Address: inbox.Address, Mode: a.mode}
	if box.Key, box.KeyID, err = s.agentKey(ctx, a, inbox, f.scoped); err != nil {
		return setupDone{}, err
	}
	var w written
	if err := s.writeAgent(a, box, hook, &w); err != nil {
		return setupDone{}, err
	}
	next, err := s.setupBridge(ctx, a, box, hook, f.systemd, &w)
	if err != nil {
		return setupDone{}, err
	}
	err = s.update(func(st *state) {
		st.DefaultInboxID, st.DefaultInboxAddress = inbox.ID, inbox.Address
		if a.name == openClaw {
			st.DefaultUsageMode = string(a.mode)
		}
		s.saveKey(st)
	})
	return s.setupDone(a, inbox, w, next), err
}

// hook is where the gateway takes mail; nil in a mode that needs none.
func (s *session) hook(config *agenthost.Config, a agent, f setupFlags) (*agenthost.Hook, error) {
	if !a.mode.Bridged() {
		return nil, nil
	}
	hook, err := config.Hook(f.hookPath, cmp.Or(f.hooksToken, s.getenv("OPENCLAW_HOOK_TOKEN"), readVars(a.envFile())["OPENCLAW_HOOK_TOKEN"]))
	if err != nil {
		return nil, err
	}
	if f.hooksToken != "" && f.hooksToken != hook.Token {
		fmt.Fprintln(s.Stderr, "--hooks-token is not used: the gateway's configuration has a token already")
	}
	return &hook, nil
}

func inConfig(path string, err error) error {
	return fmt.Errorf("%s: %w: nothing is changed", path, err)
}

func readConfig(path string) (*agenthost.Config, error) {
	b, err := readSmall(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, inConfig(path, err)
	}
	config, err := agenthost.ReadConfig(b)
	if err != nil {
		return nil, inConfig(path, err)
	}
	return config, nil
}

// readVars are the variables of an environment file; none where there is none.
func readVars(path string) map[string]string {
	b, err := readSmall(path)
	if err != nil {
		return nil
	}
	return parseEnv(b)
}

// setupInbox is the inbox that is named, or made, or the agent's already, or the
// default, or the only one; where there is none, a new one.
func (s *session) setupInbox(ctx context.Context, a agent, f setupFlags) (api.Inbox, error) {
	named := f.inbox
	if named == "" && f.mailboxName == "" && f.displayName == "" && !f.reconfigure {
		named = cmp.Or(s.env("OPENMAIL_INBOX_ID"), s.env("OPENMAIL_ADDRESS"))
		if saved := s.savedInbox(a); named == "" && saved != "" {
			inbox, err := s.client.Inbox(ctx, saved)
			if openmail.CodeOf(err) != openmail.CodeNotFound {
				return inbox, err
			}
		}
	}
	if named != "" {
		id, err := s.inboxNamed(ctx, named)
		if err != nil {
			return api.Inbox{}, err
		}
		return s.client.Inbox(ctx, id)
	}
	if f.mailboxName == "" && f.displayName == "" {
		list, err := s.client.InboxPage(ctx, openmail.Page{Limit: 2})
		switch {
		case err != nil:
			return api.Inbox{}, err
		case len(list.Data) == 1:
			return list.Data[0], nil
		case len(list.Data) > 1:
			return api.Inbox{}, usage("which of %d inboxes? give --inbox-id, or --mailbox-name for a new one", list.Total)
		}
	}
	return s.inboxThere(ctx, f)
}

// savedInbox is the inbox of the last time: the agent's own, for there may be
// another agent.
func (s *session) savedInbox(a agent) string {
	if last := readVars(a.envFile()); last["OPENMAIL_BASE_URL"] == s.base && last["OPENMAIL_INBOX_ID"] != "" {
		return last["OPENMAIL_INBOX_ID"]
	}
	return s.state.DefaultInboxID
}

// inboxThere makes the inbox of that name, unless the last run has.
func (s *session) inboxThere(ctx context.Context, f setupFlags) (api.Inbox, error) {
	inbox, err := s.client.CreateInbox(ctx, api.InboxCreate{MailboxName: f.mailboxName, DisplayName: orNil(f.displayName)})
	if openmail.CodeOf(err) != openmail.CodeAddressTaken {
		return inbox, err
	}
	for inbox, listErr := range s.client.Inboxes(ctx) {
		if listErr != nil {
			return api.Inbox{}, listErr
		}
		if name, _, _ := strings.Cut(inbox.Address, "@"); name == f.mailboxName {
			return inbox, nil
		}
	}
	return api.Inbox{}, err // it is somebody else's
}

// agentKey is the key that the agent gets. The root key of a server is not given
// away: a new one is made that reaches the inbox only, and so on request.
func (s *session) agentKey(ctx context.Context, a agent, inbox api.Inbox, scoped bool) (key, id string, err error) {
	if !scoped && s.source != fromRootKey {
		return s.key, "", nil
	}
	keys, err := s.client.InboxKeys(ctx, inbox.ID)
	if openmail.CodeOf(err) == openmail.CodeForbidden {
		return s.key, "", nil // it reaches no further than an inbox
	}
	if err != nil {
		return "", "", err
	}
	last := readVars(a.envFile())
	if last["OPENMAIL_BASE_URL"] == s.base && slices.ContainsFunc(keys, func(k api.APIKey) bool { return k.ID == last["OPENMAIL_KEY_ID"] }) {
		return last["OPENMAIL_API_KEY"], last["OPENMAIL_KEY_ID"], nil
	}
	name := a.name
	made, err := s.client.CreateInboxKey(ctx, inbox.ID, api.APIKeyCreate{Name: &name})
	return made.Token, made.ID, err
}

// envVars is what the environment file says.
func (s *session) envVars(box agenthost.Mailbox, hook *agenthost.Hook) []agenthost.Var {
	vars := box.Env()
	if box.KeyID != "" {
		vars = append(vars, agenthost.Var{Name: "OPENMAIL_KEY_ID", Value: box.KeyID})
	}
	if hook != nil {
		vars = append(vars, agenthost.Bridge{HookURL: hook.URL, HookToken: hook.Token, State: s.bridgeState(), InboxID: box.InboxID}.Env()...)
	}
	return vars
}

// writeAgent writes the key first: if this ends in between, it is not lost.
func (s *session) writeAgent(a agent, box agenthost.Mailbox, hook *agenthost.Hook, w *written) error {
	env, err := agenthost.EnvFile(s.envVars(box, hook))
	if err != nil {
		return err
	}
	if err := w.write(a.envFile(), env); err != nil {
		return err
	}
	if err := w.write(a.skill(), agenthost.Skill(a.mode, a.envFile())); err != nil {
		return err
	}
	if a.name != openClaw {
		return nil
	}
	return changeConfig(a.config(), w, func(c *agenthost.Config) error { return c.Add(box.Env(), hook, a.mode) })
}

// changeConfig changes the configuration as it is now, and keeps beside it what it
// was before it held a mailbox. A file that is a link stays one.
func changeConfig(path string, w *written, change func(*agenthost.Config) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	before, err := readSmall(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return inConfig(path, err)
	}
	config, err := agenthost.ReadConfig(before)
	untouched := err == nil && !config.Has()
	if err == nil {
		same := config.Bytes()
		if err = change(config); err == nil && bytes.Equal(same, config.Bytes()) {
			return nil // what it says is not changed: its spelling stays
		}
	}
	if err != nil {
		return inConfig(path, err)
	}
	if kept := path + ".before-openmail"; before != nil && untouched {
		if err := replaceFile(kept, before); err != nil {
			return inConfig(path, err)
		}
	}
	return w.write(path, config.Bytes())
}

// setupNext is what follows from a setup.
type setupNext struct {
	UsageMode    string `json:"usageMode"`
	BridgeStatus string `json:"bridgeStatus"` // systemd, launchd, process, none
	BridgePID    int    `json:"bridgePid,omitempty"`
	PersistHint  string `json:"persistHint,omitempty"`
}

// setupBridge has a bridge run in the modes that need one, with what was
// written, and none in the others.
func (s *session) setupBridge(ctx context.Context, a agent, box agenthost.Mailbox, hook *agenthost.Hook, withSystemd bool, w *written) (setupNext, error) {
	next := setupNext{UsageMode: string(a.mode), BridgeStatus: byNobody}
	if a.name != openClaw {
		return next, nil
	}
	if hook == nil {
		return next, s.removeBridge(ctx, nil)
	}
	program, err := os.Executable()
	if err != nil {
		return next, err
	}
	v := service{keeper: bySystemd, program: program, env: s.envVars(box, hook), envFile: a.envFile()}
	if !withSystemd {
		v.keeper = s.keeper(ctx)
	}
	if err := s.install(v, w); err != nil {
		return next, err
	}
	pid, held := s.bridgeHolder()
	if !held || slices.ContainsFunc(w.changed, func(path string) bool { return path == a.envFile() || path == s.unitPath() || path == s.launchPath() }) {
		if err := s.stopBridge(ctx); err != nil {
			return next, err
		}
		if pid, err = s.start(ctx, v); err != nil {
			return next, fmt.Errorf("everything is written, but mail will not wake the agent: %w", err)
		}
	}
	next.BridgeStatus, next.BridgePID = v.keeper, pid
	next.PersistHint = map[string]string{
		byProcess: "the bridge ends with the machine: run setup again, or start `openmail ws bridge` at boot",
		bySystemd: "the bridge ends when you log out, unless `loginctl enable-linger` was run once",
	}[v.keeper]
	return next, nil
}

// removeBridge stops the bridge that setup has started, if it has, removes the
// files of who kept it, and notes them. One that somebody has started by hand
// goes on.
func (s *session) removeBridge(ctx context.Context, removed *[]string) error {
	if !exists(s.unitPath()) && !exists(s.launchPath()) && !agenthost.Mode(s.state.DefaultUsageMode).Bridged() {
		return nil
	}
	if err := s.stopBridge(ctx); err != nil {
		return err
	}
	return remove(removed, s.unitPath(), s.launchPath())
}

// remove removes files that are there, and notes them.
func remove(removed *[]string, paths ...string) error {
	for _, path := range paths {
		switch err := os.Remove(path); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case removed != nil:
			*removed = append(*removed, path)
		}
	}
	return nil
}
