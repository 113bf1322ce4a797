package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/client"
	"openmail/internal/app"
)

// demoPatience is how long the demo waits for its event.
const demoPatience = 30 * time.Second

// demoInbox is the mailbox that the demo makes, or finds from the time before.
const demoInbox = "demo"

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "Start a server, send a mail through it, print the event, go on serving", Args: cobra.NoArgs,
		Long: "Start a server with its defaults, make an inbox, open a WebSocket, send a real mail through the\n" +
			"SMTP port, print the event that arrives with its latency, and go on serving until interrupted.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd)
		},
	}
	settingFlags(cmd)
	return cmd
}

func demo(ctx context.Context, cmd *cobra.Command) error {
	config, _, err := load(cmd)
	if err != nil {
		return err
	}
	server, err := app.New(ctx, config, versionText(), newLogger(config, io.Discard))
	if err != nil {
		return err
	}
	greet(cmd.OutOrStdout(), server, config)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	if err := show(ctx, cmd.OutOrStdout(), server); err != nil {
		stop()
		return errors.Join(err, <-served)
	}
	return <-served
}

// show does what an agent and a sender would do, over the ports.
func show(ctx context.Context, w io.Writer, server *app.App) error {
	within, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	key, err := demoKey(server)
	if err != nil {
		return err
	}
	c, err := client.New(client.Options{BaseURL: "http://" + server.Addresses().HTTP, APIKey: key})
	if err != nil {
		return err
	}
	defer c.Close()
	inbox, err := ensureInbox(within, c)
	if err != nil {
		return fmt.Errorf("make the inbox: %w", err)
	}
	fmt.Fprintf(w, "inbox      %s (%s)\n", inbox.Address, inbox.ID)
	event, times, err := roundTrip(within, c, server.Addresses().SMTP, inbox)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "mail       through SMTP port %s, answered %q\n", server.Addresses().SMTP, times.reply)
	fmt.Fprintf(w, "event      %s\n", event)
	fmt.Fprintf(w, "latency    %.2f ms from the end of the mail to the event on the socket (250 after %.2f ms)\n\n",
		millis(times.event.Sub(times.sent)), millis(times.accepted.Sub(times.sent)))
	fmt.Fprintf(w, "Serving until interrupted (Ctrl-C). Try in another terminal:\n"+
		"  swaks --server %s --to %s --header 'Subject: Hello'\n  %s listen\n", server.Addresses().SMTP, inbox.Address, os.Args[0])
	return nil
}

// millis is a duration in milliseconds.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// times are the moments of one mail.
type times struct {
	sent, accepted, event time.Time
	reply                 string
}

// roundTrip sends a mail to the inbox and returns the event that a subscribed
// socket gets for it, once the server knows that it was read.
func roundTrip(ctx context.Context, c *client.Client, smtpAddr string, inbox api.Inbox) (event string, t times, err error) {
	subject := fmt.Sprintf("Hello, agent (%s)", time.Now().Format(time.RFC3339Nano))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mailed := make(chan times, 1)
	mail := func() {
		t, err := sendDemo(smtpAddr, inbox.Address, subject)
		if err != nil {
			cancel(fmt.Errorf("send the mail: %w", err))
			return
		}
		mailed <- t
	}
	var once sync.Once
	listen := client.ListenOptions{Inboxes: []string{inbox.ID}, Limit: 1, OnState: func(s client.State) {
		if s.Kind == client.StateConnected {
			once.Do(func() { go mail() })
		}
	}}
	var arrived time.Time
	for e, err := range c.Listen(ctx, listen) {
		switch {
		case err != nil:
			return "", t, fmt.Errorf("wait for the event: %w", cmp.Or(context.Cause(ctx), err))
		case e.Message.Subject != subject:
			return "", t, errors.New("another mail was faster: run the demo again")
		}
		event, arrived = string(e.Raw), time.Now()
	}
	select {
	case t = <-mailed:
		t.event = arrived
		return event, t, nil
	case <-ctx.Done():
		return "", t, context.Cause(ctx)
	}
}

// sendDemo sends a mail as any mail program would, and notes when.
func sendDemo(addr, to, subject string) (t times, err error) {
	s, err := smtp.Dial(addr)
	if err != nil {
		return t, err
	}
	defer s.Close()
	if err := errors.Join(s.Hello("demo.localhost"), s.Mail("sender@demo.localhost"), s.Rcpt(to)); err != nil {
		return t, err
	}
	id, err := s.Text.Cmd("DATA")
	if err != nil {
		return t, err
	}
	s.Text.StartResponse(id)
	_, _, err = s.Text.ReadResponse(354)
	s.Text.EndResponse(id)
	if err != nil {
		return t, err
	}
	mail := strings.Join([]string{
		"From: A human <sender@demo.localhost>", "To: <" + to + ">", "Subject: " + subject,
		"Date: " + time.Now().Format(time.RFC1123Z), fmt.Sprintf("Message-ID: <%d@demo.localhost>", time.Now().UnixNano()),
		"", "This mail came in through SMTP.", "",
	}, "\r\n")
	body := s.Text.DotWriter()
	_, err = io.WriteString(body, mail)
	t.sent = time.Now()
	if err := errors.Join(err, body.Close()); err != nil {
		return t, err
	}
	_, t.reply, err = s.Text.ReadResponse(250)
	t.accepted = time.Now()
	return t, errors.Join(err, s.Quit())
}

// demoKey is the key that this start has made, or that the first one left in
// the data folder.
func demoKey(server *app.App) (string, error) {
	if key := server.NewKey(); key != "" {
		return key, nil
	}
	if key := os.Getenv("OPENMAIL_API_KEY"); key != "" {
		return key, nil
	}
	b, err := os.ReadFile(server.KeyFile())
	if err != nil {
		return "", fmt.Errorf("the demo needs an account key: set OPENMAIL_API_KEY, since %s cannot be read", server.KeyFile())
	}
	return strings.TrimSpace(string(b)), nil
}

// ensureInbox makes the demo's inbox, or finds that of an earlier demo.
func ensureInbox(ctx context.Context, c *client.Client) (api.Inbox, error) {
	inbox, err := c.CreateInbox(ctx, api.InboxCreate{MailboxName: demoInbox})
	if openmail.CodeOf(err) != openmail.CodeAddressTaken {
		return inbox, err
	}
	for inbox, err := range c.Inboxes(ctx) {
		if err != nil || strings.HasPrefix(inbox.Address, demoInbox+"@") {
			return inbox, err
		}
	}
	return api.Inbox{}, errors.New("the address is taken by an inbox that this key does not reach")
}
