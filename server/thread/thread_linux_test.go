package thread

import (
	"testing"

	"golang.org/x/sys/unix"
)

func nice(t *testing.T) int {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - n
}

// TestRun: the work comes later, and nothing else does afterwards.
func TestRun(t *testing.T) {
	before, inside := nice(t), 0
	for range 20 {
		Run(Bulk, func() { inside = nice(t) })
		if want := min(before+Bulk, 19); inside != want {
			t.Errorf("work has nice %d, not %d", inside, want)
		}
		seen := make(chan int)
		go func() { seen <- nice(t) }()
		if got := <-seen; got != before {
			t.Errorf("a goroutine after it has nice %d, not %d", got, before)
		}
	}
}

func TestRunPanics(t *testing.T) {
	defer func() {
		if p := recover(); p != "boom" {
			t.Errorf("recovered %v", p)
		}
	}()
	Run(Hashing, func() { panic("boom") })
}
