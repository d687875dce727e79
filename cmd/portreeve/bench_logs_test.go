//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
)

const (
	knownLines = 990_000
	freshLines = 10_000
)

// BenchmarkAnalysers has programs read the same log, one after the other in turns,
// and prints a table: processor time of the user and the system together, the most
// memory, and the time that passed. Each makes all the reports that it has. Then each
// goes on where it was when the log was a hundredth shorter, in the way it has for that.
func BenchmarkAnalysers(b *testing.B) {
	race := logRace{B: b, dir: b.TempDir(), rounds: 5, all: analysers(b)}
	if asked, _ := strconv.Atoi(os.Getenv("PORTREEVE_BENCH_ROUNDS")); asked > 0 {
		race.rounds = asked
	}
	race.log, race.fresh = filepath.Join(race.dir, "xferlog"), filepath.Join(race.dir, "xferlog.fresh")
	race.writeLogs("xferlog")
	var out report
	b.Run("a million lines", func(b *testing.B) {
		race.B = b
		out = append(out, race.whole()...)
		b.ReportMetric(0, "ns/op")
	})
	b.Run("new lines", func(b *testing.B) {
		race.B = b
		out = append(out, race.further()...)
		b.ReportMetric(0, "ns/op")
	})
	fmt.Println(out.table(race.columns()))
	if path := os.Getenv("PORTREEVE_BENCH_JSON"); path != "" {
		data, err := json.MarshalIndent(out, "", "\t")
		if err != nil {
			b.Fatal(err)
		}
		writeFile(b, path, append(data, '\n'))
	}
}

// A logRace is what the programs compete in.
type logRace struct {
	*testing.B
	dir    string
	log    string // all lines but the fresh ones, and in the end these too
	fresh  string // these alone
	rounds int
	all    []analyser

	deletes int // lines of them
}

// An analyser is a program that makes statistics of a log.
type analyser struct {
	name string
	ours bool
	env  []string // beside that of the tests
	// whole is the command line that reads a log, with a folder of its own to write to.
	whole func(t testing.TB, dir, log string) []string
	// further is the one that keeps what it knows in the folder, or goes on from there:
	// with the log as it has grown, or what is new of it.
	further func(t testing.TB, dir, log, fresh string) []string
	// counted is how many lines it says that it has counted; it sees what was printed.
	counted func(dir string, printed []byte) (int, error)
	drops   bool // lines of deletes
}

// analysers are ours, and those of the others that are installed.
func analysers(b *testing.B) []analyser {
	b.Helper()
	one := analyser{name: "portreeve, one core", ours: true, env: []string{"GOMAXPROCS=1"}, counted: countedByUs,
		whole: func(t testing.TB, _, log string) []string {
			return []string{built.path(t), "stats", "--json", log}
		},
		further: func(t testing.TB, dir, log, _ string) []string {
			return []string{built.path(t), "stats", "--json", "--state", filepath.Join(dir, "state"), log}
		}}
	every := one
	every.name, every.env = "all cores", nil
	all := []analyser{one, every}
	for _, a := range []analyser{
		{name: "webalizer", whole: webalizer, further: webalizerFurther, counted: countedByWebalizer},
		{name: "goaccess", whole: goaccess, further: goaccessFurther, counted: countedByGoAccess},
		{name: "awstats", whole: awstats, further: awstatsFurther, counted: countedByAWStats, drops: true},
	} {
		program := a.whole(b, b.TempDir(), os.DevNull)[0]
		if _, err := exec.LookPath(program); err != nil {
			b.Logf("%s is left out (make bench-logs installs it): %v", a.name, err)
			continue
		}
		all = append(all, a)
	}
	return all
}

// writeLogs makes both logs, in a format.
func (r *logRace) writeLogs(format string) {
	r.Helper()
	f, ok := logparse.Find(format)
	if !ok {
		r.Fatal("no format ", format)
	}
	var line []byte
	made := 0
	known, fresh := r.create(r.log), r.create(r.fresh)
	for e := range logtest.New(knownLines + freshLines).Entries() {
		to := known
		if made++; made > knownLines {
			to = fresh
		}
		if e.Event == logparse.Delete {
			r.deletes++
		}
		line = f.AppendEntry(line[:0], e)
		if _, err := to.Write(line); err != nil {
			r.Fatal(err)
		}
	}
	if err := cmp.Or(known.Flush(), fresh.Flush()); err != nil {
		r.Fatal(err)
	}
}

func (r *logRace) create(path string) *bufio.Writer {
	r.Helper()
	file, err := os.Create(path)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { file.Close() })
	return bufio.NewWriterSize(file, 1<<20)
}

