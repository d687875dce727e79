package control

import (
	"context"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	"portreeve/server/cert"
	"portreeve/server/session"
)

// Status is what the daemon is and how it fares.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Uptime  int64     `json:"uptime"` // seconds

	// Told by the daemon; Started, too
	Listen   []string `json:"listen"`
	Draining bool     `json:"draining"` // shutting down: no new sessions, old ones end
	Config   string   `json:"config"`   // file, "" if none
	UserDB   string   `json:"user_db"`

	Certificates []cert.Info `json:"certificates"` // that clients are shown, in the order of the configuration

	Limits session.Limits `json:"limits"`
	Totals session.Totals `json:"totals"`

	// TLSData is how protected data connections showed whose they are, by client.
	TLSData []session.Software `json:"tls_data"`

	NoData map[string]int64 `json:"no_data"` // data connections that were never made, by likely cause

	Lost map[string]int64 `json:"lost"` // lines that a log could not keep, by log

	Uploads *Uploads `json:"uploads,omitempty"` // that a program is told of; nil if none is

	Goroutines int   `json:"goroutines"`
	Memory     int64 `json:"memory"` // bytes the runtime holds from the system
}

// Uploads are those that a program is told of, by another process than the daemon.
type Uploads struct {
	Spool   string `json:"spool"`
	Waiting int64  `json:"waiting"` // not told yet
	Lost    int64  `json:"lost"`    // could not be written down since the start, and are never told
	Read    bool   `json:"read"`    // somebody is there who tells it
}

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var st Status
	if s.Status != nil {
		st = s.Status()
	}
	st.Version, st.PID = s.Version, os.Getpid()
	if !st.Started.IsZero() {
		st.Uptime = int64(time.Since(st.Started).Seconds())
	}
	// Lists, not null, for those who loop over them.
	st.Listen = append([]string{}, st.Listen...)
	if st.NoData == nil {
		st.NoData = map[string]int64{}
	}
	if st.Lost == nil {
		st.Lost = map[string]int64{}
	}
	st.Certificates = append([]cert.Info{}, st.Certificates...)
	st.TLSData = append([]session.Software{}, s.Sessions.Software()...)
	st.Limits, st.Totals = s.Sessions.Limits(), s.Sessions.Totals()
	st.Goroutines, st.Memory = runtime.NumGoroutine(), memory()
	writeJSON(w, http.StatusOK, st)
	return nil
}

// memory asks for what the runtime has mapped and not given back. Unlike
// runtime.ReadMemStats it does not stop the world.
func memory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// Status asks how the daemon fares.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// getMetrics is beside /v1, where those look for it who collect metrics.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	if s.Metrics == nil {
		return fail(http.StatusNotImplemented, "this daemon tells no metrics")
	}
	s.Metrics.ServeHTTP(w, r)
	return nil
}

// Metrics asks for what the daemon counts, as Prometheus reads it.
func (c *Client) Metrics(ctx context.Context) (text string, err error) {
	err = c.ask(ctx, http.MethodGet, "/metrics", nil, func(r io.Reader) error {
		all, err := io.ReadAll(r)
		text = string(all)
		return err
	})
	return text, err
}

// Reloaded is what a reload did.
type Reloaded struct {
	Changed []string `json:"changed"` // directives now in force
	Restart []string `json:"restart"` // directives that changed and take effect at the next start
}

func (s *Server) postReload(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if s.Reload == nil {
		return fail(http.StatusNotImplemented, "this daemon cannot reload")
	}
	done, err := s.Reload(r.Context())
	if err != nil {
		f := fail(http.StatusUnprocessableEntity, "the configuration was refused and nothing has changed")
		f.complaints = complaints(err)
		return f
	}
	done.Changed = append([]string{}, done.Changed...)
	done.Restart = append([]string{}, done.Restart...)
	writeJSON(w, http.StatusOK, done)
	return nil
}

// complaints takes joined errors apart, a line each.
func complaints(err error) []string {
	var all []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// Reload makes the daemon read its configuration again. A *RefusedError has what
// was wrong with it; then nothing has changed.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return call[Reloaded](ctx, c, http.MethodPost, "/v1/reload", nil)
}

// A RefusedError is a configuration that the daemon would not take.
type RefusedError struct{ Complaints []string }

func (e *RefusedError) Error() string {
	return "the configuration was refused and nothing has changed: " + strings.Join(e.Complaints, "; ")
}
