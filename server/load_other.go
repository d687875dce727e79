//go:build !linux && !freebsd && !darwin

package server

import "errors"

func loadAverage() (float64, error) { return 0, errors.New("the load is not known on this system") }
