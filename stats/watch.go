package stats

import "portreeve/logparse"

// A day is what a user did on one day, by the clocks of the report's zone.
type day struct {
	number     int32  // since 1970
	hours      uint32 // a bit for each with an entry
	count      int32  // uploads and downloads
	incomplete int32
	deletes    int32
	in         int64
	out        int64
	deleted    int64 // bytes
}

// A seen is an entry as the rules take it: names are numbers, the same for the
// same name.
type seen struct {
	user, network, file uint32
	at                  int64 // as Unix counts
	bytes               int64
	took                int64 // milliseconds
	what                what
}

// What an entry was.
type what uint8

const (
	upload what = 1 << iota
	download
	deletion
	login
	whole // it was not cut
)

func whatOf(e *logparse.Entry) what {
	w := download
	switch {
	case e.Event == logparse.Delete:
		w = deletion
	case e.Direction == logparse.Upload:
		w = upload
	}
	if e.Status != logparse.Cut && e.Status != logparse.Failed {
		w |= whole
	}
	return w
}
