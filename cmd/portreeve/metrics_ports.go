package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"portreeve/server"
	"portreeve/server/metrics"
)

// metricsPorts are the addresses of MetricsListen, where metrics are told over HTTP.
type metricsPorts struct {
	exporter *metrics.Exporter
	log      *slog.Logger

	mu   sync.Mutex // guards open
	open map[server.Endpoint]*metricsPort
	all  sync.WaitGroup
}

// A metricsPort is one that answers until stop is called.
type metricsPort struct {
	listener net.Listener
	stop     context.CancelFunc
}

// openMetrics begins to tell metrics at the addresses of the configuration.
func (d *daemon) openMetrics(ctx context.Context, cfg server.Config) error {
	d.metrics = &metricsPorts{exporter: metrics.New(d.facts, d.log), log: d.log}
	use, err := d.metrics.prepare(ctx, cfg.MetricsListen)
	if err != nil {
		return err // the hints for a port of FTP are none here
	}
	use(true)
	return nil
}

// prepare opens the ports that are wanted and not open yet: all of them, or none. What
// it returns puts them in force and closes the others, or else gives them up.
func (m *metricsPorts) prepare(ctx context.Context, want []server.Endpoint) (use func(bool), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[server.Endpoint]*metricsPort)
	var fresh []*metricsPort
	giveUp := func() {
		for _, p := range fresh {
			p.listener.Close()
		}
	}
	for _, e := range want {
		if wanted[e] != nil {
			continue
		}
		p := m.open[e]
		if p == nil {
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", e.String())
			if err != nil {
				giveUp()
				return nil, fmt.Errorf("MetricsListen: listening at %s: %w", e, err)
			}
			p = &metricsPort{listener: l}
			fresh = append(fresh, p)
		}
		wanted[e] = p
	}
	return func(take bool) {
		if !take {
			giveUp()
			return
		}
		for _, p := range fresh {
			m.start(p)
		}
		m.put(wanted)
	}, nil
}

// start has a port answer.
func (m *metricsPorts) start(p *metricsPort) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	m.log.Info("metrics", "addr", p.listener.Addr().String())
	m.all.Go(func() {
		if err := m.exporter.Serve(ctx, p.listener, m.log); err != nil {
			m.log.Error("metrics are not told any more", "addr", p.listener.Addr().String(), "err", err)
		}
	})
}

// put makes those wanted the ones that are open.
func (m *metricsPorts) put(wanted map[server.Endpoint]*metricsPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e, p := range m.open {
		if wanted[e] == nil {
			p.stop()
			m.log.Info("metrics no more", "addr", p.listener.Addr().String())
		}
	}
	m.open = wanted
}

// close ends all of them; scrapes under way have a moment.
func (m *metricsPorts) close() {
	m.put(nil)
	m.all.Wait()
}
