package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/client"
)

func (c *cli) policyCommands() *cobra.Command {
	return c.group(
		"policy", "Say who may write to the inboxes, and to whom they may write",
		c.policyGet(), c.policyMode(), c.policyRule("allow", "Let an address through"), c.policyRule("block", "Turn an address away"),
		c.policyRemove(), c.policyAudit(),
	)
}

// policyAt is what a command about a policy was given: the level, and which
// way mail goes.
type policyAt struct {
	level     client.Level
	direction string
}

// aboutPolicy is a command about the policy of one level.
func (c *cli) aboutPolicy(use, short string, do func(ctx context.Context, s *session, at policyAt, args []string) error) (*cobra.Command, *policyAt) {
	var at policyAt
	cmd := c.command(use, short, func(ctx context.Context, s *session, args []string) (err error) {
		switch at.direction {
		case "", string(openmail.Inbound), string(openmail.Outbound):
		default:
			return usage("--direction is inbound (who may write) or outbound (to whom mail may go)")
		}
		named := at
		if at.level.Inbox != "" {
			if named.level.Inbox, err = s.inboxNamed(ctx, at.level.Inbox); err != nil {
				return err
			}
		}
		return do(ctx, s, named, args)
	})
	podFlags(cmd, &at.level.Pod, "the policy of this pod, by its id or clientId; without it and --inbox-id, that of the account")
	cmd.Flags().StringVar(&at.level.Inbox, "inbox-id", "", "the policy of this inbox, by id or address")
	return cmd, &at
}

// directed adds --direction to a command that changes something.
func directed(cmd *cobra.Command, at *policyAt) *cobra.Command {
	cmd.Flags().StringVar(&at.direction, "direction", string(openmail.Inbound), "inbound: who may write; outbound: to whom mail may go")
	return cmd
}

func (c *cli) policyGet() *cobra.Command {
	cmd, _ := c.aboutPolicy("get", "Show modes and rules", func(ctx context.Context, s *session, at policyAt, _ []string) error {
		p, err := s.client.Policy(ctx, at.level)
		if err != nil {
			return err
		}
		return show(s.out, p, s.out.policy)
	})
	return cmd
}

func (p printer) policy(policy api.Policy) error {
	t := table{head: []string{"RULE", "DIRECTION", "TYPE", "VALUE", "OF", "CREATED"}}
	var modes []string
	for _, side := range []struct {
		direction openmail.Direction
		api.PolicySide
	}{{openmail.Inbound, policy.Inbound}, {openmail.Outbound, policy.Outbound}} {
		mode := side.Mode
		if mode != side.EffectiveMode {
			mode += " (" + side.EffectiveMode + ")"
		}
		modes = append(modes, string(side.direction), mode)
		for _, r := range side.Rules {
			t.rows = append(t.rows, []string{r.ID, r.Direction, r.Type, r.Value, r.Scope, when(r.CreatedAt)})
		}
	}
	if err := p.pairs(modes...); err != nil || len(t.rows) == 0 {
		return err
	}
	return p.table(t)
}

func (c *cli) policyMode() *cobra.Command {
	return directed(c.aboutPolicy("mode <none|allowlist|inherit>", "Set what happens to addresses that no rule names", func(ctx context.Context, s *session, at policyAt, args []string) error {
		if len(args) == 0 || !isMode(args[0]) {
			return usage("the mode is none (everybody but the blocked), allowlist (nobody but the allowed) or, for a pod or an inbox, inherit")
		}
		p, err := s.client.SetPolicyMode(ctx, at.level, api.PolicyMode{Mode: args[0], Direction: at.direction})
		if err != nil {
			return err
		}
		return show(s.out, p, s.out.policy)
	}))
}

func isMode(name string) bool {
	switch openmail.Mode(name) {
	case openmail.ModeNone, openmail.ModeAllowlist, openmail.ModeInherit:
		return true
	}
	return false
}

func (c *cli) policyRule(kind, short string) *cobra.Command {
	return directed(c.aboutPolicy(kind+" <address>", short+": an address, a domain, or *.domain", func(ctx context.Context, s *session, at policyAt, args []string) error {
		if len(args) == 0 {
			return usage("whom? give an address, a domain, or *.domain")
		}
		rule, err := s.client.AddRule(ctx, at.level, api.RuleCreate{Type: kind, Value: args[0], Direction: at.direction})
		if err != nil {
			return err
		}
		return show(s.out, rule, func(r api.Rule) error { return s.out.pairs("id", r.ID, r.Type, r.Value) })
	}))
}

func (c *cli) policyRemove() *cobra.Command {
	var rule string
	cmd, _ := c.aboutPolicy("remove [rule-id]", "Remove a rule", func(ctx context.Context, s *session, at policyAt, args []string) error {
		id, err := idOf(args, 0, rule, "rule-id")
		if err != nil {
			return err
		}
		if err := s.client.DeleteRule(ctx, at.level, id); err != nil {
			return err
		}
		return s.out.done("%s is removed", id)
	})
	cmd.Flags().StringVar(&rule, "rule-id", "", "the rule")
	return cmd
}

func (c *cli) policyAudit() *cobra.Command {
	var f client.PolicyFilter
	var when span
	var page openmail.Page
	cmd, _ := c.aboutPolicy("audit", "List what was changed and whom it refused, newest first", func(ctx context.Context, s *session, at policyAt, _ []string) (err error) {
		f.Level = at.level
		if f.Since, f.Until, err = when.times(); err != nil {
			return err
		}
		list, err := s.client.PolicyRecords(ctx, f, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.PolicyRecord]) error { return s.out.policyRecords(list, page.Offset) })
	})
	cmd.Flags().StringVar(&f.Action, "action", "", "only policy_replaced, mode_set, rule_added, rule_removed or refused")
	cmd.Flags().StringVar(&f.Direction, "direction", "", "only inbound or outbound")
	when.add(cmd)
	pageFlags(cmd, &page)
	return cmd
}

func (p printer) policyRecords(list api.List[api.PolicyRecord], offset int) error {
	t := table{head: []string{"DATE", "ACTION", "DIRECTION", "OF", "WHAT", "BY"}}
	for _, r := range list.Data {
		t.rows = append(t.rows, []string{when(r.CreatedAt), r.Action, r.Direction, r.Scope, whatOf(r), orDash(r.KeyID)})
	}
	if err := p.table(t); err != nil {
		return err
	}
	return p.more(len(list.Data), offset, list.Total)
}

// whatOf is what of a record a line has room for.
func whatOf(r api.PolicyRecord) string {
	switch {
	case r.Action == string(openmail.PolicyRefused):
		return refusedOf(r)
	case r.Value != nil:
		return orDash(r.Type) + " " + *r.Value
	case r.Added != nil && r.Removed != nil && r.Added.Count+r.Removed.Count > 0:
		return fmt.Sprintf("mode %s, %d rules more, %d fewer", orDash(r.Mode), r.Added.Count, r.Removed.Count)
	}
	return "mode " + orDash(r.Mode)
}

func refusedOf(r api.PolicyRecord) string {
	who := "more addresses" // than one hour has records for
	if r.Reason != nil {
		who = orDash(r.Address) + " " + *r.Reason
	}
	if r.Times > 1 {
		who += fmt.Sprintf(", %d times", r.Times)
	}
	return who
}
