package stats

import "time"

// A Sum is what some entries amount to.
type Sum struct {
	Up         int64   `json:"uploads"`
	Down       int64   `json:"downloads"`
	Deleted    int64   `json:"deletes"`
	Incomplete int64   `json:"incomplete"` // of the uploads and downloads
	In         int64   `json:"bytes_in"`
	Out        int64   `json:"bytes_out"`
	Seconds    float64 `json:"seconds"` // that uploads and downloads took
	Last       Stamp   `json:"last"`    // of the newest
}

// Count is the number of entries.
func (s Sum) Count() int64 { return s.Up + s.Down + s.Deleted }

// Bytes is what was moved in both directions.
func (s Sum) Bytes() int64 { return s.In + s.Out }

// A Stamp is a second as Unix counts, which is written as RFC 3339 has it, in the
// zone of the report; 0 is none.
type Stamp struct{ time.Time }

// A Row is what the entries of one key amount to.
type Row struct {
	Key  string `json:"key"`            // bytes of any kind
	Also string `json:"also,omitempty"` // of two dimensions that are crossed, the second key
	Sum
	OfCount float64 `json:"share_of_count"` // of all entries of the report, 0 to 1
	OfBytes float64 `json:"share_of_bytes"`
	// Missing is how many of its entries, at most, were folded into others, since
	// there were more keys than are kept.
	Missing int64 `json:"missing,omitempty"`
	Before  *Sum  `json:"before,omitempty"` // in the period that this one is compared with
}

// A Table is a report by one dimension, or by two crossed.
type Table struct {
	Name  string `json:"name"`  // that --by takes, as in user or user,day
	Title string `json:"title"` // for people
	Keys  int64  `json:"keys"`  // that there are, at least
	Rows  []Row  `json:"rows"`  // best first, or in order where the keys have one
	Other *Row   `json:"other"` // all that are not among them, so that the sums hold; nil: none
	// Ordered tells that rows are in the order of their keys, as days are.
	Ordered bool `json:"ordered"`
	// Folded is how many entries are only in Other, because there were more keys
	// than are kept.
	Folded int64 `json:"folded,omitempty"`
}

// A Report is all that was asked for.
type Report struct {
	Made    Stamp  `json:"made"`
	Zone    string `json:"zone"`
	From    Stamp  `json:"from"` // of the first entry
	To      Stamp  `json:"to"`   // and of the last
	Filters string `json:"filters,omitempty"`
	Against string `json:"against,omitempty"` // the period that it is compared with, in words

	Read   Read  `json:"read"`
	Total  Sum   `json:"total"`
	Before *Sum  `json:"before,omitempty"` // the total of the other period
	Users  int64 `json:"users"`            // distinct; of these and the next at least so many if Capped
	Hosts  int64 `json:"hosts"`
	Files  int64 `json:"files"`
	Capped bool  `json:"capped"`

	Tables      []Table      `json:"tables"`
	Sizes       Distribution `json:"sizes"`     // of files moved, in bytes
	Rates       Distribution `json:"rates"`     // of those that tell one, in bytes a second
	Durations   Distribution `json:"durations"` // in seconds
	Heat        [7][24]Sum   `json:"heat"`      // by weekday, Monday first, and hour
	Concurrency Concurrency  `json:"concurrency"`
	Failures    Failures     `json:"failures"`
	Sessions    Sessions     `json:"sessions"`
	Logins      Logins       `json:"logins"`
	Forecasts   []Forecast   `json:"forecasts"`
	Unusual     []Finding    `json:"unusual"`
}

// Read tells what was read.
type Read struct {
	Files     int64 `json:"files"`
	Bytes     int64 `json:"bytes"`
	Lines     int64 `json:"lines"`
	Entries   int64 `json:"entries"`
	Bad       int64 `json:"bad"`
	TooLong   int64 `json:"too_long"`
	Ambiguous int64 `json:"ambiguous"`
	Left      int64 `json:"left_out"` // by the filters
	// Forgotten is how often rules, logins, sessions or the curve of what went on at
	// once had no room to remember something: what they tell may lack it.
	Forgotten int64 `json:"forgotten,omitempty"`
	// Took is how long it took, in seconds.
	Took float64 `json:"took"`
}

