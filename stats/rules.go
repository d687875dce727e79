package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// A Rule says what is unusual.
type Rule struct {
	Name string
	Help string
}

type ruleNumber uint8

const (
	ruleVolume ruleNumber = iota
	ruleNetwork
	ruleHour
	ruleSweep
	ruleHosts
	ruleFailures
	ruleDeletes
	ruleAwake
	ruleDeviation
	ruleIncomplete
	ruleSilent
	ruleEmptied
)

// Rules are all that there are, by their numbers.
var Rules = [...]Rule{
	ruleVolume:     {"volume", "a day with more bytes than on 99 of 100 days of the last 60, three times the median and 100 MiB"},
	ruleNetwork:    {"network", "a network that a user with at least 20 entries was never in before"},
	ruleHour:       {"hour", "an hour of the week in which a user did nothing for eight weeks"},
	ruleSweep:      {"sweep", "more than 500 files downloaded within ten minutes; or, of a directory with at least 50 files in the log, more than half in one of the ten minutes of the clock"},
	ruleHosts:      {"hosts", "one user from four networks or more within an hour"},
	ruleFailures:   {"failures", "at least ten incomplete transfers one after the other"},
	ruleDeletes:    {"deletes", "at least 100 deletes within ten minutes"},
	ruleAwake:      {"awake", "something after nothing for 180 days"},
	ruleDeviation:  {"deviation", "a day three standard deviations above the user's own last four weeks"},
	ruleIncomplete: {"incomplete", "a day on which far more transfers were incomplete than in the four weeks before"},
	ruleSilent:     {"silent", "nothing any more from a user who delivered daily"},
	ruleEmptied:    {"emptied", "a day on which more than half of what a user had uploaded was deleted"},
}

// What the rules ask for.
const (
	sweepMost       = 500
	hostsLeast      = 4
	failureRunLeast = 10
	deleteRunLeast  = 100
	sightLeast      = 20

	looked        = 7 // days at the end of a log that are looked at
	volumeDays    = 60
	volumeLeast   = 100 << 20
	monthDays     = 28
	monthActive   = 10 // days of them with something, so that they tell what is usual
	hourWeeks     = 8
	hourActive    = 30
	asleep        = 180
	deliveredDays = 20
	silentDays    = 3
	// incompleteChance is how unlikely a day's incomplete transfers are, so that a
	// week of a thousand users makes less than one false finding in ten reports.
	incompleteChance = 1e-5
	silentWorking    = 2 // of who is never there at weekends
	perRule          = 5 // findings that are told
)

// findings are all that the rules say.
func (c *Collector) findings() []Finding {
	if !c.began {
		return nil
	}
	end := floorDiv(c.wall(time.Unix(c.latest(), 0), c.latest()), 86400)
	f := finder{c: c, end: int32(min(max(end, -maxDay), maxDay)), told: make([]notes, len(Rules))}
	var days []day
	var all []day
	for user := range c.days {
		days = c.days[user].days(days[:0])
		if len(days) == 0 {
			continue
		}
		f.user = c.users.name(uint32(user))
		f.days(days)
		all = addDays(all, days)
	}
	if len(c.days) > 1 {
		f.user = ""
		f.incomplete(all)
	}
	f.windows()
	return f.list()
}

// latest is the second of the last entry.
func (c *Collector) latest() int64 { return c.watch.latest }

// addDays sums days of several users up.
func addDays(all, days []day) []day {
	at := 0
	for i := range days {
		for at < len(all) && all[at].number < days[i].number {
			at++
		}
		if at == len(all) || all[at].number != days[i].number {
			all = slices.Insert(all, at, day{number: days[i].number})
		}
		all[at].merge(&days[i])
	}
	return all
}

// A finder looks for what is unusual.
type finder struct {
	c    *Collector
	end  int32 // the last day of the log
	user string
	told []notes // by rule
}

// notes are the weightiest findings of a rule, and how many there are.
type notes struct {
	best []found
	n    int
}

// found is a finding before it is chosen.
type found struct {
	user   string
	at     int64 // second; of a day, its beginning by clocks at UTC
	day    bool
	weight float64
	text   func() string // most are not told, and words take time
}

