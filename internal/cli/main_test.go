package cli_test

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"openmail/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"openmail": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		status := cli.Execute(ctx, cli.New(cli.Options{Version: "1.2.3", GOOS: os.Getenv("TEST_GOOS")}))
		stop()
		os.Exit(status)
	}})
}

type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	status := l.m.Run()
	if err := goleak.Find(); status == 0 && err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return status
}

// TestScripts runs testdata/*.txtar. Beside testscript's own commands there are
//
//	server answers [events]  a server that answers as the file answers says,
//	                         and streams the lines of events, one a connection
//	hook status...           a URL, HOOK_URL, that answers with each status in
//	                         turn and writes what it got to the file hooked
//	status n command...      runs a command that must exit with n
//	waitpost text            waits until the hook gets a body with the text
//	gateway file             has an openclaw.json name the hook's port
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("OPENMAIL_API_KEY", "om_test")
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values[posts(nil)] = make(posts, 100)
			env.Defer(func() { endBridge(env.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": startServer, "hook": startHook, "status": exitsWith, "waitpost": waitPost, "gateway": gateway,
		},
	})
}