// columns are those of the table; ours is first.
func (r *logRace) columns() []*contestant {
	var all []*contestant
	for i, a := range r.all {
		c := &contestant{name: a.name}
		if a.ours && i > 0 { // not to be compared with
			c.site = new(site)
		}
		all = append(all, c)
	}
	return all
}

// whole reads the whole log. The others have one kind of output each; ours is JSON
// beside them, and then the kinds for people.
func (r *logRace) whole() report {
	r.grow()
	out := r.compete("1,000,000 lines", []measure{
		{name: "CPU, s", less: true, bar: 7, against: "webalizer"},
		{name: "CPU, s", less: true, bar: 16, against: "goaccess"},
		{name: "CPU, s", less: true, bar: 30, against: "awstats"},
		{name: "memory, MiB", less: true, limit: 64},
		{name: "time passed, s", less: true},
	}, r.all, func(a analyser) row {
		dir := r.TempDir()
		defer os.RemoveAll(dir)
		printed, c := r.run(a, dir, a.whole(r, dir, r.log))
		r.check(a, dir, printed)
		return row{c.cpu, c.cpu, c.cpu, c.memory, c.wall}
	})
	var ours []analyser
	for _, a := range r.all {
		if a.ours {
			ours = append(ours, a)
		}
	}
	for _, kind := range [][]string{{"text"}, {"CSV", "--csv"}, {"HTML", "--html", "report.html"}} {
		out = append(out, r.compete("... as "+kind[0], []measure{{name: "CPU, s", less: true}, {name: "memory, MiB", less: true, limit: 64}}, ours, func(a analyser) row {
			printed, c := r.run(a, r.dir, append([]string{built.path(r), "stats", r.log}, kind[1:]...))
			if len(printed) == 0 && len(kind) < 3 {
				r.Errorf("%s says nothing", kind[0])
			}
			return row{c.cpu, c.memory}
		})...)
	}
	return out
}

// further lets each know the log without its last lines, and then measures those.
func (r *logRace) further() report {
	r.shrink()
	known := make(map[string]string)
	for _, a := range r.all {
		known[a.name] = r.TempDir()
		r.run(a, known[a.name], a.further(r, known[a.name], r.log, r.log))
	}
	r.grow()
	return r.compete("10,000 lines more", []measure{
		{name: "CPU, s", less: true, limit: .05},
		{name: "memory, MiB", less: true},
		{name: "time passed, s", less: true},
	}, r.all, func(a analyser) row {
		dir := r.TempDir()
		defer os.RemoveAll(dir)
		if err := os.CopyFS(dir, os.DirFS(known[a.name])); err != nil {
			r.Fatal(err)
		}
		printed, c := r.run(a, dir, a.further(r, dir, r.log, r.fresh))
		r.check(a, dir, printed)
		return row{c.cpu, c.memory, c.wall}
	})
}

