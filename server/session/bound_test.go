package session

import (
	"fmt"
	"slices"
	"testing"
)

func TestCountBound(t *testing.T) {
	r := New(Limits{})
	for client, bounds := range map[string][]Bound{
		"lftp":    {BoundSession, BoundSession},
		"ftplib":  {Unbound},
		"browser": {BoundUser, BoundSession},
	} {
		for _, b := range bounds {
			r.CountBound(client, b)
		}
	}
	want := []Software{{"ftplib", 0, 0, 1}, {"browser", 1, 1, 0}, {"lftp", 2, 0, 0}}
	if got := r.Software(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestCountBoundIsBounded: who makes names up fills no memory.
func TestCountBoundIsBounded(t *testing.T) {
	r := New(Limits{})
	for n := range 10 * mostSoftware {
		r.CountBound(fmt.Sprint("client ", n), Unbound)
	}
	all := r.Software()
	if len(all) != mostSoftware+1 || all[0].Client != otherSoftware || all[0].Unbound != 9*mostSoftware {
		t.Errorf("%d kinds, the first %+v", len(all), all[0])
	}
}
