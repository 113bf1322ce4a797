package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"openmail/api"
)

// kind says whose keys commands are about: those of a pod, of an inbox, or as
// their flags say.
type kind string

// The kinds.
const (
	anyKeys   kind = ""
	podKeys   kind = "pod"
	inboxKeys kind = "inbox"
)

// ring is the keys of one owner.
type ring struct {
	list   func(context.Context) ([]api.APIKey, error)
	create func(context.Context, api.APIKeyCreate) (api.APIKey, error)
	revoke func(ctx context.Context, key string) error
}

// owner is what flags or an argument say of what keys reach.
type owner struct{ pod, inbox string }

func (o *owner) flags(cmd *cobra.Command, k kind) {
	if k != inboxKeys {
		podFlags(cmd, &o.pod, "the pod that the keys reach, by id or clientId")
	}
	if k != podKeys {
		cmd.Flags().StringVar(&o.inbox, "inbox-id", "", "the inbox that the keys reach, by id or address")
	}
	if k == inboxKeys {
		cmd.Flags().StringVar(&o.inbox, "id", "", "another name of --inbox-id")
	}
}

// take lets an argument name what a command of that kind is about.
func (o *owner) take(k kind, args []string) {
	switch {
	case len(args) == 0:
	case k == podKeys:
		o.pod = args[0]
	case k == inboxKeys:
		o.inbox = args[0]
	}
}

func (s *session) ring(ctx context.Context, k kind, o owner) (ring, error) {
	switch {
	case o.pod != "" && o.inbox != "":
		return ring{}, usage("keys reach a pod or an inbox: give one of the two")
	case o.pod != "":
		return s.podRing(o.pod), nil
	case o.inbox != "":
		id, err := s.inboxNamed(ctx, o.inbox)
		return s.inboxRing(id), err
	case k != anyKeys:
		return ring{}, usage("which %s? give --%s-id", k, k)
	}
	return ring{s.client.Keys, s.client.CreateKey, s.client.RevokeKey}, nil
}

func (s *session) podRing(pod string) ring {
	return ring{
		func(ctx context.Context) ([]api.APIKey, error) { return s.client.PodKeys(ctx, pod) },
		func(ctx context.Context, in api.APIKeyCreate) (api.APIKey, error) {
			return s.client.CreatePodKey(ctx, pod, in)
		},
		func(ctx context.Context, key string) error { return s.client.RevokePodKey(ctx, pod, key) },
	}
}

func (s *session) inboxRing(inbox string) ring {
	return ring{
		func(ctx context.Context) ([]api.APIKey, error) { return s.client.InboxKeys(ctx, inbox) },
		func(ctx context.Context, in api.APIKeyCreate) (api.APIKey, error) {
			return s.client.CreateInboxKey(ctx, inbox, in)
		},
		func(ctx context.Context, key string) error { return s.client.RevokeInboxKey(ctx, inbox, key) },
	}
}

func (c *cli) keyCommands(k kind) *cobra.Command {
	short := map[kind]string{
		anyKeys: "Make and revoke API keys", podKeys: "Make and revoke keys that reach one pod", inboxKeys: "Make and revoke keys that reach one inbox",
	}[k]
	return c.group("keys", short, c.keyList(k), c.keyCreate(k), c.keyRevoke(k))
}

// aboutKeys is a command on the keys of an owner, which an argument may name.
func (c *cli) aboutKeys(k kind, use, short string, do func(ctx context.Context, s *session, r ring) error) *cobra.Command {
	var o owner
	if k != anyKeys {
		use += " [" + string(k) + "]"
	}
	cmd := c.command(use, short, func(ctx context.Context, s *session, args []string) error {
		o.take(k, args)
		r, err := s.ring(ctx, k, o)
		if err != nil {
			return err
		}
		return do(ctx, s, r)
	})
	o.flags(cmd, k)
	return cmd
}

func (c *cli) keyList(k kind) *cobra.Command {
	return c.aboutKeys(k, "list", "List keys", func(ctx context.Context, s *session, r ring) error {
		keys, err := r.list(ctx)
		if err != nil {
			return err
		}
		return show(s.out, api.Rows[api.APIKey]{Data: keys}, func(list api.Rows[api.APIKey]) error {
			t := table{head: []string{"ID", "KEY", "NAME", "CREATED", "LAST USED"}}
			for _, k := range list.Data {
				t.rows = append(t.rows, []string{k.ID, k.TokenPrefix + k.Last4, orDash(k.Name), when(k.CreatedAt), when(k.LastUsedAt)})
			}
			return s.out.table(t)
		})
	})
}

func (c *cli) keyCreate(k kind) *cobra.Command {
	var name string
	cmd := c.aboutKeys(k, "create", "Make a key", func(ctx context.Context, s *session, r ring) error {
		key, err := r.create(ctx, api.APIKeyCreate{Name: orNil(name)})
		if err != nil {
			return err
		}
		return show(s.out, key, func(k api.APIKey) error {
			if _, err := fmt.Fprintln(s.Stderr, "keep the key: it is not shown again"); err != nil {
				return err
			}
			return s.out.pairs("id", k.ID, "key", k.Token)
		})
	})
	cmd.Flags().StringVar(&name, "name", "", "what the key is for")
	return cmd
}

func (c *cli) keyRevoke(k kind) *cobra.Command {
	var o owner
	cmd := c.about("revoke", "key-id", "Make a key invalid at once", func(ctx context.Context, s *session, id string) error {
		r, err := s.ring(ctx, k, o)
		if err != nil {
			return err
		}
		if err := r.revoke(ctx, id); err != nil {
			return err
		}
		return s.out.done("%s is revoked", id)
	})
	o.flags(cmd, k)
	return cmd
}
