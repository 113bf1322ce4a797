package cli

import (
	"context"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
)

// podFlags adds --pod-id and --client-id, either of which names a pod.
func podFlags(cmd *cobra.Command, pod *string, meaning string) {
	cmd.Flags().StringVar(pod, "pod-id", "", meaning)
	cmd.Flags().StringVar(pod, "client-id", "", "another name of --pod-id")
}

func (c *cli) podCommands() *cobra.Command {
	return c.group(
		"pod", "Divide the account among your customers",
		c.podCreate(), c.podList(), c.podGet(), c.podUpdate(), c.podDelete(), c.keyCommands(podKeys),
	)
}

func (p printer) pod(pod api.Pod) error {
	return p.pairs("id", pod.ID, "client id", orDash(pod.ClientID), "name", orDash(pod.Name), "default", yesNo(pod.IsDefault), "created", when(pod.CreatedAt))
}

func (c *cli) podCreate() *cobra.Command {
	var clientID, name string
	cmd := c.command("create", "Make a pod", func(ctx context.Context, s *session, _ []string) error {
		pod, err := s.client.CreatePod(ctx, api.PodCreate{ClientID: orNil(clientID), Name: orNil(name)})
		if err != nil {
			return err
		}
		return show(s.out, pod, s.out.pod)
	})
	cmd.Flags().StringVar(&clientID, "client-id", "", "your own name for it, which stands for its id everywhere")
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	return cmd
}

func (c *cli) podList() *cobra.Command {
	var page openmail.Page
	cmd := c.command("list", "List pods: the default one, then the others, newest first", func(ctx context.Context, s *session, _ []string) error {
		list, err := s.client.PodPage(ctx, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Pod]) error {
			t := table{head: []string{"ID", "CLIENT ID", "NAME", "DEFAULT", "CREATED"}}
			for _, p := range list.Data {
				t.rows = append(t.rows, []string{p.ID, orDash(p.ClientID), orDash(p.Name), yesNo(p.IsDefault), when(p.CreatedAt)})
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

func (c *cli) podGet() *cobra.Command {
	return c.about("get", "pod-id", "Show a pod, by its id or clientId", func(ctx context.Context, s *session, id string) error {
		pod, err := s.client.Pod(ctx, id)
		if err != nil {
			return err
		}
		return show(s.out, pod, s.out.pod)
	})
}

func (c *cli) podUpdate() *cobra.Command {
	var clientID, name string
	var cmd *cobra.Command
	cmd = c.about("update", "pod-id", "Change a pod's clientId or name", func(ctx context.Context, s *session, id string) error {
		in := api.PodUpdate{ClientID: given(cmd, "client-id", &clientID), Name: given(cmd, "name", &name)}
		if in == (api.PodUpdate{}) {
			return usage("nothing to change: give --client-id or --name, with \"\" for none")
		}
		pod, err := s.client.UpdatePod(ctx, id, in)
		if err != nil {
			return err
		}
		return show(s.out, pod, s.out.pod)
	})
	cmd.Flags().StringVar(&clientID, "client-id", "", "your own name for it; \"\" for none")
	cmd.Flags().StringVar(&name, "name", "", "what people call it; \"\" for none")
	return cmd
}

// given is the value of a flag, null where it is empty; left out where the flag
// was.
func given(cmd *cobra.Command, flag string, value *string) api.Optional[string] {
	o := api.Optional[string]{Set: cmd.Flags().Changed(flag)}
	if o.Set && *value != "" {
		o.Value = value
	}
	return o
}

func (c *cli) podDelete() *cobra.Command {
	return c.about("delete", "pod-id", "Remove a pod that has no inboxes, and revoke its keys", func(ctx context.Context, s *session, id string) error {
		if err := s.client.DeletePod(ctx, id); err != nil {
			return err
		}
		return s.out.done("%s is deleted", id)
	})
}
