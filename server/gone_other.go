//go:build !unix

package server

import (
	"net"
	"time"
)

func peek(net.Conn, time.Duration) ([]byte, bool) { return nil, false }
