package page

import (
	"math"
	"time"

	"portreeve/stats"
)

// zone is one with a summer time, so that a clock that is shown wrong is seen.
var zone = time.FixedZone("CEST", 2*3600)

func at(day, hour, minute int) stats.Stamp {
	return stats.Stamp{Time: time.Date(2026, time.June, day, hour, minute, 0, 0, zone)}
}

func sum(n int64) stats.Sum {
	return stats.Sum{Up: n, Down: 2 * n, Deleted: n / 10, Incomplete: n / 8, In: n * 700_000, Out: n * 2_300_000, Seconds: float64(n) * 3.5, Last: at(int(n%28)+1, 17, 3)}
}

func sampleTable(name, title string, ordered bool, keys ...string) stats.Table {
	t := stats.Table{Name: name, Title: title, Keys: int64(len(keys)), Ordered: ordered}
	for i, key := range keys {
		s := sum(int64(400 / (i + 1)))
		if ordered {
			s = sum(int64(200 + 150*math.Sin(float64(i))))
		}
		before := sum(int64(300 / (i + 2)))
		t.Rows = append(t.Rows, stats.Row{Key: key, Sum: s, OfCount: 0.4 / float64(i+1), OfBytes: 0.5 / float64(i+1), Before: &before})
	}
	return t
}

