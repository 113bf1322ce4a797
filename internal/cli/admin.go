package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
)

// Admin is a server as its operator reaches it.
type Admin interface {
	// Suspend stops an inbox, a pod or an account from sending.
	Suspend(ctx context.Context, kind, id, reason string) (api.SuspensionChange, error)
	// Reactivate lets it send again.
	Reactivate(ctx context.Context, kind, id string) (api.SuspensionChange, error)
	// Suspended lists who may not send, newest first.
	Suspended(ctx context.Context) (api.Rows[api.Suspension], error)
}

func (c *cli) adminCommands() *cobra.Command {
	g := c.group(
		"admin", "Run the server on this machine",
		c.adminSuspend(), c.adminReactivate(), c.adminSuspended(),
	)
	g.Long = "Run the server on this machine: what no key may do. The server is found by its data folder\n" +
		"(OPENMAIL_DATA), and listens to the user that it runs as."
	return g
}

// admin is the server of the data folder.
func (s *session) admin() (Admin, error) {
	if s.Admin == nil {
		return nil, usage("this program has no way to a server of this machine")
	}
	return s.Admin(s.data), nil
}

// suspect is what a command is to do something to.
func suspect(args []string) (kind, id string, err error) {
	if len(args) < 2 {
		return "", "", usage("say which: inbox ID, pod ID or account ID")
	}
	switch k := openmail.SuspendedKind(args[0]); k {
	case openmail.SuspendedInbox, openmail.SuspendedPod, openmail.SuspendedAccount:
		return args[0], args[1], nil
	}
	return "", "", usage("%q is no inbox, pod or account", args[0])
}

func (c *cli) adminSuspend() *cobra.Command {
	var reason string
	cmd := c.command("suspend inbox|pod|account id", "Stop an inbox, a pod or an account from sending", func(ctx context.Context, s *session, args []string) error {
		kind, id, err := suspect(args)
		if err != nil {
			return err
		}
		if !slices.Contains(openmail.SuspensionReasons(), openmail.SuspensionReason(reason)) {
			return usage("--reason is %s", reasons())
		}
		server, err := s.admin()
		if err != nil {
			return err
		}
		changed, err := server.Suspend(ctx, kind, id, reason)
		if err != nil {
			return err
		}
		return show(s.out, changed, s.out.suspension)
	})
	cmd.Flags().StringVar(&reason, "reason", string(openmail.SuspendedReview), "why: "+reasons())
	return cmd
}

func reasons() string {
	var all []string
	for _, r := range openmail.SuspensionReasons() {
		all = append(all, string(r))
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

func (p printer) suspension(c api.SuspensionChange) error {
	if !c.Changed {
		return p.done("%s was suspended before, since %s (%s)", c.ID, when(c.Since), c.Reason)
	}
	return p.done("%s is suspended (%s): it receives, and may not send", c.ID, c.Reason)
}

func (c *cli) adminReactivate() *cobra.Command {
	return c.command("reactivate inbox|pod|account id", "Let it send again", func(ctx context.Context, s *session, args []string) error {
		kind, id, err := suspect(args)
		if err != nil {
			return err
		}
		server, err := s.admin()
		if err != nil {
			return err
		}
		changed, err := server.Reactivate(ctx, kind, id)
		if err != nil {
			return err
		}
		return show(s.out, changed, s.out.reactivation)
	})
}

func (p printer) reactivation(c api.SuspensionChange) error {
	if !c.Changed {
		return p.done("%s was not suspended", c.ID)
	}
	return p.done("%s may send again", c.ID)
}

func (c *cli) adminSuspended() *cobra.Command {
	return c.command("suspended", "List who may not send, newest first", func(ctx context.Context, s *session, _ []string) error {
		server, err := s.admin()
		if err != nil {
			return err
		}
		list, err := server.Suspended(ctx)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.Rows[api.Suspension]) error {
			t := table{head: []string{"KIND", "ID", "REASON", "SINCE"}}
			for _, x := range list.Data {
				t.rows = append(t.rows, []string{x.Kind, x.ID, x.Reason, when(x.Since)})
			}
			return s.out.table(t)
		})
	})
}
