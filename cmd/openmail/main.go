// Command openmail is the whole of OpenMail: the server and its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"openmail/internal/admin"
	"openmail/internal/app"
	"openmail/internal/cli"
	"openmail/internal/doctor"
	"openmail/internal/extract"
)

// version is set when a release is built; see Makefile.
var version = ""

func main() { os.Exit(run()) }

// run is main with a result, so that what it defers is done.
func run() int {
	if len(os.Args) > 1 && os.Args[1] == extract.Command {
		return extract.Child(os.Args[2:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	root := cli.New(cli.Options{Version: versionText(), Beside: beside, Admin: func(data string) cli.Admin { return admin.Dial(data) }})
	root.AddCommand(serveCommand(), demoCommand(), configCommand())
	return cli.Execute(ctx, root)
}

// beside is what doctor finds at a server of this machine.
func beside(ctx context.Context, data, probe string) ([]cli.Check, error) {
	found, err := app.Diagnose(ctx, data, probe)
	var checks []cli.Check
	for _, c := range found {
		checks = append(checks, cli.Check{Name: c.Name, OK: c.Status != doctor.Fail, Status: string(c.Status), Message: c.Message})
	}
	return checks, err
}

// versionText is the version of a release, or of the module as it was built.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
