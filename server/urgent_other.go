//go:build !unix

package server

import "net"

func inlineUrgent(net.Conn) {}
