// Command openmail is the whole of OpenMail: the server and its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"openmail/internal/cli"
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
	root := cli.New(cli.Options{Version: versionText()})
	root.AddCommand(serveCommand(), demoCommand(), configCommand())
	return cli.Execute(ctx, root)
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