func (f *finder) tell(rule ruleNumber, number int32, weight float64, format string, args ...any) {
	text := func() string { return fmt.Sprintf(format, args...) }
	f.note(rule, found{f.user, int64(number) * 86400, true, weight, text})
}

// days looks at the days of a user.
func (f *finder) days(days []day) {
	first := len(days)
	for first > 0 && days[first-1].number > f.end-looked {
		first--
	}
	for i := first; i < len(days); i++ {
		if !f.volume(days[:i], &days[i]) {
			f.deviation(days[:i], &days[i])
		}
		f.emptied(days[:i], &days[i])
	}
	f.hour(days, first)
	f.incomplete(days)
	f.awake(days)
	f.silent(days)
}

// within returns those days that are at most so many before one.
func within(days []day, number int32, most int32) []day {
	at, _ := slices.BinarySearchFunc(days, number-most, func(d day, n int32) int { return cmp.Compare(d.number, n) })
	return days[at:]
}

func (d *day) bytes() int64 { return d.in + d.out }

// volume looks for a day with very much; days with nothing count as such from the
// user's first on.
func (f *finder) volume(before []day, d *day) bool {
	last := within(before, d.number, volumeDays)
	if len(last) < monthActive || d.bytes() <= volumeLeast {
		return false
	}
	span := int(min(d.number-before[0].number, volumeDays))
	values := make([]int64, span)
	for i := range last {
		values[i] = last[i].bytes()
	}
	slices.Sort(values)
	above := values[min(int(math.Ceil(0.99*float64(span)))-1, span-1)]
	median := values[span/2]
	if d.bytes() <= above || d.bytes() <= 3*median {
		return false
	}
	f.tell(ruleVolume, d.number, float64(d.bytes())/float64(max(above, 1)), "%s moved %s on %s; on no day of the %d before was it more than %s",
		f.user, bytesText(d.bytes()), dayText(d.number), span, bytesText(values[span-1]))
	return true
}

// deviation looks for a day far above the mean of the last four weeks.
func (f *finder) deviation(before []day, d *day) {
	last := within(before, d.number, monthDays)
	if len(last) < monthActive || d.bytes() <= volumeLeast || before[0].number > d.number-monthDays {
		return
	}
	var sum, squares float64
	for i := range last {
		v := float64(last[i].bytes())
		sum, squares = sum+v, squares+v*v
	}
	mean := sum / monthDays
	deviation := math.Sqrt(max(squares/monthDays-mean*mean, 0))
	if v := float64(d.bytes()); v > mean+3*deviation && deviation > 0 {
		f.tell(ruleDeviation, d.number, (v-mean)/deviation, "%s moved %s on %s, %.0f standard deviations above the mean of the four weeks before (%s a day)",
			f.user, bytesText(d.bytes()), dayText(d.number), math.Floor((v-mean)/deviation), bytesText(int64(mean)))
	}
}

// emptied looks for a day on which most of what was uploaded was deleted.
func (f *finder) emptied(before []day, d *day) {
	held := d.in
	for i := range before {
		held += before[i].in - before[i].deleted
		held = max(held, 0)
	}
	if d.deleted > volumeLeast && float64(d.deleted) > float64(held)/2 && held > 0 {
		f.tell(ruleEmptied, d.number, float64(d.deleted), "%s deleted %s on %s; what was uploaded by then, as far as the log goes back, was %s",
			f.user, bytesText(d.deleted), dayText(d.number), bytesText(held))
	}
}

// hour looks for hours of the week that are new.
func (f *finder) hour(days []day, first int) {
	const week = 7
	active := 0
	for i := range days[:first] {
		active += bits.OnesCount32(days[i].hours)
	}
	for i := first; i < len(days); i++ {
		d := &days[i]
		if active < hourActive || days[0].number > d.number-hourWeeks*week {
			active += bits.OnesCount32(d.hours)
			continue
		}
		known := uint32(0)
		for j := i - 1; j >= 0 && days[j].number >= d.number-hourWeeks*week; j-- {
			if (d.number-days[j].number)%week == 0 {
				known |= days[j].hours
			}
		}
		if fresh := d.hours &^ known; fresh != 0 {
			f.tell(ruleHour, d.number, float64(bits.OnesCount32(fresh)), "%s was there on %s at %s, when there was nothing on any %s of the eight weeks before",
				f.user, dayText(d.number), hoursText(fresh), weekday(d.number))
		}
		active += bits.OnesCount32(d.hours)
	}
}

