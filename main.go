// Keyward finds hardcoded provisioning keys and gets them rotated.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/keyward/keyward/hooks"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // blobs are scanned in buffers that are used again: little garbage is made
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := hooks.Main(ctx, hooks.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	})
	stop()
	os.Exit(code)
}
