//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// Trials of ours alone, since the peers cannot do it, or are told otherwise.

// setRates are users with a rate, in KiB a second. Each has a file of its name that
// lasts for rateSeconds.
var setRates = map[string]int{"rate1": 1 << 10, "rate64": 64 << 10}

const rateSeconds = 4

// limitedUser has a quota that no trial reaches.
const limitedUser = "limited"

func ourTrials() []trial {
	mine := func(p *contestant) bool { return p.site != nil }
	return []trial{
		{name: "set rates", able: mine, run: keepRates, measures: []measure{
			{name: "1 MiB/s, worst of both ways, % off", less: true, limit: 2}, {name: "64 MiB/s, % off", less: true, limit: 2}}},
		{name: "1,000 wrong passwords", able: mine, rounds: 2, run: storm, measures: []measure{
			{name: "rate of a download meanwhile, of that before", limit: .9}, {name: "memory grows by, MiB", less: true, limit: 256}}},
		{name: "4 KiB STOR under a quota", able: mine, run: account, measures: []measure{
			{name: "files/s, of those without", limit: .98}, {name: "CPU a file, of that without", less: true}}},
	}
}

// keepRates moves files both ways as users with a rate, for some seconds.
func keepRates(a *arena, p *contestant) row {
	from, err := os.Open(filepath.Join(a.home, "quarter"))
	if err != nil {
		a.Fatal(err)
	}
	defer from.Close()
	off := row{0, 0}
	for i, user := range []string{"rate1", "rate64"} {
		as := *p
		as.user = user
		size := int64(setRates[user]<<10) * rateSeconds
		took := make([]float64, 2)
		all := a.sessions(&as, 2, false)
		err := together(2, func(way int) error {
			start := time.Now()
			defer func() { took[way] = time.Since(start).Seconds() }()
			if way == 0 {
				return all[0].put("up/rate", from, size)
			}
			return all[1].fetch(user, size)
		})
		if err := errors.Join(err, quitAll(all)); err != nil {
			a.Fatal(err)
		}
		for _, t := range took {
			off[i] = max(off[i], 100*math.Abs(rateSeconds/t-1))
		}
		os.Remove(filepath.Join(a.home, "up", "rate"))
	}
	return off
}

// storm has 1,000 clients try a wrong password each, at the cost that a hash has
// by default, while one downloads.
func storm(a *arena, p *contestant) row {
	stormed := ours(a.B, "stormed", p.site.binary, a.home, p.cert, "PasswordCost 15 8 3")
	c := a.login(stormed, false)
	rate := func(times int) float64 {
		took, _ := a.spent(stormed, func() error {
			for range times {
				if err := c.fetch("gib", gib); err != nil {
					return err
				}
			}
			return nil
		})
		return float64(times) / took
	}
	before := rate(8)
	grown := growth(stormed.pss, 50*time.Millisecond)
	wrong := make([]*loader, 1000)
	for i := range wrong {
		var err error
		if wrong[i], err = stormed.dial(nil); err != nil {
			a.Fatal(err)
		}
		if err := errors.Join(wrong[i].say(331, "USER bench"), wrong[i].send(fmt.Sprint("PASS wrong", i))); err != nil {
			a.Fatal(err)
		}
	}
	during := rate(8)
	memory := grown()
	for _, w := range wrong {
		w.Close()
	}
	if err := c.quit(); err != nil {
		a.Fatal(err)
	}
	stormed.site.cmd.Process.Kill()
	return row{during / before, float64(memory) / 1024}
}

// account stores small files as somebody with a quota and as somebody without, by
// turns, which begin with the one and with the other.
func account(a *arena, p *contestant) row {
	const turns, files = 16, 500
	from, err := os.Open(filepath.Join(a.home, "small", "0"))
	if err != nil {
		a.Fatal(err)
	}
	defer from.Close()
	limited := *p
	limited.user = limitedUser
	all := []*loader{a.login(p, false), a.login(&limited, false)}
	var took, cpu [2]float64
	for turn := range turns + 1 {
		for k := range all {
			who := (k + turn) % len(all)
			t, c := a.spent(p, func() error {
				for i := range files {
					if err := all[who].put(fmt.Sprintf("up/%d-%d-%d", who, turn, i), from, 4<<10); err != nil {
						return err
					}
				}
				return nil
			})
			if turn > 0 { // before, what is there was counted
				took[who] += t
				cpu[who] += c
			}
		}
	}
	// Not before: a file system takes its time to reuse what was removed just now.
	stored, _ := filepath.Glob(filepath.Join(a.home, "up", "*"))
	for _, path := range stored {
		os.Remove(path)
	}
	if err := quitAll(all); err != nil {
		a.Fatal(err)
	}
	return row{took[0] / took[1], cpu[1] / cpu[0]}
}
