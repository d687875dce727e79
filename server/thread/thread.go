// Package thread gives long work threads that come after all others.
//
// The threads of a Go program stand in for each other: one that has just worked
// for as long as the system let it is next to answer a command, and the system's
// scheduler makes it wait for its turn. So whatever takes long, bulk data or
// hashing, has threads that do nothing else and have a lower priority: commands
// are then answered at once, whatever else goes on.
package thread

// How far work comes after the answering of commands.
const (
	Bulk    = 5  // data that somebody waits for
	Hashing = 19 // passwords: a storm of wrong ones must not be felt by who moves data
)

// Run runs job on a thread of its own, which comes by so much after the others,
// and returns when it has ended. A panic of the job is the caller's.
func Run(by int, job func()) {
	failed := make(chan any, 1)
	go func() {
		defer func() { failed <- recover() }()
		Lower(by)
		job()
	}()
	if p := <-failed; p != nil {
		panic(p)
	}
}
