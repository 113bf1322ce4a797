// Package agenthost has what is written for programs that host agents, so that
// an agent has a mailbox: environment files, skills, the configuration of
// OpenClaw, and the units that keep a bridge running. It makes bytes out of
// values; somebody else writes them.
package agenthost

import (
	"fmt"
	"regexp"
	"strings"
)

// Mode is how an agent comes by its mail.
type Mode string

// The modes.
const (
	// Tool: the agent looks when it wants to.
	Tool Mode = "tool"
	// Notify: the agent is woken by each mail, tells its user, and waits.
	Notify Mode = "notify"
	// Channel: the agent is woken by each mail and answers it.
	Channel Mode = "channel"
)

// Bridged reports whether the mode needs a bridge.
func (m Mode) Bridged() bool { return m == Notify || m == Channel }

// ParseMode reads a mode.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(text); m {
	case Tool, Notify, Channel:
		return m, nil
	}
	return "", fmt.Errorf("a mode is %s, %s or %s, not %q", Tool, Notify, Channel, text)
}

// Var is a variable of an environment.
type Var struct{ Name, Value string }

// Mailbox is what an agent is told of its mailbox.
type Mailbox struct {
	Key, KeyID       string // KeyID is of a key that was made for this agent; else ""
	BaseURL          string
	InboxID, Address string
	Mode             Mode
}

// Env is the environment that the agent's commands run in.
func (m Mailbox) Env() []Var {
	return []Var{
		{"OPENMAIL_API_KEY", m.Key},
		{"OPENMAIL_BASE_URL", m.BaseURL},
		{"OPENMAIL_INBOX_ID", m.InboxID},
		{"OPENMAIL_ADDRESS", m.Address},
		{"OPENMAIL_MODE", string(m.Mode)},
	}
}

// Bridge is what the bridge of an agent is told.
type Bridge struct{ HookURL, HookToken, State, InboxID string }

// Env is the environment that the bridge runs in, beside its mailbox's.
func (b Bridge) Env() []Var {
	return []Var{
		{"OPENCLAW_HOOK_URL", b.HookURL},
		{"OPENCLAW_HOOK_TOKEN", b.HookToken},
		{"OPENMAIL_BRIDGE_STATE_PATH", b.State},
		{"OPENMAIL_BRIDGE_INBOX_IDS", b.InboxID},
	}
}

// EnvFile is a file of variables that systemd, a POSIX shell and the command
// line read alike. What one of them would read otherwise is an error that names
// the variable and not its value.
func EnvFile(vars []Var) ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Written by openmail setup. It holds keys: keep it to yourself.\n")
	for _, v := range vars {
		value, err := quote(v.Value)
		if err != nil {
			return nil, fmt.Errorf("%s %w", v.Name, err)
		}
		fmt.Fprintf(&b, "%s=%s\n", v.Name, value)
	}
	return []byte(b.String()), nil
}

// quote writes a value so that all three readers find it again.
func quote(value string) (string, error) {
	if regexp.MustCompile(`^[A-Za-z0-9_@%+:,./~-]*$`).MatchString(value) {
		return value, nil
	}
	if strings.ContainsAny(value, `'\`) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("has a quote, a backslash or a control character, which not every reader of an environment file takes alike")
	}
	return "'" + value + "'", nil
}