// incomplete looks for a day with many incomplete transfers: one on which chance
// does not explain how many, if they were as likely as in the four weeks before, of
// which a share is known only as well as their number tells.
func (f *finder) incomplete(days []day) {
	for i := len(days) - 1; i >= 0 && days[i].number > f.end-looked; i-- {
		d := &days[i]
		var count, broken float64
		for _, b := range within(days[:i], d.number, monthDays) {
			count, broken = count+float64(b.count), broken+float64(b.incomplete)
		}
		n, k := float64(d.count), float64(d.incomplete)
		if n < 20 || k < 5 || count < 100 {
			continue
		}
		usual := (broken + 1) / (count + 2)
		if k/n < 2*usual {
			continue
		}
		chance := atLeast(k, n, broken+1, count-broken+1)
		if chance >= incompleteChance {
			continue
		}
		who := f.user
		if who == "" {
			who = "the whole server"
		}
		f.tell(ruleIncomplete, d.number, -math.Log10(max(chance, math.SmallestNonzeroFloat64)), "of %s %d transfers of %d were incomplete on %s (%.0f of 100; before it were %.1f)",
			who, d.incomplete, d.count, dayText(d.number), 100*k/n, 100*usual)
	}
}

// atLeast is how likely k or more of n are, where before there were a of one kind
// and b of the other: the tail of the beta-binomial distribution.
func atLeast(k, n, a, b float64) float64 {
	log := func(x float64) float64 { l, _ := math.Lgamma(x); return l }
	choose := log(n+1) - log(k+1) - log(n-k+1)
	term := math.Exp(choose + log(k+a) + log(n-k+b) - log(n+a+b) - log(a) - log(b) + log(a+b))
	sum := 0.0
	for x := k; x <= n && term > sum*1e-9; x++ {
		sum += term
		term *= (n - x) / (x + 1) * (x + a) / (n - x - 1 + b)
	}
	return sum
}

// awake looks for who comes back after half a year.
func (f *finder) awake(days []day) {
	for i := len(days) - 1; i > 0 && days[i].number > f.end-looked; i-- {
		if gap := days[i].number - days[i-1].number; gap > asleep {
			f.tell(ruleAwake, days[i].number, float64(gap), "%s woke on %s after %d days without anything",
				f.user, dayText(days[i].number), gap)
		}
	}
}

// silent looks for who delivered daily, and does not any more, whatever else is done
// in that name.
func (f *finder) silent(days []day) {
	for len(days) > 0 && days[len(days)-1].in == 0 {
		days = days[:len(days)-1]
	}
	if len(days) == 0 {
		return
	}
	last := &days[len(days)-1]
	gap := f.end - last.number
	if gap < silentWorking || gap > monthDays || days[0].number > last.number-monthDays+1 {
		return
	}
	delivered, weekends := 0, 0
	for _, d := range within(days, last.number, monthDays-1) {
		if d.in == 0 {
			continue
		}
		delivered++
		if isWeekend(d.number) {
			weekends++
		}
	}
	if delivered < deliveredDays {
		return
	}
	missing, least := gap, int32(silentDays)
	if weekends == 0 {
		missing, least = 0, silentWorking
		for n := last.number + 1; n <= f.end; n++ {
			if !isWeekend(n) {
				missing++
			}
		}
	}
	if missing >= least {
		f.tell(ruleSilent, last.number, float64(missing), "%s delivered on %d of 28 days, and nothing since %s: %d days are missing",
			f.user, delivered, dayText(last.number), missing)
	}
}

