package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"openmail/internal/app"
	"openmail/internal/extract"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Long: "Run the server: SMTP in, events out over WebSocket and webhook, REST.\n" +
			"Settings come from flags and the environment; `openmail config` shows them all.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), cmd)
		},
	}
	settingFlags(cmd)
	return cmd
}

// settingFlags gives a command a flag for each setting that has one.
func settingFlags(cmd *cobra.Command) {
	for _, s := range app.Settings() {
		if s.Flag != "" {
			cmd.Flags().String(s.Flag, s.Default, s.Meaning+" ("+s.Env+")")
		}
	}
}

// load reads the settings of a command that has settingFlags.
func load(cmd *cobra.Command) (app.Config, app.Values, error) {
	c, values, err := app.Load(os.Getenv, func(name string) (string, bool) {
		f := cmd.Flags().Lookup(name)
		if f == nil {
			return "", false
		}
		return f.Value.String(), f.Changed
	})
	if err == nil {
		c.Program, err = extract.Itself()
	}
	return c, values, err
}

func serve(ctx context.Context, cmd *cobra.Command) error {
	config, _, err := load(cmd)
	if err != nil {
		return err
	}
	// net/http writes what a hostile endpoint sends unasked to the standard
	// logger, which nothing of ours uses.
	log.SetOutput(io.Discard)
	server, err := app.New(ctx, config, versionText(), newLogger(config, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	greet(cmd.OutOrStdout(), server, config)
	return server.Run(ctx)
}

// greet tells a person what there is now. The key that the first start makes is
// shown this once, and only here.
func greet(w io.Writer, server *app.App, config app.Config) {
	if key := server.NewKey(); key != "" {
		fmt.Fprintf(w, "account key: %s\n(shown once; it also stands in %s)\n", key, server.KeyFile())
	}
	if !isTerminal(w) {
		return
	}
	at := server.Addresses()
	fmt.Fprintf(w, "\nOpenMail serves %s\n  REST and WebSocket  %s\n  SMTP                %s\n  data                %s\n\n"+
		"In another terminal:\n  %[5]s init      make an inbox\n  %[5]s listen    print events as they come\n\n",
		config.Domain, server.PublicURL(), at.SMTP, config.Data, os.Args[0])
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newLogger writes text for people and JSON for programs.
func newLogger(c app.Config, w io.Writer) *slog.Logger {
	if c.Log == "text" || c.Log == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: inMillis}))
}

// inMillis gives lengths of time their unit: "took" becomes "took_ms", a number
// of milliseconds. JSON would have bare nanoseconds.
func inMillis(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(a.Key+"_ms", float64(a.Value.Duration().Microseconds())/1000)
}
