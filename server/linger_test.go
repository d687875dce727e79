package server

import "testing"

// TestAlone: a session lingers only while no other one has anything to do.
func TestAlone(t *testing.T) {
	srv := &Server{}
	a, b := &session{srv: srv}, &session{srv: srv}
	for i, step := range []struct {
		who  *session
		want bool
	}{{a, true}, {a, true}, {b, false}, {a, false}, {a, true}, {b, false}, {b, true}} {
		if got := step.who.alone(); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
