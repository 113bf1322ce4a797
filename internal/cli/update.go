package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"openmail/internal/agenthost"
)

// updateDone is what update prints with --json.
type updateDone struct {
	OK           bool   `json:"ok"`
	Status       string `json:"status"` // manual
	From         string `json:"from"`
	To           string `json:"to"`
	SkillRefresh string `json:"skillRefresh"` // done, skipped
	Message      string `json:"message"`
}

// updateCommand downloads nothing: the program is the server's too, and comes
// from where its operator got it.
func (c *cli) updateCommand() *cobra.Command {
	cmd := c.command("update", "Renew the skills that setup has written, and tell how to get a newer version", func(_ context.Context, s *session, _ []string) error {
		d := updateDone{
			OK: true, Status: "manual", From: s.Version, To: s.Version, SkillRefresh: "skipped",
			Message: "openmail does not replace itself: put a newer program in its place, start `openmail serve` again, then run this again",
		}
		refreshed, err := s.refreshSkills()
		if err != nil {
			return err
		}
		if refreshed {
			d.SkillRefresh = "done"
		}
		return show(s.out, d, func(d updateDone) error {
			return s.out.pairs("version", d.From, "skills", d.SkillRefresh, "note", d.Message)
		})
	})
	cmd.Aliases = []string{"upgrade"}
	return cmd
}

// refreshSkills writes this version's text where setup has written one.
func (s *session) refreshSkills() (refreshed bool, err error) {
	var w written
	for _, home := range []string{s.openclawHome(""), filepath.Join(s.Home, ".claude")} {
		a := agent{home: home}
		mode, err := agenthost.ParseMode(readVars(a.envFile())["OPENMAIL_MODE"])
		if err != nil || !exists(a.skill()) {
			continue
		}
		if err := w.write(a.skill(), agenthost.Skill(mode, a.envFile())); err != nil {
			return refreshed, fmt.Errorf("renew a skill: %w", err)
		}
		refreshed = true
	}
	return refreshed, nil
}
