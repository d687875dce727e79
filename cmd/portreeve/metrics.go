package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"portreeve/server/metrics"
)

type metricsOptions struct{ socket string }

func newMetrics(e *env) *cobra.Command {
	var opts metricsOptions
	cmd := &cobra.Command{
		Use:   "metrics [WORD...]",
		Short: "Print what the daemon counts, as Prometheus reads it",
		Long: `Metrics prints the daemon's counters and histograms in the text format of
Prometheus; with words, those whose names have one of them. It is what
GET /metrics answers on the control socket, and at the addresses of
MetricsListen, where Prometheus and others can fetch it:

  MetricsListen 127.0.0.1,9121

portreeve-metrics(8) explains each of them. docs/grafana.json is a dashboard for
Grafana, and docs/alerts.yml has rules for Prometheus to begin with; both are
installed in share/portreeve.

` + exitStatusHelp,
		Example: `  portreeve metrics
  portreeve metrics logins sessions
  curl --unix-socket /run/portreeve/portreeve.sock http://localhost/metrics`,
	}
	addSocketFlag(e, cmd.Flags(), &opts.socket)
	cmd.RunE = func(cmd *cobra.Command, words []string) error { return runMetrics(cmd.Context(), e, opts, words) }
	return cmd
}

func runMetrics(ctx context.Context, e *env, opts metricsOptions, words []string) error {
	client := e.client(opts.socket)
	defer client.Close()
	text, err := client.Metrics(ctx)
	if err != nil {
		return daemonError(err)
	}
	chosen := chooseMetrics(text, words)
	if chosen == "" && len(words) > 0 {
		return withHint(fmt.Errorf("no metric has %s in its name", strings.Join(words, " or ")), "portreeve metrics prints all of them")
	}
	_, err = io.WriteString(e.out, chosen)
	return err
}

// chooseMetrics returns the lines of those metrics that have one of some words in their
// names, or all.
func chooseMetrics(text string, words []string) string {
	if len(words) == 0 {
		return text
	}
	var b strings.Builder
	chosen := false
	for line := range strings.Lines(text) {
		if about, ok := strings.CutPrefix(line, "# HELP "); ok { // the first line of each
			name, _, _ := strings.Cut(about, " ")
			chosen = false
			for _, word := range words {
				chosen = chosen || strings.Contains(name, strings.ToLower(word))
			}
		}
		if chosen {
			b.WriteString(line)
		}
	}
	return b.String()
}

// facts are what the daemon knows now, for metrics.
func (d *daemon) facts() metrics.Facts {
	cfg, m, load := d.ftp.Config(), d.ftp.Measured(), d.auth.Load()
	accepted, refused := d.ftp.Sessions.Admissions() // and not Totals, which looks at all sessions under one lock
	f := metrics.Facts{
		Version: version(), Started: d.started, Draining: d.ftp.Draining(), Reloaded: *d.loaded.Load(), ReloadFault: d.refused.Load(),
		Accepted: accepted, Refused: refused, Sessions: m.Sessions, MaxSessions: cfg.MaxClients,
		PassivePorts: m.PassivePorts, MaxPassivePorts: cfg.PassiveLimits.All,
		PassiveRange: int(cfg.PassivePorts.Last) - int(cfg.PassivePorts.First) + 1,
		Jobs:         m.Jobs, MaxJobs: cfg.MaxJobs.All,
		Commands: m.Commands, Replies: m.Replies, Logins: m.Logins, Transfers: m.Transfers, Bytes: m.Bytes, Rates: m.Rates,
		NoData: m.NoData, QuotaRefusals: m.QuotaRefusals, TopUsers: m.TopUsers,
		HashesWaiting: load.Waiting, HashWaited: load.Waited, HashesTook: load.Took,
		Handshakes: m.Handshakes, FailedHandshakes: m.FailedHandshakes, LogLost: d.lost(),
	}
	for _, c := range d.certs.Infos() {
		if c.Usable() {
			name := ""
			if len(c.Names) > 0 {
				name = c.Names[0]
			}
			f.Certificates = append(f.Certificates, metrics.Certificate{File: c.File, Name: name, Expires: c.NotAfter})
		}
	}
	if d.ftp.Uploads != nil {
		st := d.ftp.Uploads.State()
		f.NotesUploads, f.UploadsNoted, f.UploadsWaiting, f.UploadsLost, f.UploadsRead = true, st.Noted, st.Waiting, st.Lost, st.Read
	}
	return f
}
