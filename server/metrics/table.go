// Package metrics tells monitoring systems what the server counts, as Prometheus and
// OpenMetrics have it. The daemon hands over plain facts when it is asked; nothing
// here is on the way of a session.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portreeve/server/measure"
)

// Facts are what the daemon knows when somebody asks.
type Facts struct {
	Version     string
	Started     time.Time
	Draining    bool
	Reloaded    time.Time // when the configuration in force was read
	ReloadFault bool      // a newer one was refused

	Accepted, Refused int64 // connections
	Sessions          []measure.Count
	MaxSessions       int // 0: no limit
	PassivePorts      int // that wait
	MaxPassivePorts   int // 0: no limit
	PassiveRange      int
	Jobs, MaxJobs     int

	Commands      []measure.Sizes // in nanoseconds
	Replies       []measure.Count
	Logins        []measure.Count
	Transfers     []measure.Count
	Bytes         []measure.Count
	Rates         []measure.Sizes
	NoData        []measure.Count
	QuotaRefusals int64
	TopUsers      []measure.Share

	HashesWaiting          int64
	HashWaited, HashesTook measure.Buckets // in nanoseconds

	Handshakes       []measure.Count
	FailedHandshakes []measure.Count
	Certificates     []Certificate

	LogLost        map[string]int64 // by log
	NotesUploads   bool
	UploadsNoted   int64
	UploadsWaiting int64
	UploadsLost    int64
	UploadsRead    bool
}

// A Certificate is one that clients are shown.
type Certificate struct {
	File, Name string
	Expires    time.Time
}

// A Metric is one row of the table: what it is called and what it says.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string // a sentence

	tell func(f *Facts, m *teller)
}

// A Kind is what a number means.
type Kind int

// The kinds of metrics.
const (
	Counter   Kind = iota // rises, from 0 at the start of the daemon
	Gauge                 // is what it is now
	Histogram             // how many were how large
)

