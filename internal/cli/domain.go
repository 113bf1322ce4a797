package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
)

func (c *cli) domainCommands() *cobra.Command {
	return c.group(
		"domain", "Bring mail domains of your own",
		c.domainAdd(), c.domainList(), c.domainGet(), c.domainVerify(), c.domainUpdate(), c.domainDelete(),
	)
}

// domain prints a domain and each of its records: the values stand alone on their
// lines, whole, to be copied.
func (p printer) domain(d api.Domain) error {
	list := []string{"id", d.ID, "domain", d.Domain, "status", d.Status, "pod", orDash(d.PodID), "created", when(d.CreatedAt), "checked", when(d.CheckedAt)}
	if d.Reason != nil {
		list = append(list, "reason", *d.Reason)
	}
	if err := p.pairs(list...); err != nil {
		return err
	}
	for _, r := range d.Records {
		if err := p.record(r); err != nil {
			return err
		}
	}
	return nil
}

func (p printer) record(r api.DomainRecord) error {
	need := ""
	if !r.Required {
		need = ", advised"
	}
	list := []string{"type", r.Type, "name", r.Name, "value", r.Value}
	if r.Priority != nil {
		list = append(list, "priority", strconv.Itoa(*r.Priority))
	}
	list = append(list, "status", r.Status+" ("+r.Purpose+need+")")
	if r.Reason != nil {
		list = append(list, "reason", *r.Reason)
	}
	if err := p.line(""); err != nil {
		return err
	}
	return p.pairs(list...)
}

func (c *cli) domainAdd() *cobra.Command {
	var pod string
	cmd := c.about("add", "domain", "Bring a domain, and show the records to publish", func(ctx context.Context, s *session, name string) error {
		d, err := s.client.CreateDomain(ctx, api.DomainCreate{Domain: name, PodID: orNil(pod)})
		if err != nil {
			return err
		}
		return show(s.out, d, s.out.domain)
	})
	podFlags(cmd, &pod, "the pod whose inboxes alone can be on it; left out: the key's, else every pod")
	return cmd
}

func (c *cli) domainList() *cobra.Command {
	var page openmail.Page
	cmd := c.command("list", "List your domains, newest first", func(ctx context.Context, s *session, _ []string) error {
		list, err := s.client.DomainPage(ctx, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Domain]) error {
			t := table{head: []string{"ID", "DOMAIN", "STATUS", "POD", "REASON"}}
			for _, d := range list.Data {
				t.rows = append(t.rows, []string{d.ID, d.Domain, d.Status, orDash(d.PodID), orDash(d.Reason)})
			}
			if err := s.out.table(t); err != nil {
				return err
			}
			return s.out.more(len(list.Data), page.Offset, list.Total)
		})
	})
	pageFlags(cmd, &page)
	return cmd
}

func (c *cli) domainGet() *cobra.Command {
	return c.about("get", "domain-id", "Show a domain with its records, by id or name", func(ctx context.Context, s *session, name string) error {
		d, err := s.client.Domain(ctx, name)
		if err != nil {
			return err
		}
		return show(s.out, d, s.out.domain)
	})
}

func (c *cli) domainVerify() *cobra.Command {
	return c.about("verify", "domain-id", "Have the server look at a domain's records now", func(ctx context.Context, s *session, name string) error {
		d, err := s.client.VerifyDomain(ctx, name)
		if err != nil {
			return err
		}
		return show(s.out, d, s.out.domain)
	})
}

func (c *cli) domainUpdate() *cobra.Command {
	var pod string
	var cmd *cobra.Command
	cmd = c.about("update", "domain-id", "Bind a domain to a pod, or to none", func(ctx context.Context, s *session, name string) error {
		in := api.DomainUpdate{PodID: given(cmd, "pod-id", &pod)}
		if !in.PodID.Set {
			return usage("nothing to change: give --pod-id, with \"\" for every pod")
		}
		d, err := s.client.UpdateDomain(ctx, name, in)
		if err != nil {
			return err
		}
		return show(s.out, d, s.out.domain)
	})
	cmd.Flags().StringVar(&pod, "pod-id", "", "the pod whose inboxes alone can be on it, by id or clientId; \"\" for every pod")
	return cmd
}

func (c *cli) domainDelete() *cobra.Command {
	return c.about("delete", "domain-id", "Remove a domain that has no inboxes", func(ctx context.Context, s *session, name string) error {
		if err := s.client.DeleteDomain(ctx, name); err != nil {
			return err
		}
		return s.out.done("%s is deleted", name)
	})
}
