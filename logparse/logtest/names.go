package logtest

import (
	"fmt"
	"math"
)

// Names are made by number, so that each is there once.

var (
	given = [...]string{"alice", "bruno", "chiara", "dmitri", "elif", "farid", "greta", "hanna", "ivan", "jonas",
		"kenji", "lucia", "marek", "nadia", "omar", "petra", "quentin", "rosa", "sven", "tomas"}
	folders = [...]string{"photos/2026", "invoices", "delivery/in", "delivery/out", "backup/daily", "archive/2025", "video/raw", "site"}
	stems   = [...]string{"picture", "report", "export", "scan", "frame", "order", "layer", "part"}

	// What GoAccess takes for static files, and what not.
	static  = [...]string{"jpg", "png", "pdf", "zip", "mp4", "gz", "csv", "txt", "xlsx", "docx"}
	dynamic = [...]string{"xml", "json", "sql", "log", "psd", "dwg", "raw", "bak"}

	oddities = [...]string{"bob smith", "x b _ o r root ftp 0 * c", "émile", "J\xfcrgen", `quo"ted`, "[brackets] (and)", "100% sure; really", "許功蓋", "-dash", "a@b c d"}
)

// userName is the name of a user. Of the odd ones a blank is never the first byte,
// nor the last.
func userName(i int, odd bool) string {
	if odd && i%7 == 3 {
		return fmt.Sprintf("%s %d", oddities[i/7%len(oddities)], i)
	}
	if i%5 == 4 {
		return fmt.Sprintf("%s%d@example.com", given[i%len(given)], i)
	}
	return fmt.Sprintf("%s%d", given[i%len(given)], i)
}

// hostAddress is the address of a host, of ranges that are nobody's.
func hostAddress(i int) string {
	if i%10 == 9 {
		return fmt.Sprintf("2001:db8:%x:%x::%x", i%7, i>>4, 1+i%251)
	}
	if i%2 == 0 {
		return fmt.Sprintf("10.%d.%d.%d", i%23, i/250, 1+i%250)
	}
	return fmt.Sprintf("172.%d.%d.%d", 16+i%16, i/250, 1+i%250)
}

// newFile makes a file: every tenth is everybody's, the others belong to few more
// than to many. Its size is log-normal, 256 KiB in the middle.
func (g *generator) newFile(i int) file {
	const public = 10
	f := file{owner: -1, size: int64(math.Exp(math.Log(256<<10) + 2.2*g.rand.NormFloat64()))}
	home := "pub"
	if i%public != 0 {
		f.owner = g.few(len(g.users))
		home = g.users[f.owner]
	}
	extension := static[i%len(static)]
	if i%15 < 7 { // 28,000 of 60,000
		extension = dynamic[i%len(dynamic)]
	}
	stem := stems[g.rand.IntN(len(stems))]
	if g.log.Odd && i%11 == 5 {
		stem = oddities[g.rand.IntN(len(oddities))]
	}
	f.path = fmt.Sprintf("/srv/ftp/%s/%s/%s_%05d.%s", home, folders[g.rand.IntN(len(folders))], stem, i, extension)
	return f
}