// windows words what the watcher saw.
func (f *finder) windows() {
	w := &f.c.watch
	w.judgeAll()
	f.half()
	known := func(user uint32) bool { return int64(user) < int64(len(f.c.users.cells)) }
	for key, e := range w.best {
		if format, ok := windowTexts[key.rule]; ok && known(key.user) {
			user := f.c.users.name(key.user)
			if key.rule == ruleHosts && f.c.isAnonymous(user) {
				continue // who are many
			}
			f.note(key.rule, found{user, e.at, false, float64(e.n), func() string {
				return fmt.Sprintf(format, user, e.n, f.c.stamp(e.at).Format(time.DateTime))
			}})
		}
	}
	for i := range min(len(w.users), len(f.c.users.cells)) {
		if sights := w.users[i].sights; len(sights) > 1 {
			f.networks(f.c.users.name(uint32(i)), sights)
		}
	}
}

// networks looks for those that a user was in for the first time.
func (f *finder) networks(user string, sights []sight) {
	if f.c.isAnonymous(user) {
		return
	}
	recent, names := f.c.watch.latest-looked*86400, uint32(len(f.c.networks.ends))
	var last sight
	others := -1
	for _, s := range sights {
		if s.before < sightLeast || s.at < recent || s.network >= names {
			continue
		}
		if others++; others == 0 || s.before > last.before {
			last = s
		}
	}
	if others < 0 {
		return
	}
	f.note(ruleNetwork, found{user, last.at, false, float64(last.before), func() string {
		text := fmt.Sprintf("%s came from %s for the first time, at %s, after %d entries from elsewhere",
			user, f.c.networks.name(last.network), f.c.stamp(last.at).Format(time.DateTime), last.before)
		if others > 0 {
			text += fmt.Sprintf("; new that week: %d more", others)
		}
		return text
	}})
}

// windowTexts take the user, how much it was, and when.
var windowTexts = map[ruleNumber]string{
	ruleSweep:    "%s downloaded %d files within ten minutes, up to %s",
	ruleHosts:    "%s came from %d networks within an hour, up to %s",
	ruleFailures: "%s had %d incomplete transfers one after the other, up to %s",
	ruleDeletes:  "%s deleted %d files within ten minutes, up to %s",
}

// note keeps a finding, if it is one of the weightiest of its rule.
func (f *finder) note(rule ruleNumber, one found) {
	t := &f.told[rule]
	t.n++
	before := func(a, b found) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(b.at, a.at), strings.Compare(a.user, b.user))
	}
	at, _ := slices.BinarySearchFunc(t.best, one, before)
	if at == perRule {
		return
	}
	if len(t.best) == perRule {
		t.best = t.best[:perRule-1]
	}
	t.best = slices.Insert(t.best, at, one)
}

// list words what is told.
func (f *finder) list() []Finding {
	var all []Finding
	for number, rule := range Rules {
		if slices.Contains(f.c.options.Quiet, rule.Name) {
			continue
		}
		t := &f.told[number]
		for i, one := range t.best {
			finding := Finding{Rule: rule.Name, User: one.user, At: f.stamp(one), Text: one.text()}
			if i == perRule-1 {
				finding.More = t.n - perRule
			}
			all = append(all, finding)
		}
	}
	return all
}

// stamp is when it was; a day begins at midnight of the zone.
func (f *finder) stamp(one found) Stamp {
	if !one.day {
		return f.c.stamp(one.at)
	}
	t := time.Unix(one.at, 0).UTC()
	return Stamp{time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, f.c.options.Zone)}
}

func dayText(number int32) string {
	return time.Unix(int64(number)*86400, 0).UTC().Format(time.DateOnly)
}

func weekday(number int32) string {
	return time.Unix(int64(number)*86400, 0).UTC().Weekday().String()
}

func isWeekend(number int32) bool {
	w := time.Unix(int64(number)*86400, 0).UTC().Weekday()
	return w == time.Saturday || w == time.Sunday
}

// hoursText names hours of a day.
func hoursText(hours uint32) string {
	var names []string
	for h := range 24 {
		if hours&(1<<h) != 0 {
			names = append(names, pad(h)+":00")
		}
	}
	return strings.Join(names, ", ")
}
