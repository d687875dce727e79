package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A build is the program, made once for all tests.
type build struct {
	once sync.Once
	dir  string
	err  error
}

var built build

func (b *build) path(t testing.TB) string {
	t.Helper()
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "portreeve-e2e-"); b.err != nil {
			return
		}
		os.Chmod(b.dir, 0o755) // others than root are to run it
		make := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", b.dir, ".")
		make.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := make.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatal("building the program: ", b.err)
	}
	return filepath.Join(b.dir, "portreeve")
}

func (b *build) remove() {
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}
