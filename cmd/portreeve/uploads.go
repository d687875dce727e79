package main

import (
	"context"
	"path/filepath"
	"time"

	"portreeve/server"
	"portreeve/server/control"
	"portreeve/server/spool"
)

// uploadsBeside is the spool of uploads if nothing names another.
func uploadsBeside(db string) string { return filepath.Join(filepath.Dir(db), "uploads") }

func uploadSpool(cfg server.Config) string {
	if cfg.UploadSpool != "" {
		return cfg.UploadSpool
	}
	return uploadsBeside(cfg.UserDB)
}

// openUploads has uploads noted for a program, and hands them on through a pipe
// where there is to be one, until stop is called.
func (d *daemon) openUploads(cfg server.Config) (stop func(), err error) {
	if !cfg.UploadScript {
		return func() {}, nil
	}
	dir := uploadSpool(cfg)
	if d.ftp.Uploads, err = spool.Open(dir, d.log); err != nil {
		return nil, err
	}
	if cfg.UploadPipe == "" {
		return d.ftp.Uploads.Close, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	feed, err := d.preparePipe(dir, cfg.UploadPipe)
	if err != nil {
		cancel()
		d.ftp.Uploads.Close()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.feedPipe(ctx, feed, func() (func(context.Context) error, error) { return d.preparePipe(dir, cfg.UploadPipe) })
	}()
	return func() {
		cancel()
		<-done
		d.ftp.Uploads.Close()
	}, nil
}

// preparePipe opens both ends of what feeds the pipe.
func (d *daemon) preparePipe(dir, path string) (feed func(context.Context) error, err error) {
	r, err := spool.Read(dir, d.log)
	if err != nil {
		return nil, err
	}
	pipe, err := spool.NewPipe(path, d.log)
	if err != nil {
		r.Close()
		return nil, err
	}
	return func(ctx context.Context) error {
		defer r.Close()
		return pipe.Run(ctx, r)
	}, nil
}

const feedRetry = time.Minute

// feedPipe feeds the pipe until ctx ends. What fails, such as a disk, is tried
// again: nothing is lost meanwhile.
func (d *daemon) feedPipe(ctx context.Context, feed func(context.Context) error, prepare func() (func(context.Context) error, error)) {
	for {
		var err error
		if feed != nil {
			err = feed(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.log.Error("uploads are not handed on", "err", err, "again", feedRetry)
		}
		select {
		case <-time.After(feedRetry):
		case <-ctx.Done():
			return
		}
		if feed, err = prepare(); err != nil {
			d.log.Error("uploads are not handed on", "err", err, "again", feedRetry)
		}
	}
}

// uploads tells how the spool fares.
func (d *daemon) uploads() *control.Uploads {
	if d.ftp.Uploads == nil {
		return nil
	}
	st := d.ftp.Uploads.State()
	return &control.Uploads{Spool: uploadSpool(d.ftp.Config()), Waiting: st.Waiting, Lost: st.Lost, Read: st.Read}
}
