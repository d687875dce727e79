package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// An Exporter answers scrapes.
type Exporter struct {
	handler http.Handler
}

// What scrapes may cost: each looks at every session once.
const (
	scrapesAtOnce = 8
	scrapeTime    = 20 * time.Second
)

// New makes an exporter of what facts returns, which is called for each scrape, by
// several goroutines at once. It tells of the process and the Go runtime, too.
func New(facts func() Facts, log *slog.Logger) *Exporter {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(facts), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Exporter{promhttp.HandlerFor(r, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: scrapesAtOnce,
		Timeout:             scrapeTime,
		ErrorHandling:       promhttp.ContinueOnError, // what can be told is
		ErrorLog:            complainer{log},
	})}
}

// ServeHTTP answers a scrape, as text or, if Accept wants that, as OpenMetrics.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// complainer is a log for package promhttp.
type complainer struct{ log *slog.Logger }

func (c complainer) Println(v ...any) { c.log.Error("telling metrics", "err", v) }

// A collector tells the rows of the table from one set of facts.
type collector struct {
	facts func() Facts
	rows  []row
}

type row struct {
	Metric
	desc *prometheus.Desc
}

func newCollector(facts func() Facts) *collector {
	c := &collector{facts: facts}
	for _, m := range Table() {
		c.rows = append(c.rows, row{m, prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)})
	}
	return c
}

// Describe is for package prometheus.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, r := range c.rows {
		to <- r.desc
	}
}

// Collect is for package prometheus.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	f := c.facts()
	for _, r := range c.rows {
		r.tell(&f, &teller{r.Kind, r.desc, to})
	}
}