// sample is a report with something in everything.
func sample() *stats.Report {
	var days []string
	for i := range 60 {
		if i%7 != 6 {
			days = append(days, time.Date(2026, time.May, 1+i, 0, 0, 0, 0, zone).Format(time.DateOnly))
		}
	}
	before := sum(9000)
	r := &stats.Report{
		Made: at(30, 6, 15), Zone: "Europe/Berlin", From: stats.Stamp{Time: time.Date(2026, time.May, 1, 0, 1, 0, 0, zone)}, To: at(29, 22, 40),
		Filters: "user alice*, at least 1 KiB", Against: "1 March to 30 April 2026",
		Read:  stats.Read{Files: 3, Bytes: 52_428_800, Lines: 412_880, Entries: 412_700, Bad: 12, TooLong: 3, Ambiguous: 41, Left: 900, Took: 0.41},
		Total: sum(10_000), Before: &before, Users: 211, Hosts: 340, Files: 9_021, Capped: true,
		Tables: []stats.Table{
			sampleTable("user", "Users", false, "alice", "build-farm", "bob", "chiara", "design", "editor", "farid", "greta", "hanna", "ivan", "jonas", "kenji", "lena"),
			sampleTable("host", "Hosts", false, "192.0.2.10", "2001:db8::5", "198.51.100.7"),
			sampleTable("network", "Networks", false, "192.0.2.0/24", "2001:db8::/64"),
			sampleTable("domain", "Domains", false, "example.com", "example.net"),
			sampleTable("directory", "Directories", false, "/incoming", "/pub", "/backup/daily", "/video"),
			sampleTable("file", "Files", false, "/pub/disk image.iso", "/incoming/été.pdf", "/backup/daily/db.sql.gz"),
			sampleTable("extension", "Kinds of file", false, ".iso", ".pdf", ".gz"),
			sampleTable("hour", "Hours of the day", true, "08", "09", "10"),
			sampleTable("weekday", "Days of the week", true, "1 Monday", "2 Tuesday"),
			sampleTable("day", "Days", true, days...),
			sampleTable("week", "Weeks", true, "2026-W22", "2026-W23"),
			sampleTable("month", "Months", true, "2026-05", "2026-06"),
			sampleTable("direction", "Directions", false, "download", "upload", "delete"),
			sampleTable("outcome", "Outcomes", false, "complete", "incomplete"),
			sampleTable("protocol", "Protocols", false, "ftps TLSv1.3", "ftp"),
			sampleTable("client", "Clients", false, "FileZilla", "lftp/4.9.2", "WinSCP", "curl", "ncftp", "wget", "yafc"),
			sampleTable("user,day", "Users and Days", false, "alice", "bob"),
		},
		Sizes:       distributionOf(1024, 4, "", 300, 2_000, 9_000, 12_000, 5_000, 600, 0),
		Rates:       distributionOf(65_536, 2, "complete transfers of at least 5 seconds", 40, 900, 4_000, 2_500, 80, 0),
		Concurrency: stats.Concurrency{Most: 19, At: at(3, 14, 2), Step: 21_600, Note: "transfers at once, a second more or less"},
		Failures:    stats.Failures{Count: 1250, Wasted: 9_876_543_210, Retried: 700, Mended: 655},
		Logins: stats.Logins{Good: 8_000, Failed: 440, Unknown: 390,
			Hosts:  []stats.LoginRow{{Key: "203.0.113.9", Good: 0, Failed: 400, Last: at(12, 3, 59)}, {Key: "192.0.2.10", Good: 900, Failed: 7, Last: at(14, 9, 0)}},
			Users:  []stats.LoginRow{{Key: "alice", Good: 900, Failed: 50, Last: at(14, 9, 0)}},
			Names:  []stats.LoginRow{{Key: "root", Failed: 390, Unknown: 390, Last: at(12, 3, 59)}},
			Bursts: []stats.Burst{{Host: "203.0.113.9", From: at(12, 3, 40), To: at(12, 3, 59), Count: 398}}},
		Forecasts: []stats.Forecast{
			{User: "alice", Used: 80 << 30, Limit: 100 << 30, Growth: 1.3 * (1 << 30), Least: 12.2, Most: 19.6},
			{User: "build-farm", Used: 10 << 30, Limit: 500 << 30, Growth: 1 << 30, Least: 300, Most: 0},
		},
		Unusual: []stats.Finding{
			{Rule: "volume", User: "alice", At: at(29, 0, 0), Text: "alice moved 31.0 GiB on 2026-06-29; on no day of the 60 before was it more than 8.1 GiB", More: 2},
			{Rule: "silent", User: "sensor-7", At: at(26, 0, 0), Text: "sensor-7 delivered on 28 of 28 days, and nothing since 2026-06-26"},
		},
	}
	r.Sessions = stats.Sessions{Count: 5_120, Lengths: distributionOf(15, 4, "", 800, 1_900, 2_000, 400, 20, 0), Transfers: 6.1, Bytes: 5_300_000, Idle: 0.62}
	r.Durations = stats.Distribution{Counted: 29_000, Left: 3, Note: "transfers that tell how long", P50: 1.2, P90: 14, P95: 40, P99: 310, Most: 7_300, Mean: 5.25}
	user := r.Table("user")
	user.Keys, user.Folded, user.Rows[2].Missing = 211, 55, 4
	user.Other = &stats.Row{Sum: sum(3_000), OfCount: 0.2, OfBytes: 0.15}
	crossed := r.Table("user,day")
	crossed.Rows[0].Also, crossed.Rows[1].Also = "2026-06-02", "2026-06-03"
	for d := range r.Heat {
		for h := range r.Heat[d] {
			if d < 5 || h > 8 {
				r.Heat[d][h] = sum(int64(20 + 18*math.Sin(float64(h-6)/24*2*math.Pi)))
			}
		}
	}
	for i := range 56 {
		r.Concurrency.Points = append(r.Concurrency.Points, stats.Point{At: at(1+i/4, i%4*6, 0), Most: int64(10 + 9*math.Sin(float64(i))), Mean: 1.5 + math.Cos(float64(i))})
	}
	return r
}

// distributionOf has classes from a bound on, each so many times the one before; the
// last has no bound.
func distributionOf(first, factor float64, note string, counts ...int64) stats.Distribution {
	d := stats.Distribution{Left: 77, Note: note, P50: first * 3, P90: first * 9, P95: first * 11, P99: first * 20, Most: first * 100, Mean: first * 4.5}
	for i, n := range counts {
		b := stats.Bucket{Below: first * math.Pow(factor, float64(i)), Count: n, Bytes: n * int64(first)}
		if i == len(counts)-1 {
			b.Below = 0
		}
		d.Counted += n
		d.Classes = append(d.Classes, b)
	}
	return d
}
