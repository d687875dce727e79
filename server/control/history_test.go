package control

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/server/history"
)

// TestHistoryIsAsked has a client page through what a history holds.
func TestHistoryIsAsked(t *testing.T) {
	db := history.At(filepath.Join(t.TempDir(), "history.db"))
	d := start(t, func(s *Server) { s.History = func() history.DB { return db } })
	c := &Client{Socket: d.socket}
	defer c.Close()
	ctx := context.Background()
	if page, err := c.History(ctx, HistoryFilter{}); err != nil || len(page.Entries) != 0 || page.Next != "" {
		t.Fatalf("where there is none: %+v, %v", page, err)
	}
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	var all []logparse.Entry
	for i := range 250 {
		all = append(all, logparse.Entry{Time: begin.Add(time.Duration(i) * time.Second), Direction: logparse.Upload, Status: logparse.Whole,
			User: "u" + strconv.Itoa(i%2), Host: "192.0.2." + strconv.Itoa(i%5), Path: "/srv/d" + strconv.Itoa(i%3) + "/\xff&;\x1b", Bytes: int64(i)})
	}
	all[7].Event, all[8].Status = logparse.Delete, logparse.Cut
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		f    HistoryFilter
		want func(i int) bool
	}{
		"all":     {HistoryFilter{}, func(int) bool { return true }},
		"user":    {HistoryFilter{User: "u1"}, func(i int) bool { return i%2 == 1 }},
		"path":    {HistoryFilter{Path: "/srv/d2/\xff&;\x1b"}, func(i int) bool { return i%3 == 2 }},
		"folder":  {HistoryFilter{Path: "/srv/d1/**"}, func(i int) bool { return i%3 == 1 }},
		"address": {HistoryFilter{Addr: "192.0.2.3"}, func(i int) bool { return i%5 == 3 }},
		"network": {HistoryFilter{Addr: "192.0.2.2/31"}, func(i int) bool { return i%5 == 2 || i%5 == 3 }},
		"times":   {HistoryFilter{Since: all[20].Time, Until: all[200].Time}, func(i int) bool { return i >= 20 && i < 200 }},
		"event":   {HistoryFilter{Events: []logparse.Event{logparse.Delete}}, func(i int) bool { return i == 7 }},
		"outcome": {HistoryFilter{Outcome: []logparse.Status{logparse.Cut, logparse.Failed}}, func(i int) bool { return i == 8 }},
	} {
		for _, oldest := range []bool{true, false} {
			f := test.f
			f.Oldest, f.Limit = oldest, 37
			var got []int64
			for {
				page, err := c.History(ctx, f)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, e := range page.Entries {
					if e.Path != all[e.Bytes].Path || !e.Time.Equal(all[e.Bytes].Time) {
						t.Errorf("%s: %+v", name, e)
					}
					got = append(got, e.Bytes)
				}
				if f.Cursor = page.Next; f.Cursor == "" {
					break
				}
			}
			for i := range all {
				n := i
				if !oldest {
					n = len(all) - 1 - i
				}
				if test.want(n) {
					if len(got) == 0 || got[0] != int64(n) {
						t.Fatalf("%s, oldest %v: next is %v, want %d", name, oldest, got[:min(1, len(got))], n)
					}
					got = got[1:]
				}
			}
			if len(got) > 0 {
				t.Errorf("%s, oldest %v: %v are too much", name, oldest, got)
			}
		}
	}
	top, err := c.HistoryTop(ctx, history.ByPath, HistoryFilter{Limit: 2})
	if err != nil || top.Cut || len(top.Sums) != 2 || !strings.HasPrefix(top.Sums[0].Path, "/srv/d") {
		t.Errorf("top paths are %+v, %v", top, err)
	}
	if top, err := c.HistoryTop(ctx, history.ByUser, HistoryFilter{Since: time.Now().AddDate(0, 0, 3)}); err != nil || len(top.Sums) != 0 {
		t.Errorf("of days to come there are %+v, %v", top, err)
	}
}

// TestHistoryRefuses asks what cannot be answered.
func TestHistoryRefuses(t *testing.T) {
	db := history.At(filepath.Join(t.TempDir(), "history.db"))
	with := start(t, func(s *Server) { s.History = func() history.DB { return db } })
	c := &Client{Socket: with.socket}
	defer c.Close()
	for query, said := range map[string]string{
		"history?nobody=1":          `no parameter "nobody"`,
		"history?user=a&user=b":     "given 2 times",
		"history?order=up":          "neither newest nor oldest",
		"history?limit=0":           "from 1 to 1000",
		"history?limit=1001":        "from 1 to 1000",
		"history?limit=x":           "from 1 to 1000",
		"history?since=yesterday":   "is no time",
		"history?until=1":           "is no time",
		"history?event=fire":        `event "fire" is none of`,
		"history?outcome=good":      `outcome "good" is none of`,
		"history?addr=1.2.3.4/99":   "addr:",
		"history?path=%5B":          "path:",
		"history?cursor=me":         "no cursor",
		"history/top?by=size":       "none of user, path, addr",
		"history/top?user=a":        `no parameter "user"`,
		"history/top?limit=1000000": "from 1 to 1000",
	} {
		if _, err := get[historyBody](context.Background(), c, "/v1/"+query); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v, want %q", query, err, said)
		}
	}
	without := start(t, nil)
	none := &Client{Socket: without.socket}
	defer none.Close()
	if _, err := none.History(context.Background(), HistoryFilter{}); err == nil || !strings.Contains(err.Error(), "remembers nothing") {
		t.Errorf("who remembers nothing says %v", err)
	}
}
