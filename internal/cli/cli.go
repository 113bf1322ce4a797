// Package cli is the command line: what a person or a script does with a server
// that runs somewhere. It speaks to the server through package client only.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"openmail/client"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Options is what the command line takes from the process that it runs in. A
// field left out is the process's own.
type Options struct {
	Version        string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Home is where ~ is.
	Home string
	// GOOS is the system that setup prepares.
	GOOS string
	// Beside looks at the server on this machine that keeps its data in that
	// folder, for doctor, and at whether port 25 is open on the way to the mail
	// server of the domain probe, if there is one; nil: nobody does.
	Beside func(ctx context.Context, data, probe string) ([]Check, error)
	// Admin asks the server on this machine that keeps its data in that folder,
	// as its operator; nil: nobody can.
	Admin func(data string) Admin
}

// cli is the command line before a command is chosen.
type cli struct {
	Options
	apiKey, baseURL, statePath string // flags
	json, verbose              bool
}

// New makes the command "openmail" with everything that speaks to a server.
// Commands that run a server may be added to it.
func New(o Options) *cobra.Command {
	c := &cli{Options: withDefaults(o)}
	root := c.group("openmail", "Mailboxes for software agents")
	root.Version = c.Version
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(c.Stdin)
	root.SetOut(c.Stdout)
	root.SetErr(c.Stderr)
	root.SetVersionTemplate("openmail {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%v", err) })
	f := root.PersistentFlags()
	f.StringVar(&c.apiKey, "api-key", "", "the key (OPENMAIL_API_KEY)")
	f.StringVar(&c.baseURL, "base-url", "", "where the server answers (OPENMAIL_BASE_URL)")
	f.StringVar(&c.statePath, "state-path", "", "the file that remembers key, inbox and position (OPENMAIL_STATE_PATH)")
	f.BoolVar(&c.json, "json", false, "print JSON as the server gave it")
	f.BoolVar(&c.verbose, "verbose", false, "tell of every request on stderr")
	root.AddCommand(
		c.setupCommand(), c.openclawCommands(), c.updateCommand(), c.initCommand(), c.sendCommand(), c.statusCommand(), c.doctorCommand(), c.listenCommand(), c.wsCommands(),
		c.inboxCommands(), c.threadCommands(), c.messageCommands(), c.attachmentCommands(),
		c.eventCommands(), c.webhookCommands(), c.policyCommands(), c.quarantineCommands(), c.suppressionCommands(),
		c.podCommands(), c.domainCommands(), c.keyCommands(anyKeys), c.accountCommands(), c.usageCommand(), c.feedbackCommands(), c.adminCommands(),
	)
	return root
}

func withDefaults(o Options) Options {
	if o.Version == "" {
		o.Version = "devel"
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.GOOS == "" {
		o.GOOS = runtime.GOOS
	}
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir() // "" is told of when it is needed
	}
	return o
}

// Execute runs the command that the arguments of root name, and returns the
// status for the process to exit with: 0, 1 for a failure, 2 for a command that
// was written wrongly. A failure is one line on stderr.
func Execute(ctx context.Context, root *cobra.Command) int {
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintln(root.ErrOrStderr(), "openmail: "+oneLine(err.Error()))
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// errTold is a failure that the command itself has described.
var errTold = errors.New("failed")

// usageError is a command that was written wrongly.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// group is a command that only has others below it.
func (c *cli) group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	g.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			return usage("there is no %q in %q: did you mean \"%s\"?", args[0], cmd.CommandPath(), strings.Join(like, `" or "`))
		}
		return usage("there is no %q in %q: see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
	}
	g.SuggestionsMinimumDistance = 2
	g.AddCommand(commands...)
	return g
}

// action is what a command does, with what it was given beside flags.
type action func(ctx context.Context, s *session, args []string) error

// command is a command that takes at most as many arguments as use names.
func (c *cli) command(use, short string, do action) *cobra.Command {
	most := strings.Count(use, " ")
	return &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > most {
				return usage("%s takes %d arguments at most: see %s --help", cmd.CommandPath(), most, cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.open()
			if err != nil {
				return err
			}
			defer s.client.Close()
			return s.explain(do(cmd.Context(), s, args))
		},
	}
}

// session is one run of a command: who it speaks to, and as whom.
type session struct {
	*cli
	settings
	client *client.Client
	out    printer
}

func (c *cli) open() (*session, error) {
	set, err := c.resolve()
	if err != nil {
		return nil, err
	}
	api, err := client.New(client.Options{
		BaseURL: set.base, APIKey: set.key, Transport: c.transport(),
		UserAgent: "openmail-cli/" + c.Version,
	})
	if err != nil {
		return nil, usage("%s", messageOf(err))
	}
	return &session{cli: c, settings: set, client: api, out: c.printer()}, nil
}

// transport tells of requests when --verbose asks for it; nil is the client's
// own.
func (c *cli) transport() http.RoundTripper {
	if !c.verbose {
		return nil
	}
	return teller{to: c.Stderr, next: http.DefaultTransport}
}

// idOf is what a command is about: its argument, or the flag that may stand for
// it.
func idOf(args []string, i int, flag, name string) (string, error) {
	if len(args) > i {
		return args[i], nil
	}
	if flag == "" {
		return "", usage("--%s is missing", name)
	}
	return flag, nil
}