// A Distribution tells how values are spread. Percentiles are within one per cent.
type Distribution struct {
	Counted int64    `json:"counted"`
	Left    int64    `json:"left_out"` // that tell no value
	Note    string   `json:"note,omitempty"`
	P50     float64  `json:"p50"`
	P90     float64  `json:"p90"`
	P95     float64  `json:"p95"`
	P99     float64  `json:"p99"`
	Most    float64  `json:"most"`
	Mean    float64  `json:"mean"` // of rates: all bytes over all seconds
	Classes []Bucket `json:"classes"`
}

// A Bucket is a class of values.
type Bucket struct {
	Below float64 `json:"below"` // its upper bound, not in it; 0: none
	Count int64   `json:"count"`
	Bytes int64   `json:"bytes"`
}

// Concurrency tells how many transfers there were at once.
type Concurrency struct {
	Most   int64   `json:"most"`
	At     Stamp   `json:"at"`   // the first time
	Step   int     `json:"step"` // seconds from one point to the next
	Points []Point `json:"points"`
	Note   string  `json:"note"` // how exact that is
}

// A Point is the most and the mean of a step.
type Point struct {
	At   Stamp   `json:"at"`
	Most int64   `json:"most"`
	Mean float64 `json:"mean"`
}

// Failures tell of transfers that did not come to their end.
type Failures struct {
	Count   int64 `json:"count"`
	Wasted  int64 `json:"bytes_wasted"`
	Retried int64 `json:"retried"`   // by the same user and host, the same file, within ten minutes
	Mended  int64 `json:"completed"` // of these, in the end
}

// Sessions tell of sessions, where the log does.
type Sessions struct {
	Count     int64        `json:"count"`
	Lengths   Distribution `json:"lengths"` // in seconds
	Transfers float64      `json:"transfers"`
	Bytes     float64      `json:"bytes"`
	Idle      float64      `json:"idle"` // share of their time, 0 to 1
}

// Logins tell who got in, where the log does.
type Logins struct {
	Good   int64 `json:"good"`
	Failed int64 `json:"failed"`
	// Unknown is how many of the failed were as somebody who does not exist, as far
	// as the log tells why.
	Unknown int64      `json:"unknown"`
	Hosts   []LoginRow `json:"hosts"`         // with the most failures
	Users   []LoginRow `json:"users"`         // who failed, not being unknown
	Names   []LoginRow `json:"unknown_names"` // that were tried, and nobody has
	Bursts  []Burst    `json:"bursts"`
}

// A LoginRow counts the logins of one key.
type LoginRow struct {
	Key     string `json:"key"`
	Good    int64  `json:"good"`
	Failed  int64  `json:"failed"`  // as the list counts them
	Unknown int64  `json:"unknown"` // failures as somebody who does not exist
	Last    Stamp  `json:"last"`    // failure
}

// A Burst is at least five failures from one host within a minute.
type Burst struct {
	Host  string `json:"host"`
	From  Stamp  `json:"from"`
	To    Stamp  `json:"to"`
	Count int64  `json:"count"`
}

// A Forecast tells when a user's quota will be full, if the last four weeks go on.
type Forecast struct {
	User   string  `json:"user"`
	Used   int64   `json:"used"`
	Limit  int64   `json:"limit"`
	Growth float64 `json:"growth"` // bytes a day, the median of slopes
	Least  float64 `json:"least"`  // days until it is full, at the faster quartile of slopes
	Most   float64 `json:"most"`   // and at the slower; 0: never
}

// A Finding is something unusual, in words.
type Finding struct {
	Rule string `json:"rule"` // its name in Rules
	User string `json:"user"`
	At   Stamp  `json:"at"`
	Text string `json:"text"`           // a sentence, with names as they are
	More int    `json:"more,omitempty"` // findings of the rule that are not told
}
