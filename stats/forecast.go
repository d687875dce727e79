package stats

import (
	"slices"
	"time"
)

const (
	forecastDays   = 28
	forecastActive = 7 // days of them with something
)

// A Quota is what a user has, and may have.
type Quota struct{ Used, Limit int64 } // bytes

// forecasts tell when quotas will be full, the soonest first.
func (c *Collector) forecasts(quotas func(user string) (Quota, bool)) []Forecast {
	if quotas == nil || !c.began {
		return nil
	}
	end := int32(min(max(floorDiv(c.wall(time.Unix(c.latest(), 0), c.latest()), 86400), -maxDay), maxDay))
	var list []Forecast
	var days []day
	for user := range c.days {
		name := c.users.name(uint32(user))
		q, ok := quotas(name)
		if !ok || q.Limit <= 0 {
			continue
		}
		days = c.days[user].days(days[:0])
		if f, ok := forecast(days, end, q); ok {
			f.User = name
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b Forecast) int {
		switch {
		case a.Least < b.Least:
			return -1
		case a.Least > b.Least:
			return 1
		}
		return 0
	})
	return list
}

// forecast takes the median of the slopes between any two days (Theil and Sen's),
// which a day that is far off does not change, of what was uploaded less what was
// deleted. Who is new is looked at from the first day on.
func forecast(days []day, end int32, q Quota) (Forecast, bool) {
	if len(days) == 0 || days[0].number > end {
		return Forecast{}, false
	}
	first := max(end-forecastDays+1, days[0].number)
	held := make([]float64, end-first+1)
	active := 0
	for _, d := range within(days, end, forecastDays-1) {
		if d.number > end {
			break
		}
		held[d.number-first] += float64(d.in - d.deleted)
		active++
	}
	if active < forecastActive {
		return Forecast{}, false
	}
	for i := 1; i < len(held); i++ {
		held[i] += held[i-1]
	}
	var slopes []float64
	for i := range held {
		for j := i + 1; j < len(held); j++ {
			slopes = append(slopes, (held[j]-held[i])/float64(j-i))
		}
	}
	slices.Sort(slopes)
	at := func(share float64) float64 { return slopes[int(share*float64(len(slopes)-1))] }
	left := float64(q.Limit - q.Used)
	f := Forecast{Used: q.Used, Limit: q.Limit, Growth: at(0.5)}
	if at(0.75) <= 0 || f.Growth <= 0 || left < 0 {
		return f, false // it does not grow, or is full
	}
	f.Least = left / at(0.75)
	if slow := at(0.25); slow > 0 {
		f.Most = left / slow
	}
	return f, true
}