// grow adds the fresh lines to the log, and shrink takes them away; it stays the
// same file.
func (r *logRace) grow() {
	fresh, err := os.ReadFile(r.fresh)
	if err != nil {
		r.Fatal(err)
	}
	log, err := os.OpenFile(r.log, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		r.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Write(fresh); err != nil {
		r.Fatal(err)
	}
}

func (r *logRace) shrink() {
	log, err := os.Stat(r.log)
	fresh, err2 := os.Stat(r.fresh)
	if err := cmp.Or(err, err2); err != nil {
		r.Fatal(err)
	}
	if err := os.Truncate(r.log, log.Size()-fresh.Size()); err != nil {
		r.Fatal(err)
	}
}

// compete has each do it, in turns.
func (r *logRace) compete(name string, measures []measure, all []analyser, do func(analyser) row) report {
	out := make(report, len(measures))
	for i, m := range measures {
		out[i] = &result{Trial: name, Measure: m.name, Less: m.less, Bar: m.bar, against: m.against, Limit: m.limit, Values: make(map[string][]float64)}
	}
	for round := range r.rounds {
		for i := range all {
			a := all[(i+round)%len(all)]
			values := do(a)
			for i := range out {
				out[i].Values[a.name] = append(out[i].Values[a.name], values[i])
			}
		}
	}
	for _, result := range out {
		result.judge(r.columns())
	}
	return out
}

// A cost is what a program took.
type cost struct{ cpu, wall, memory float64 }

// run runs a program. GNU time stands between, since the most memory of a process
// that this one starts is at least what this one has.
func (r *logRace) run(a analyser, dir string, args []string) (printed []byte, c cost) {
	r.Helper()
	var out, complaints bytes.Buffer
	figures := filepath.Join(r.TempDir(), "time")
	cmd := exec.Command("time", append([]string{"-f", "%e %M", "-o", figures, "--"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &complaints
	cmd.Env = append(append(os.Environ(), "TZ=UTC"), a.env...)
	if err := cmd.Run(); err != nil {
		r.Fatalf("%s: %v\n%s%s", a.name, err, out.Bytes(), complaints.Bytes())
	}
	text, err := os.ReadFile(figures)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &c.wall, &c.memory); err != nil {
		r.Fatalf("time says %q", text)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	c.cpu = float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
	c.memory /= 1 << 10
	return out.Bytes(), c
}

// check makes sure that a program did what it was measured at.
func (r *logRace) check(a analyser, dir string, printed []byte) {
	r.Helper()
	want := knownLines + freshLines
	if a.drops {
		want -= r.deletes
	}
	if n, err := a.counted(dir, printed); err != nil || n != want {
		r.Errorf("%s counted %d lines of %d: %v\n%.2000s", a.name, n, want, err, printed)
	}
}

func countedByUs(_ string, printed []byte) (int, error) {
	var report struct{ Read struct{ Entries int } }
	err := json.Unmarshal(printed, &report)
	return report.Read.Entries, err
}

// webalizer is told of the format, and that it is to be quiet.
func webalizer(_ testing.TB, dir, log string) []string {
	return []string{"webalizer", "-Q", "-F", "ftp", "-o", dir, log}
}

func webalizerFurther(_ testing.TB, dir, _, fresh string) []string {
	return []string{"webalizer", "-Q", "-p", "-F", "ftp", "-o", dir, fresh}
}

// countedByWebalizer adds the hits of the months, which are the third column.
func countedByWebalizer(dir string, _ []byte) (sum int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "webalizer.hist"))
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 && line[0] != '#' {
			n, _ := strconv.Atoi(fields[2])
			sum += n
		}
	}
	return sum, err
}

// goaccess knows no format of FTP servers. It skips the day of the week, cannot take
// a year that stands after the time, and does not check addresses, so that it also
// takes names of hosts.
func goaccess(_ testing.TB, dir, log string) []string {
	return []string{"goaccess", log, "--log-format=%^ %d %t %^ %T %h %b %U %^ %^ %^ %^ %e %^ %^ %^ %^", "--date-format=%b %d", "--time-format=%T",
		"--no-ip-validation", "--no-progress", "-o", filepath.Join(dir, "report.json")}
}

func goaccessFurther(t testing.TB, dir, _, fresh string) []string {
	store := filepath.Join(dir, "store")
	args := append(goaccess(t, dir, fresh), "--persist", "--db-path="+store)
	if os.Mkdir(store, 0o755) != nil { // it is there
		args = append(args, "--restore")
	}
	return args
}

func countedByGoAccess(dir string, _ []byte) (int, error) {
	var report struct {
		General struct {
			Valid int `json:"valid_requests"`
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	return report.General.Valid, err
}

// awstats is configured as its manual says for FTP servers that write xferlog. What
// is measured brings its data up to date; pages are another run.
func awstats(t testing.TB, dir, log string) []string {
	t.Helper()
	const conf = `LogFile=%q
LogType=F
LogFormat="%%time3 %%other %%host %%bytesd %%url %%other %%other %%method %%other %%logname %%other %%code %%other %%other"
LogSeparator="\s"
SiteDomain="ftp.example.com"
HostAliases="localhost"
DNSLookup=0
DirData=%q
DirLock="."
CreateDirDataIfNotExists=0
NotPageList=""
LevelForBrowsersDetection=0
LevelForOSDetection=0
LevelForRefererAnalyze=0
LevelForRobotsDetection=0
LevelForWormsDetection=0
LevelForSearchEnginesDetection=0
`
	if err := os.WriteFile(filepath.Join(dir, "awstats.ftp.conf"), fmt.Appendf(nil, conf, log, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"/usr/lib/cgi-bin/awstats.pl", "-config=ftp", "-configdir=" + dir, "-update"}
}

// awstatsFurther is the same: it begins at the place where it was.
func awstatsFurther(t testing.TB, dir, log, _ string) []string { return awstats(t, dir, log) }

// countedByAWStats adds what its data files have for each day, behind their lines
// BEGIN_DAY: day, pages, hits, and more.
func countedByAWStats(dir string, _ []byte) (sum int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "awstats*.ftp.txt"))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		_, days, _ := strings.Cut(string(text), "\nBEGIN_DAY ")
		days, _, _ = strings.Cut(days, "\nEND_DAY")
		_, days, _ = strings.Cut(days, "\n")
		for line := range strings.Lines(days) {
			if fields := strings.Fields(line); len(fields) > 2 {
				n, _ := strconv.Atoi(fields[2])
				sum += n
			}
		}
	}
	return sum, err
}