func (k Kind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// Table returns every metric of our own there is, in the order of its manual; those of
// the Go runtime and of the process come beside it.
func Table() []Metric {
	return []Metric{
		{"portreeve_build_info", Gauge, []string{"version", "goversion"}, "What runs; the value is always 1.", tellBuild},
		{"portreeve_start_time_seconds", Gauge, nil, "When the daemon started, in seconds since 1970.",
			gauge(func(f *Facts) float64 { return seconds(f.Started) })},
		{"portreeve_draining", Gauge, nil, "Whether the daemon is stopping: 1 while the last transfers end.",
			gauge(func(f *Facts) float64 { return truth(f.Draining) })},
		{"portreeve_config_last_reload_successful", Gauge, nil, "Whether the configuration that was read last is in force: 0 if it was refused.",
			gauge(func(f *Facts) float64 { return truth(!f.ReloadFault) })},
		{"portreeve_config_last_reload_success_timestamp_seconds", Gauge, nil, "When the configuration in force was read, in seconds since 1970.",
			gauge(func(f *Facts) float64 { return seconds(f.Reloaded) })},

		{"portreeve_connections_total", Counter, []string{"result"}, "Control connections, accepted or refused for a limit on their number.",
			counts(func(f *Facts) []measure.Count {
				return []measure.Count{{Labels: []string{"accepted"}, N: f.Accepted}, {Labels: []string{"refused"}, N: f.Refused}}
			})},
		{"portreeve_sessions", Gauge, []string{"state"}, "Sessions that are open, by what they do.", amounts(func(f *Facts) []measure.Count { return f.Sessions })},
		{"portreeve_sessions_limit", Gauge, nil, "Most sessions at a time, MaxClientsNumber; absent without a limit.", limit(func(f *Facts) int { return f.MaxSessions })},
		{"portreeve_passive_ports_waiting", Gauge, nil, "Passive ports that wait for their clients.", gauge(func(f *Facts) float64 { return float64(f.PassivePorts) })},
		{"portreeve_passive_ports_limit", Gauge, nil, "Most passive ports that may wait: the lower of MaxPassivePorts and the length of PassivePortRange.",
			limit(func(f *Facts) int { return lower(f.MaxPassivePorts, f.PassiveRange) })},
		{"portreeve_jobs", Gauge, nil, "Jobs that run, such as HASH and SITE COPY.", gauge(func(f *Facts) float64 { return float64(f.Jobs) })},
		{"portreeve_jobs_limit", Gauge, nil, "Most jobs at a time, MaxJobs.", limit(func(f *Facts) int { return f.MaxJobs })},

		{"portreeve_command_duration_seconds", Histogram, []string{"command"}, "Time from a command to its answer, or to the begin of its transfer, of commands that the server knows and somebody has said. That of PASS includes the delay after failures.",
			sizes(func(f *Facts) []measure.Sizes { return f.Commands }, nanoseconds)},
		{"portreeve_replies_total", Counter, []string{"class"}, "Replies by the first digit of their code.", counts(func(f *Facts) []measure.Count { return f.Replies })},
		{"portreeve_logins_total", Counter, []string{"result"}, "Logins: success; failure for a wrong name or password, or one who may not; refused where a good password found no place or no home; error where nobody could say.",
			counts(func(f *Facts) []measure.Count { return f.Logins })},
		{"portreeve_hash_queue_length", Gauge, nil, "Logins that wait for their password to be hashed.", gauge(func(f *Facts) float64 { return float64(f.HashesWaiting) })},
		{"portreeve_hash_wait_seconds", Histogram, nil, "Time that a password waited to be hashed.", histogram(func(f *Facts) measure.Buckets { return f.HashWaited }, nanoseconds)},
		{"portreeve_hash_duration_seconds", Histogram, nil, "Time that hashing a password took.", histogram(func(f *Facts) measure.Buckets { return f.HashesTook }, nanoseconds)},

		{"portreeve_transfers_total", Counter, []string{"direction", "outcome"}, "Transfers and jobs that have ended, and how: complete; unconfirmed for an upload that was kept though its client left without a word; aborted by the client; ended by the server; timeout; broken by the network; quota; no_connection where none was made; failed for the rest.",
			counts(func(f *Facts) []measure.Count { return f.Transfers })},
		{"portreeve_transfer_bytes_total", Counter, []string{"direction"}, "Bytes that went over data connections, counted as they move; those of jobs are what was read.",
			counts(func(f *Facts) []measure.Count { return f.Bytes })},
		{"portreeve_transfer_rate_bytes_per_second", Histogram, []string{"direction"}, "Rate of complete transfers of 64 KiB or more.",
			sizes(func(f *Facts) []measure.Sizes { return f.Rates }, 1)},
		{"portreeve_data_connection_failures_total", Counter, []string{"cause"}, "Data connections that were never made, by the likely cause.",
			counts(func(f *Facts) []measure.Count { return f.NoData })},
		{"portreeve_quota_refusals_total", Counter, nil, "Uploads and other commands that were refused or ended since a quota was met.",
			counts(func(f *Facts) []measure.Count { return []measure.Count{{N: f.QuotaRefusals}} })},
		{"portreeve_top_user_transfer_bytes", Gauge, []string{"vhost", "user"}, "At most how many bytes a user has moved, of as many users with most as MetricsTopUsers says. A transfer counts when it has ended.",
			top(func(s measure.Share) int64 { return s.Sum })},
		{"portreeve_top_user_transfer_bytes_error", Gauge, []string{"vhost", "user"}, "How many of these bytes may be other users'; 0 if it is exact.",
			top(func(s measure.Share) int64 { return s.Error })},

		{"portreeve_tls_handshakes_total", Counter, []string{"channel", "version"}, "TLS handshakes of control and data connections that went well.",
			counts(func(f *Facts) []measure.Count { return f.Handshakes })},
		{"portreeve_tls_handshake_failures_total", Counter, []string{"channel"}, "TLS handshakes that failed.", counts(func(f *Facts) []measure.Count { return f.FailedHandshakes })},
		{"portreeve_certificate_expiry_timestamp_seconds", Gauge, []string{"file", "name"}, "When a certificate that clients are shown expires, in seconds since 1970.", tellCertificates},

		{"portreeve_log_entries_lost_total", Counter, []string{"log"}, "Entries that a log could not keep; absent where nothing was lost.", tellLost},
		{"portreeve_uploads_noted_total", Counter, nil, "Uploads that were noted for the program of CallUploadScript; absent without it, as are the next three.",
			uploads(func(f *Facts) int64 { return f.UploadsNoted })},
		{"portreeve_uploads_waiting", Gauge, nil, "Uploads that the program was not told of yet.", uploads(func(f *Facts) int64 { return f.UploadsWaiting })},
		{"portreeve_uploads_lost_total", Counter, nil, "Uploads that could not be noted, and are never told.", uploads(func(f *Facts) int64 { return f.UploadsLost })},
		{"portreeve_uploads_reader", Gauge, nil, "Whether somebody is there who tells the program.", uploads(func(f *Facts) int64 { return int64(truth(f.UploadsRead)) })},
	}
}

// nanoseconds are in a second.
const nanoseconds = 1e9

func (k Kind) value() prometheus.ValueType {
	if k == Counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}
